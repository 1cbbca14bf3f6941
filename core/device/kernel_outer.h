#pragma once

#include <type_traits>
#include <utility>

#include "core/device/kernel_lanes.h"
#include "core/device/kernel_spread.h"

// Vectors along the columns of C: a tile of C grows by one outer product after the other.

namespace rankfold {
namespace {

/// Terms that are summed before C is read again; a packed block of B stays in the L2 cache.
constexpr std::size_t outer_depth = 512;
constexpr std::size_t packed_vectors = 3;
/// Rows of B that are asked for ahead of their use where they come from beyond the L2 cache.
constexpr std::size_t rows_ahead = 32;
/// A contraction this long leaves time for lines of C to arrive.
constexpr std::size_t worth_prefetch = 64;

struct OuterTile {
  std::size_t k;
  const float* a;
  std::size_t a_row, a_column;
  const float* b;
  std::size_t b_row;
  float* c;
  std::size_t tiles;                   ///< one after the other,
  std::size_t a_step, b_step, c_step;  ///< these steps apart
  std::size_t ahead;                   ///< how far beyond b to prefetch
  std::size_t last;                    ///< lanes of the last vector
};
using OuterFunction = void (*)(const OuterTile&, const Target&);

/// Rows of an outer tile of so many vectors.
template <class Lanes>
constexpr std::size_t outer_rows(std::size_t vectors) {
  return larger(1, smaller(12, (Lanes::registers - 1 - vectors) / vectors));
}

/// C(i,j) (+)= values(i,j) where rows of C are not contiguous but its columns may be.
void store_transposed(const float* values, std::size_t rows, std::size_t width, std::size_t columns,
                      float* c, const Target target) {
  std::size_t i = 0;
  if (target.row == 1 && !target.adds) {
    for (; i + 4 <= rows; i += 4)
      transpose<4>(values + i * width, width, columns, c + i, target.column);
    for (; i + 2 <= rows; i += 2)
      transpose<2>(values + i * width, width, columns, c + i, target.column);
  }
  for (; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) {
      float& to = c[i * target.row + j * target.column];
      const float value = values[i * width + j];
      to = target.adds ? to + value : value;
    }
}

template <class Lanes, bool masked, std::size_t rows, std::size_t vectors>
[[gnu::always_inline]] inline void store_outer(const typename Lanes::Batch (&sums)[rows][vectors],
                                               float* c, std::size_t last, const Target target) {
  using Batch = typename Lanes::Batch;
  const auto mask = Lanes::first(last);
  const Batch alpha(target.alpha);
  const auto put = [&](auto blend) __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (std::size_t v = 0; v < vectors; ++v) {
        float* to = c + i * target.row + v * Lanes::width;
        const bool whole = v + 1 < vectors || !masked;
        const Batch value = blend(
            sums[i][v], [&] { return whole ? Batch::load_unaligned(to) : Lanes::load(to, mask); });
        whole ? value.store_unaligned(to) : Lanes::store(to, mask, value);
      }
  };
  if (target.column == 1) {
    if (target.adds)
      put([&](Batch sum, auto load) { return alpha * sum + load(); });
    else if (target.alpha == 1)
      put([](Batch sum, auto) { return sum; });
    else
      put([&](Batch sum, auto) { return alpha * sum; });
    return;
  }
  alignas(64) float values[rows][vectors * Lanes::width];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
    for (std::size_t v = 0; v < vectors; ++v)
      (alpha * sums[i][v]).store_aligned(values[i] + v * Lanes::width);
  store_transposed(&values[0][0], rows, vectors * Lanes::width, (vectors - 1) * Lanes::width + last,
                   c, target);
}

template <class Lanes, std::size_t rows, std::size_t vectors, bool masked>
void outer_tile(const OuterTile& tile, const Target& target) {
  using Batch = typename Lanes::Batch;
  const auto mask = Lanes::first(tile.last);
  const std::size_t k = tile.k, a_row = tile.a_row, a_column = tile.a_column, b_row = tile.b_row;
  const float* left_side = tile.a;
  const float* right_side = tile.b;
  float* c = tile.c;
  for (std::size_t remaining = tile.tiles; remaining > 0; --remaining) {
    const float* a = left_side;
    const float* b = right_side;
    Batch sums[rows][vectors];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (std::size_t v = 0; v < vectors; ++v) sums[i][v] = Batch(0.0f);
    if (k >= worth_prefetch && target.column == 1)
#pragma GCC unroll 16
      for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
        for (std::size_t v = 0; v < vectors; ++v)
          __builtin_prefetch(c + i * target.row + v * Lanes::width, 1);
    const auto sum = [&](auto distant) __attribute__((always_inline)) {
      for (std::size_t p = 0; p < k; ++p, a += a_column, b += b_row) {
        if constexpr (distant)
#pragma GCC unroll 16
          for (std::size_t v = 0; v < vectors; ++v)
            __builtin_prefetch(b + tile.ahead + v * Lanes::width, 0, 2);
        Batch right[vectors];
#pragma GCC unroll 16
        for (std::size_t v = 0; v < vectors; ++v)
          right[v] = masked && v + 1 == vectors ? Lanes::load(b + v * Lanes::width, mask)
                                                : Batch::load_unaligned(b + v * Lanes::width);
#pragma GCC unroll 16
        for (std::size_t i = 0; i < rows; ++i) {
          const Batch left(a[i * a_row]);
#pragma GCC unroll 16
          for (std::size_t v = 0; v < vectors; ++v) sums[i][v] = left * right[v] + sums[i][v];
        }
      }
    };
    tile.ahead > 0 ? sum(std::true_type()) : sum(std::false_type());
    store_outer<Lanes, masked>(sums, c, tile.last, target);
    left_side += tile.a_step;
    right_side += tile.b_step;
    c += tile.c_step;
  }
}

template <class Lanes, std::size_t vectors, bool masked, std::size_t... row>
OuterFunction find_outer_rows(std::size_t rows, std::index_sequence<row...>) {
  constexpr OuterFunction functions[] = {outer_tile<Lanes, row + 1, vectors, masked>...};
  return functions[rows - 1];
}

template <class Lanes, bool masked, std::size_t... vector>
OuterFunction find_outer(std::size_t rows, std::size_t vectors, std::index_sequence<vector...>) {
  OuterFunction found = nullptr;
  ((vectors == vector + 1 &&
    (found = find_outer_rows<Lanes, vector + 1, masked>(
         rows, std::make_index_sequence<outer_rows<Lanes>(vector + 1)>()))),
   ...);
  return found;
}

/// Does `tile` for this height and width.
template <class Lanes>
void do_outer(OuterTile& tile, std::size_t rows, std::size_t columns, const Target& target) {
  constexpr auto all = std::make_index_sequence<Lanes::tile_vectors>();
  const std::size_t vectors = (columns + Lanes::width - 1) / Lanes::width;
  tile.last = columns - (vectors - 1) * Lanes::width;
  const OuterFunction function = tile.last == Lanes::width
                                     ? find_outer<Lanes, false>(rows, vectors, all)
                                     : find_outer<Lanes, true>(rows, vectors, all);
  function(tile, target);
}

/// The most vectors of a tile that leaves room for the rows there are. Few rows suffice where the
/// contraction is so short that writing C is the work.
template <class Lanes>
constexpr std::size_t outer_vectors(std::size_t rows, std::size_t depth, std::size_t most) {
  const std::size_t enough = depth <= 8 ? 4 : Lanes::registers / 4;
  std::size_t vectors = most;
  while (vectors > 1 && outer_rows<Lanes>(vectors) < smaller(rows, enough)) --vectors;
  return vectors;
}

/// Tiles beside each other, then the rows below: B is read as it lies.
template <class Lanes>
void multiply_across(const StridedProduct& d, std::size_t rows, std::size_t block) {
  const Target target{d.alpha, d.adds, d.c_row, d.c_column};
  const std::size_t whole = d.n / block, left = d.n % block;
  const std::size_t ahead = d.k >= worth_prefetch ? rows_ahead * d.b_row : 0;
  for (std::size_t i = 0; i < d.m; i += rows) {
    const std::size_t height = smaller(rows, d.m - i);
    OuterTile tile{
        d.k,   d.a + i * d.a_row,  d.a_row, d.a_column, d.b, d.b_row, d.c + i * d.c_row, whole, 0,
        block, block * d.c_column, ahead,   0};
    if (whole > 0) do_outer<Lanes>(tile, height, block, target);
    if (left == 0) continue;
    tile.b += whole * tile.b_step;
    tile.c += whole * tile.c_step;
    tile.tiles = 1;
    do_outer<Lanes>(tile, height, left, target);
  }
}

/// Tiles below each other, whose A stays in the L2 cache, against one packed block of B after the
/// other.
template <class Lanes>
void multiply_down(const StridedProduct& d, std::size_t rows, std::size_t block) {
  alignas(64) float packed[outer_depth * packed_vectors * Lanes::width];
  const Target target{d.alpha, d.adds, d.c_row, d.c_column};
  const std::size_t panel = larger(2 * panel_floats / larger(d.k, 1) / rows, 1) * rows;
  for (std::size_t top = 0; top < d.m; top += panel) {
    const std::size_t height = smaller(panel, d.m - top), left = height % rows;
    for (std::size_t j = 0; j < d.n; j += block) {
      const std::size_t columns = smaller(block, d.n - j);
      pack(d.k, columns, d.b + j * d.b_column, d.b_row, d.b_column, packed, block);
      OuterTile tile{d.k,
                     d.a + top * d.a_row,
                     d.a_row,
                     d.a_column,
                     packed,
                     block,
                     d.c + top * d.c_row + j * d.c_column,
                     height / rows,
                     rows * d.a_row,
                     0,
                     rows * d.c_row,
                     0,
                     0};
      if (tile.tiles > 0) do_outer<Lanes>(tile, rows, columns, target);
      if (left == 0) continue;
      tile.a += tile.tiles * tile.a_step;
      tile.c += tile.tiles * tile.c_step;
      tile.tiles = 1;
      do_outer<Lanes>(tile, left, columns, target);
    }
  }
}

template <class Lanes>
void multiply_outer(const StridedProduct& d) {
  constexpr std::size_t rows_worth_packing = 96, depth_worth_packing = 16;
  if (spread<Lanes>(d)) return;
  const bool packs = d.b_column != 1 || (d.m > rows_worth_packing && d.k > depth_worth_packing);
  const std::size_t most =
      packs ? smaller(packed_vectors, Lanes::tile_vectors) : Lanes::tile_vectors;
  const std::size_t vectors =
      piece((d.n + Lanes::width - 1) / Lanes::width, outer_vectors<Lanes>(d.m, d.k, most));
  const std::size_t rows = piece(d.m, outer_rows<Lanes>(vectors));
  const std::size_t depth = piece(d.k, outer_depth);
  StridedProduct part = d;
  std::size_t p = 0;
  do {
    part.k = smaller(depth, d.k - p);
    packs ? multiply_down<Lanes>(part, rows, vectors * Lanes::width)
          : multiply_across<Lanes>(part, rows, vectors * Lanes::width);
    part.a += part.k * d.a_column;
    part.b += part.k * d.b_row;
    part.adds = true;
    p += part.k;
  } while (p < d.k);
}

}  // namespace
}  // namespace rankfold
