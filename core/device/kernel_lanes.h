#pragma once

#include <cstddef>

#include "core/device/kernel_blocks.h"
#include "core/device/kernel_loops.h"

// The ground of the loops behind core/device/matrix_product.h, written once over `Lanes`, a vector
// type of one architecture. Only the files product_<architecture>.cpp include these headers. Each
// is compiled for its architecture: nothing here may have linkage, or the linker could pick one
// architecture's instructions for all.
//
// A Lanes has:
//   Batch                       an xsimd::batch of floats, `width` of them; the CPU has `registers`
//   tile_vectors                the most that a tile has beside each other
//   Mask, first(count)          the first `count` lanes
//   load(p, mask)               zero in the other lanes, whose memory is not touched
//   store(p, mask, batch)       leaves the others' memory alone
//   sum_each(a, b, c, d)        a Quad of the four sums of lanes
//
// Contractions are summed in pieces of a depth that depends on the whole shape alone, each in
// order, so that splitting a product over threads changes no number.

namespace rankfold {
namespace {

/// Of one operand in a quarter of the L2 cache.
constexpr std::size_t panel_floats = 1u << 16;

/// Everything about C but the place.
struct Target {
  float alpha;
  bool adds;
  std::size_t row, column;
};

}  // namespace
}  // namespace rankfold
