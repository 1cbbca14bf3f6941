#pragma once

#include <xsimd/xsimd.hpp>

#include <cstddef>

// Sizes and transpositions of blocks for core/device/kernel_lanes.h, without linkage for its
// reason.

namespace rankfold {
namespace {

using Quad = xsimd::batch<float, xsimd::sse4_2>;

constexpr std::size_t smaller(std::size_t a, std::size_t b) {
  return a < b ? a : b;
}
constexpr std::size_t larger(std::size_t a, std::size_t b) {
  return a < b ? b : a;
}

/// `size` in the fewest pieces of at most `most`, all but the last of the returned size.
constexpr std::size_t piece(std::size_t size, std::size_t most) {
  const std::size_t pieces = larger((size + most - 1) / most, 1);
  return larger((size + pieces - 1) / pieces, 1);
}

/// to(j,i) = from(i,j) for `rows` (2 or 4) rows i of `columns` floats.
template <std::size_t rows>
void transpose(const float* from, std::size_t from_row, std::size_t columns, float* to,
               std::size_t to_row) {
  std::size_t j = 0;
  for (; j + 4 <= columns; j += 4) {
    const float* next = from + j;
    float* c = to + j * to_row;
    if constexpr (rows == 4) {
      __m128 w = _mm_loadu_ps(next), x = _mm_loadu_ps(next + from_row),
             y = _mm_loadu_ps(next + 2 * from_row), z = _mm_loadu_ps(next + 3 * from_row);
      _MM_TRANSPOSE4_PS(w, x, y, z);
      _mm_storeu_ps(c, w);
      _mm_storeu_ps(c + to_row, x);
      _mm_storeu_ps(c + 2 * to_row, y);
      _mm_storeu_ps(c + 3 * to_row, z);
    } else {
      const __m128 w = _mm_loadu_ps(next), x = _mm_loadu_ps(next + from_row);
      const __m128 low = _mm_unpacklo_ps(w, x), high = _mm_unpackhi_ps(w, x);
      const auto pair = [&](std::size_t row) { return reinterpret_cast<__m64*>(c + row * to_row); };
      _mm_storel_pi(pair(0), low);
      _mm_storeh_pi(pair(1), low);
      _mm_storel_pi(pair(2), high);
      _mm_storeh_pi(pair(3), high);
    }
  }
  if constexpr (rows == 4)
    for (; j + 2 <= columns; j += 2) {
      const auto pair = [&](std::size_t row) {
        return reinterpret_cast<const __m64*>(from + row * from_row + j);
      };
      const __m128 zero = _mm_setzero_ps();
      const __m128 top = _mm_loadh_pi(_mm_loadl_pi(zero, pair(0)), pair(1)),
                   bottom = _mm_loadh_pi(_mm_loadl_pi(zero, pair(2)), pair(3));
      _mm_storeu_ps(to + j * to_row, _mm_shuffle_ps(top, bottom, _MM_SHUFFLE(2, 0, 2, 0)));
      _mm_storeu_ps(to + (j + 1) * to_row, _mm_shuffle_ps(top, bottom, _MM_SHUFFLE(3, 1, 3, 1)));
    }
  for (; j < columns; ++j)
    for (std::size_t i = 0; i < rows; ++i) to[j * to_row + i] = from[i * from_row + j];
}

/// packed[p * width + j] = b[p * b_row + j * b_column].
void pack(std::size_t depth, std::size_t columns, const float* b, std::size_t b_row,
          std::size_t b_column, float* packed, std::size_t width) {
  if (b_column == 1) {
    for (std::size_t p = 0; p < depth; ++p)
      __builtin_memcpy(packed + p * width, b + p * b_row, columns * sizeof(float));
    return;
  }
  std::size_t j = 0;
  if (b_row == 1)
    for (; j + 4 <= columns; j += 4)
      transpose<4>(b + j * b_column, b_column, depth, packed + j, width);
  for (; j < columns; ++j)
    for (std::size_t p = 0; p < depth; ++p) packed[p * width + j] = b[p * b_row + j * b_column];
}

}  // namespace
}  // namespace rankfold
