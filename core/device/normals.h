#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/random.h"

namespace rankfold {

/// Standard normals of a stream in float, by Box-Muller: with the words w of block b, a[k] = w[k] /
/// 2^8 rounded down, radius = sqrt(-2 ln((a[k] + 1) / 2^24)) and angle = 2 pi a[k + 1] / 2^24 - pi
/// / 4,
///
///   z[4 b + k] = radius cos(angle),  z[4 b + k + 1] = radius sin(angle),  k = 0, 2.
///
/// |z| is below 5.8. Overwrites values[0 .. 4 blocks) with z of the blocks first, first + 1, ...
void draw_normals(const RandomStream& stream, std::uint64_t first, std::size_t blocks,
                  float* values);

}  // namespace rankfold
