#pragma once

#include "core/device/kernel_lanes.h"

// For contractions of at most four terms, where writing C is the work: whole rows of C, in pieces
// of columns whose part of B stays in the L1 cache.

namespace rankfold {
namespace {

template <class Lanes, std::size_t depth, std::size_t rows, bool adds, bool scales>
void spread_rows(const StridedProduct& d, const float* a, const float* b, std::size_t columns,
                 float* c) {
  using Batch = typename Lanes::Batch;
  constexpr std::size_t vectors = 4, width = Lanes::width;
  const Batch alpha(d.alpha);
  Batch left[rows][depth];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
    for (std::size_t p = 0; p < depth; ++p) left[i][p] = Batch(a[i * d.a_row + p * d.a_column]);
  const auto step = [&](std::size_t j, auto load, auto store) __attribute__((always_inline)) {
    Batch right[depth];
#pragma GCC unroll 16
    for (std::size_t p = 0; p < depth; ++p) right[p] = load(b + p * d.b_row + j);
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i) {
      Batch sum = left[i][0] * right[0];
#pragma GCC unroll 16
      for (std::size_t p = 1; p < depth; ++p) sum = left[i][p] * right[p] + sum;
      float* to = c + i * d.c_row + j;
      if constexpr (adds)
        sum = alpha * sum + load(to);
      else if constexpr (scales)
        sum = alpha * sum;
      store(to, sum);
    }
  };
  const auto whole = [&](std::size_t j) __attribute__((always_inline)) {
    step(
        j, [](const float* from) { return Batch::load_unaligned(from); },
        [](float* to, Batch value) { value.store_unaligned(to); });
  };
  std::size_t j = 0;
  for (; j + vectors * width <= columns; j += vectors * width)
#pragma GCC unroll 16
    for (std::size_t v = 0; v < vectors; ++v) whole(j + v * width);
  for (; j + width <= columns; j += width) whole(j);
  if (j < columns) {
    const auto mask = Lanes::first(columns - j);
    step(
        j, [&](const float* from) { return Lanes::load(from, mask); },
        [&](float* to, Batch value) { Lanes::store(to, mask, value); });
  }
}

template <class Lanes, std::size_t depth, bool adds, bool scales>
void spread(const StridedProduct& d) {
  constexpr std::size_t most = 4096 / depth / Lanes::width * Lanes::width, rows = 4;
  for (std::size_t j = 0; j < d.n; j += most) {
    const std::size_t columns = smaller(most, d.n - j);
    std::size_t i = 0;
    for (; i + rows <= d.m; i += rows)
      spread_rows<Lanes, depth, rows, adds, scales>(d, d.a + i * d.a_row, d.b + j, columns,
                                                    d.c + i * d.c_row + j);
    for (; i < d.m; ++i)
      spread_rows<Lanes, depth, 1, adds, scales>(d, d.a + i * d.a_row, d.b + j, columns,
                                                 d.c + i * d.c_row + j);
  }
}

template <class Lanes, std::size_t depth>
void spread(const StridedProduct& d) {
  if (d.adds)
    spread<Lanes, depth, true, true>(d);
  else if (d.alpha == 1)
    spread<Lanes, depth, false, false>(d);
  else
    spread<Lanes, depth, false, true>(d);
}

/// False where the contraction is another one: nothing was computed.
template <class Lanes>
bool spread(const StridedProduct& d) {
  if (d.b_column != 1 || d.c_column != 1) return false;
  switch (d.k) {
    case 1:
      spread<Lanes, 1>(d);
      return true;
    case 2:
      spread<Lanes, 2>(d);
      return true;
    case 3:
      spread<Lanes, 3>(d);
      return true;
    case 4:
      spread<Lanes, 4>(d);
      return true;
    default:
      return false;
  }
}

}  // namespace
}  // namespace rankfold
