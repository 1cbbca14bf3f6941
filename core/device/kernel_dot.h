#pragma once

#include <utility>

#include "core/device/kernel_lanes.h"

// Vectors along the contraction, whose lanes are added up at its end.

namespace rankfold {
namespace {

constexpr std::size_t dot_depth = 1024;

struct DotTile {
  std::size_t k;
  const float* a;
  std::size_t a_row;
  const float* b;
  std::size_t b_column;
  float* c;
  std::size_t ahead;  ///< how far beyond a to prefetch, where the sums leave time for it
};
using DotFunction = void (*)(const DotTile&, const Target&);

/// Rows of a dot tile of so many columns.
template <class Lanes>
constexpr std::size_t dot_rows(std::size_t columns) {
  return smaller(16, Lanes::registers * 3 / 4 / columns);
}
constexpr std::size_t dot_columns = 4;

template <class Lanes, std::size_t rows, std::size_t columns>
[[gnu::always_inline]] inline void store_dot(const typename Lanes::Batch (&sums)[rows][columns],
                                             const DotTile& tile, const Target& target) {
  using Batch = typename Lanes::Batch;
  constexpr std::size_t count = rows * columns;
  const Quad alpha(target.alpha);
  const auto sum = [&](std::size_t index) __attribute__((always_inline)) {
    return index < count ? sums[index / columns][index % columns] : Batch(0.0f);
  };
  // Quads of C that are contiguous: whole rows of four, or the only column.
  const bool whole =
      (columns == 4 && target.column == 1) || (columns == 1 && rows % 4 == 0 && target.row == 1);
  const std::size_t step = columns == 4 ? target.row : 4;
  alignas(16) float values[(count + 3) / 4 * 4];
#pragma GCC unroll 16
  for (std::size_t first = 0; first < count; first += 4) {
    Quad quad = alpha * Lanes::sum_each(sum(first), sum(first + 1), sum(first + 2), sum(first + 3));
    if (!whole) {
      quad.store_aligned(values + first);
      continue;
    }
    float* c = tile.c + first / 4 * step;
    if (target.adds) quad += Quad::load_unaligned(c);
    quad.store_unaligned(c);
  }
  if (whole) return;
  const auto put = [&, c = tile.c, row = target.row, column = target.column ](auto blend)
      __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (std::size_t j = 0; j < columns; ++j)
        blend(c[i * row + j * column], values[i * columns + j]);
  };
  if (target.adds)
    put([](float& to, float value) { to += value; });
  else
    put([](float& to, float value) { to = value; });
}

template <class Lanes, std::size_t rows, std::size_t columns>
void dot_tile(const DotTile& tile, const Target& target) {
  using Batch = typename Lanes::Batch;
  Batch sums[rows][columns];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
    for (std::size_t j = 0; j < columns; ++j) sums[i][j] = Batch(0.0f);
  const auto step = [&](auto load, std::size_t p) __attribute__((always_inline)) {
    if constexpr (columns > 2) {
      const float* next = tile.a + tile.ahead + p;
#pragma GCC unroll 16
      for (std::size_t i = 0; i < rows; ++i) __builtin_prefetch(next + i * tile.a_row, 0, 2);
    }
    // The side of fewer vectors stays in registers.
    if constexpr (rows <= columns) {
      Batch left[rows];
#pragma GCC unroll 16
      for (std::size_t i = 0; i < rows; ++i) left[i] = load(tile.a + i * tile.a_row + p);
#pragma GCC unroll 16
      for (std::size_t j = 0; j < columns; ++j) {
        const Batch right = load(tile.b + j * tile.b_column + p);
#pragma GCC unroll 16
        for (std::size_t i = 0; i < rows; ++i) sums[i][j] = left[i] * right + sums[i][j];
      }
    } else {
      Batch right[columns];
#pragma GCC unroll 16
      for (std::size_t j = 0; j < columns; ++j) right[j] = load(tile.b + j * tile.b_column + p);
#pragma GCC unroll 16
      for (std::size_t i = 0; i < rows; ++i) {
        const Batch left = load(tile.a + i * tile.a_row + p);
#pragma GCC unroll 16
        for (std::size_t j = 0; j < columns; ++j) sums[i][j] = left * right[j] + sums[i][j];
      }
    }
  };
  std::size_t p = 0;
  for (; p + Lanes::width <= tile.k; p += Lanes::width)
    step([](const float* from) { return Batch::load_unaligned(from); }, p);
  if (p < tile.k) {
    const auto mask = Lanes::first(tile.k - p);
    step([&](const float* from) { return Lanes::load(from, mask); }, p);
  }
  store_dot<Lanes>(sums, tile, target);
}

template <class Lanes, std::size_t columns, std::size_t... row>
DotFunction find_dot_rows(std::size_t rows, std::index_sequence<row...>) {
  constexpr DotFunction functions[] = {dot_tile<Lanes, row + 1, columns>...};
  return functions[rows - 1];
}

template <class Lanes>
DotFunction find_dot(std::size_t rows, std::size_t columns) {
  switch (columns) {
    case 1:
      return find_dot_rows<Lanes, 1>(rows, std::make_index_sequence<dot_rows<Lanes>(1)>());
    case 2:
      return find_dot_rows<Lanes, 2>(rows, std::make_index_sequence<dot_rows<Lanes>(2)>());
    case 3:
      return find_dot_rows<Lanes, 3>(rows, std::make_index_sequence<dot_rows<Lanes>(3)>());
    default:
      return find_dot_rows<Lanes, 4>(rows, std::make_index_sequence<dot_rows<Lanes>(4)>());
  }
}

template <class Lanes>
void multiply_dot(const StridedProduct& d) {
  const bool packs = d.b_row != 1;
  const std::size_t depth =
      larger((piece(d.k, dot_depth) + Lanes::width - 1) / Lanes::width * Lanes::width, 1);
  const std::size_t panel = larger(panel_floats / depth / 24, 1) * 24;
  alignas(64) float packed[dot_columns * dot_depth];
  Target target{d.alpha, d.adds, d.c_row, d.c_column};
  std::size_t p = 0;
  do {
    const std::size_t k = smaller(depth, d.k - p);
    for (std::size_t top = 0; top < d.m; top += panel)
      for (std::size_t j = 0; j < d.n; j += dot_columns) {
        const std::size_t columns = smaller(dot_columns, d.n - j);
        DotTile tile{k,          nullptr, d.a_row, d.b + p * d.b_row + j * d.b_column,
                     d.b_column, nullptr, 0};
        if (packs) {
          // The transposed block: its rows are the columns of op(B).
          pack(columns, k, tile.b, d.b_column, d.b_row, packed, depth);
          tile.b = packed;
          tile.b_column = depth;
        }
        const std::size_t bottom = smaller(top + panel, d.m);
        const std::size_t rows = smaller(dot_rows<Lanes>(columns), bottom - top);
        tile.ahead = j == 0 ? rows * d.a_row : 0;
        const DotFunction function = find_dot<Lanes>(rows, columns);
        for (std::size_t i = top; i < bottom; i += rows) {
          tile.a = d.a + i * d.a_row + p;
          tile.c = d.c + i * d.c_row + j * d.c_column;
          if (i + rows <= bottom)
            function(tile, target);
          else
            find_dot<Lanes>(bottom - i, columns)(tile, target);
        }
      }
    p += k;
    target.adds = true;
  } while (p < d.k);
}

}  // namespace
}  // namespace rankfold
