#pragma once

#include <cstddef>
#include <utility>

#include "core/thin_blocks.h"
#include "core/thin_loops.h"

// The loops behind core/thin_product.h, written once over `Lanes`, a vector type of one
// architecture. Only the files thin_kernels_<architecture>.cpp include this. Each is compiled for
// its architecture: nothing here may have linkage, or the linker could pick one architecture's
// instructions for all.
//
// A Lanes has:
//   Batch                       an xsimd::batch of floats, `width` of them; the CPU has `registers`
//   tile_vectors                the most that a tile has beside each other
//   Mask, first(count)          the first `count` lanes
//   load(p, mask)               zero in the other lanes, whose memory is not touched
//   store(p, mask, batch)       leaves the others' memory alone
//   sum_each(a, b, c, d)        a Quad of the four sums of lanes

namespace rankfold {
namespace {

constexpr std::size_t panel_floats = 1u << 16;  ///< of one operand in a quarter of the L2 cache

/// Contractions are summed in pieces of these depths whatever the shape, so that splitting a
/// product over threads changes no number. A block of B of the depth of `outer` stays in the L1
/// cache.
constexpr std::size_t outer_depth = 128, dot_depth = 1024;

/// Everything about C but the place.
struct Target {
  float alpha;
  bool adds;
  std::size_t row, column;
};

// --- outer ---------------------------------------------------------------------------------------

struct OuterTile {
  std::size_t k;
  const float* a;
  std::size_t a_row, a_column;
  const float* b;
  std::size_t b_row;
  float* c;
  std::size_t last;   ///< lanes of the last vector
  std::size_t tiles;  ///< below each other
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
  const float* top = tile.a;
  float* c = tile.c;
  for (std::size_t remaining = tile.tiles; remaining > 0; --remaining) {
    Batch sums[rows][vectors];
#pragma GCC unroll 16
    for (std::size_t i = 0; i < rows; ++i)
#pragma GCC unroll 16
      for (std::size_t v = 0; v < vectors; ++v) sums[i][v] = Batch(0.0f);
    const float* a = top;
    const float* b = tile.b;
    for (std::size_t p = 0; p < k; ++p, a += a_column, b += b_row) {
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
    store_outer<Lanes, masked>(sums, c, tile.last, target);
    top += rows * a_row;
    c += rows * target.row;
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

template <class Lanes>
OuterFunction find_outer(std::size_t rows, std::size_t vectors, bool masked) {
  constexpr auto all = std::make_index_sequence<Lanes::tile_vectors>();
  return masked ? find_outer<Lanes, true>(rows, vectors, all)
                : find_outer<Lanes, false>(rows, vectors, all);
}

/// The most vectors of a tile that leaves room for the rows there are. Few rows suffice where the
/// contraction is so short that writing C is the work.
template <class Lanes>
constexpr std::size_t outer_vectors(std::size_t rows, std::size_t depth, std::size_t most) {
  const std::size_t enough = depth <= 2 ? 2 : depth <= 8 ? 4 : Lanes::registers / 4;
  std::size_t vectors = most;
  while (vectors > 1 && outer_rows<Lanes>(vectors) < smaller(rows, enough)) --vectors;
  return vectors;
}

template <class Lanes>
void multiply_outer(const StridedProduct& d) {
  constexpr std::size_t width = Lanes::width, packed_vectors = 3;
  const bool packs = d.b_column != 1;
  const std::size_t all_vectors = (d.n + width - 1) / width;
  const std::size_t vectors = piece(
      all_vectors,
      outer_vectors<Lanes>(
          d.m, d.k, packs ? smaller(packed_vectors, Lanes::tile_vectors) : Lanes::tile_vectors));
  const std::size_t block = vectors * width;
  const std::size_t rows = piece(d.m, outer_rows<Lanes>(vectors));
  const std::size_t depth = piece(d.k, outer_depth);
  const std::size_t panel = larger(panel_floats / larger(d.n, depth) / rows, 1) * rows;
  alignas(64) float packed[outer_depth * packed_vectors * width];
  Target target{d.alpha, d.adds, d.c_row, d.c_column};
  std::size_t p = 0;
  do {
    const std::size_t k = smaller(depth, d.k - p);
    for (std::size_t top = 0; top < d.m; top += panel)
      for (std::size_t j = 0; j < d.n; j += block) {
        const std::size_t columns = smaller(block, d.n - j);
        const std::size_t used = (columns + width - 1) / width;
        const std::size_t last = columns - (used - 1) * width;
        OuterTile tile{k,       nullptr, d.a_row, d.a_column, d.b + p * d.b_row + j * d.b_column,
                       d.b_row, nullptr, last,    0};
        if (packs) {
          pack(k, columns, tile.b, d.b_row, d.b_column, packed, block);
          tile.b = packed;
          tile.b_row = block;
        }
        const std::size_t bottom = smaller(top + panel, d.m);
        tile.a = d.a + top * d.a_row + p * d.a_column;
        tile.c = d.c + top * d.c_row + j * d.c_column;
        tile.tiles = (bottom - top) / rows;
        find_outer<Lanes>(rows, used, last != width)(tile, target);
        if (const std::size_t left = (bottom - top) % rows) {
          tile.a += tile.tiles * rows * d.a_row;
          tile.c += tile.tiles * rows * d.c_row;
          tile.tiles = 1;
          find_outer<Lanes>(left, used, last != width)(tile, target);
        }
      }
    p += k;
    target.adds = true;
  } while (p < d.k);
}

// --- dot -----------------------------------------------------------------------------------------

struct DotTile {
  std::size_t k;
  const float* a;
  std::size_t a_row;
  const float* b;
  std::size_t b_column;
  float* c;
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
        DotTile tile{k, nullptr, d.a_row, d.b + p * d.b_row + j * d.b_column, d.b_column, nullptr};
        if (packs) {
          // The transposed block: its rows are the columns of op(B).
          pack(columns, k, tile.b, d.b_column, d.b_row, packed, depth);
          tile.b = packed;
          tile.b_column = depth;
        }
        const std::size_t bottom = smaller(top + panel, d.m);
        const std::size_t rows = smaller(dot_rows<Lanes>(columns), bottom - top);
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
