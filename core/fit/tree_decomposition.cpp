#include "core/fit/tree_decomposition.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

/// Sides of a matrix up to which the product with its transpose is decomposed as a whole.
constexpr std::size_t small_side = 320;

/// A tensor over modes that may be empty of axes (modes of one value vanish).
struct TensorAxes {
  std::vector<int> modes;
  std::vector<std::size_t> sizes;
};

template <class T>
void transpose(const T* from, std::size_t rows, std::size_t columns, T* to) {
  constexpr std::size_t tile = 16;
  for (std::size_t i0 = 0; i0 < rows; i0 += tile)
    for (std::size_t j0 = 0; j0 < columns; j0 += tile)
      for (std::size_t i = i0; i < std::min(rows, i0 + tile); ++i)
        for (std::size_t j = j0; j < std::min(columns, j0 + tile); ++j)
          to[j * rows + i] = from[i * columns + j];
}

/// The tensor with its modes in another order.
template <class T>
std::vector<T> permute(const T* from, const std::vector<std::size_t>& sizes,
                       const std::vector<std::size_t>& order) {
  std::vector<std::size_t> strides(sizes.size());
  std::size_t total = 1;
  for (std::size_t i = sizes.size(); i-- > 0;) {
    strides[i] = total;
    total *= sizes[i];
  }
  // Neighbours that stay neighbours are one loop.
  std::vector<std::size_t> extent, step;
  for (const std::size_t mode : order) {
    if (!extent.empty() && step.back() == sizes[mode] * strides[mode]) {
      extent.back() *= sizes[mode];
      step.back() = strides[mode];
    } else {
      extent.push_back(sizes[mode]);
      step.push_back(strides[mode]);
    }
  }
  std::vector<T> to(total);
  if (extent.size() <= 1) {
    std::copy_n(from, total, to.data());
    return to;
  }
  if (extent.size() == 2 && step[0] == 1 && step[1] == extent[0]) {
    transpose(from, extent[1], extent[0], to.data());
    return to;
  }
  T* at = to.data();
  const auto walk = [&](auto&& self, std::size_t depth, std::size_t base) -> void {
    if (depth + 1 == extent.size()) {
      for (std::size_t i = 0; i < extent[depth]; ++i) *at++ = from[base + i * step[depth]];
      return;
    }
    for (std::size_t i = 0; i < extent[depth]; ++i) self(self, depth + 1, base + i * step[depth]);
  };
  walk(walk, 0, 0);
  return to;
}

template <class T>
std::vector<double> exact(const std::vector<T>& values) {
  return {values.begin(), values.end()};
}
template <class T>
std::vector<T> rounded(const std::vector<double>& values) {
  std::vector<T> result(values.size());
  std::ranges::transform(values, result.begin(),
                         [](double value) { return static_cast<T>(value); });
  return result;
}

/// Leading columns of the eigenvectors of a symmetric matrix [n, n].
std::vector<double> leading_vectors(const std::vector<double>& matrix, std::size_t n,
                                    std::size_t count) {
  const SymmetricParts parts = decompose_symmetric({matrix.data(), n, n});
  std::vector<double> vectors(n * count);
  for (std::size_t i = 0; i < n; ++i)
    std::copy_n(parts.vectors.data() + i * n, count, vectors.data() + i * count);
  return vectors;
}

/// U[rows, rank], orthonormal: the leading left singular vectors of M[rows, columns], rank below
/// both sides.
template <class T>
std::vector<T> leading_left(const Device& device, const T* matrix, std::size_t rows,
                            std::size_t columns, std::size_t rank) {
  std::vector<T> basis;
  std::size_t width = rank;
  int passes = 1;
  if (rows <= small_side && rows <= columns) {
    std::vector<T> gram(rows * rows);
    device.gemm(false, true, rows, rows, columns, T{1}, matrix, columns, matrix, columns, T{0},
                gram.data(), rows);
    basis = rounded<T>(leading_vectors(exact(gram), rows, rank));
  } else if (columns <= small_side) {
    std::vector<T> gram(columns * columns);
    device.gemm(true, false, columns, columns, rows, T{1}, matrix, columns, matrix, columns, T{0},
                gram.data(), columns);
    const std::vector<T> right = rounded<T>(leading_vectors(exact(gram), columns, rank));
    std::vector<T> image(rows * rank);
    device.gemm(false, false, rows, rank, columns, T{1}, matrix, columns, right.data(), rank, T{0},
                image.data(), rank);
    basis = rounded<T>(orthonormal_columns({exact(image).data(), rows, rank}));
  } else {
    width = std::min({rows, columns, rank + std::max<std::size_t>(8, rank / 2)});
    passes = 6;
    std::vector<T> start(columns * width);
    RandomStream(0, "fit/range").fill_normal(std::span<T>(start), 0, 1);
    basis.resize(rows * width);
    device.gemm(false, false, rows, width, columns, T{1}, matrix, columns, start.data(), width,
                T{0}, basis.data(), width);
    basis = rounded<T>(orthonormal_columns({exact(basis).data(), rows, width}));
  }
  // A step of the subspace iteration: products with M itself find what rounding of M M^T hides.
  std::vector<T> image(columns * width);
  const auto project = [&] {
    device.gemm(true, false, columns, width, rows, T{1}, matrix, columns, basis.data(), width, T{0},
                image.data(), width);
  };
  for (int pass = 0; pass < passes; ++pass) {
    project();
    if (passes > 1) image = rounded<T>(orthonormal_columns({exact(image).data(), columns, width}));
    device.gemm(false, false, rows, width, columns, T{1}, matrix, columns, image.data(), width,
                T{0}, basis.data(), width);
    basis = rounded<T>(orthonormal_columns({exact(basis).data(), rows, width}));
  }
  if (width == rank) return basis;
  project();
  std::vector<T> gram(width * width), turned(rows * rank);
  device.gemm(true, false, width, width, columns, T{1}, image.data(), width, image.data(), width,
              T{0}, gram.data(), width);
  const std::vector<T> turn = rounded<T>(leading_vectors(exact(gram), width, rank));
  device.gemm(false, false, rows, rank, width, T{1}, basis.data(), width, turn.data(), rank, T{0},
              turned.data(), rank);
  return turned;
}

}  // namespace

std::optional<TreeShape> find_tree(const FitBlock& block) {
  if (block.terms.size() != 1) return {};
  const std::vector<FitOperand>& operands = block.terms.front().operands;
  const std::size_t count = operands.size();
  if (count == 0) return {};
  TreeShape shape;
  shape.data.resize(count);
  std::map<int, std::vector<std::size_t>> holders;
  for (std::size_t k = 0; k < count; ++k)
    for (const Axis& axis : operands[k].axes) holders[axis.mode].push_back(k);
  std::map<std::pair<std::size_t, std::size_t>, std::vector<int>> edges;
  for (const auto& [mode, who] : holders) {
    const bool in_data = find_axis(block.data, mode) != nullptr;
    if (who.size() != (in_data ? 1U : 2U) || (!in_data && who[0] == who[1])) return {};
    if (in_data) continue;
    edges[{who[0], who[1]}].push_back(mode);
  }
  for (const Axis& axis : block.data) {
    const auto who = holders.find(axis.mode);
    if (who == holders.end()) return {};
    shape.data[who->second.front()].push_back(axis.mode);
  }
  // Factors without a common mode are joined by a bond of one value.
  std::vector<std::size_t> part(count);
  for (std::size_t k = 0; k < count; ++k) part[k] = k;
  const auto join = [&](std::size_t a, std::size_t b) {
    const std::size_t from = part[b], to = part[a];
    std::ranges::replace(part, from, to);
  };
  for (const auto& [edge, modes] : edges) join(edge.first, edge.second);
  for (std::size_t k = 1; k < count; ++k)
    if (part[k] != part[0]) {
      edges[{0, k}];
      join(0, k);
    }
  if (edges.size() != count - 1) return {};
  std::vector<std::size_t> degree(count, 0);
  for (const auto& [edge, modes] : edges) {
    ++degree[edge.first];
    ++degree[edge.second];
  }
  for (std::size_t k = 0; k < count; ++k)
    if (degree[k] >= degree[shape.root]) shape.root = k;
  shape.parent.assign(count, shape.root);
  shape.bond.resize(count);
  const auto visit = [&](auto&& self, std::size_t node, std::size_t from) -> void {
    for (const auto& [edge, modes] : edges) {
      if (edge.first != node && edge.second != node) continue;
      const std::size_t other = edge.first == node ? edge.second : edge.first;
      if (other == from) continue;
      shape.parent[other] = node;
      shape.bond[other] = modes;
      self(self, other, node);
      shape.order.push_back(other);
    }
  };
  visit(visit, shape.root, count);
  return shape;
}

template <class T>
std::vector<std::vector<double>> decompose_tree(const TreeShape& shape, const FitBlock& block,
                                                const T* data, const Device& device) {
  const FitTerm& term = block.terms.front();
  const std::vector<FitOperand>& operands = term.operands;
  std::map<int, std::size_t> size_of;
  for (const Axis& axis : block.data) size_of[axis.mode] = axis.size;
  for (const FitOperand& operand : operands)
    for (const Axis& axis : operand.axes) size_of[axis.mode] = axis.size;
  TensorAxes axes;
  for (const Axis& axis : block.data) {
    axes.modes.push_back(axis.mode);
    axes.sizes.push_back(axis.size);
  }
  std::vector<T> kept;  // the tensor so far, once it is no longer the data
  const T* tensor = data;
  std::vector<std::vector<double>> factors(operands.size());

  /// The tensor with these modes first, the others behind in their order.
  const auto bring_first = [&](const std::vector<int>& first) {
    std::vector<std::size_t> order;
    for (const int mode : first)
      order.push_back(
          static_cast<std::size_t>(std::ranges::find(axes.modes, mode) - axes.modes.begin()));
    for (std::size_t i = 0; i < axes.modes.size(); ++i)
      if (std::ranges::find(first, axes.modes[i]) == first.end()) order.push_back(i);
    if (std::ranges::is_sorted(order)) return;
    kept = permute(tensor, axes.sizes, order);
    tensor = kept.data();
    TensorAxes turned;
    for (const std::size_t i : order) {
      turned.modes.push_back(axes.modes[i]);
      turned.sizes.push_back(axes.sizes[i]);
    }
    axes = std::move(turned);
  };
  /// Writes a factor given over `modes` in the order of its operand's axes.
  const auto store = [&](std::size_t node, const std::vector<double>& values,
                         const std::vector<int>& modes) {
    std::vector<std::size_t> sizes, order;
    for (const int mode : modes) sizes.push_back(size_of.at(mode));
    for (const Axis& axis : operands[node].axes)
      order.push_back(
          static_cast<std::size_t>(std::ranges::find(modes, axis.mode) - modes.begin()));
    factors[node] = permute(values.data(), sizes, order);
  };
  const auto own_modes = [&](std::size_t node) {
    // In the order in which the tensor has them: no copy where they are in front.
    std::vector<int> modes;
    for (const int mode : axes.modes) {
      const auto in = [&](const std::vector<int>& list) {
        return std::ranges::find(list, mode) != list.end();
      };
      bool own = in(shape.data[node]);
      for (std::size_t child = 0; child < operands.size(); ++child)
        own = own || (child != shape.root && shape.parent[child] == node && in(shape.bond[child]));
      if (own) modes.push_back(mode);
    }
    return modes;
  };

  for (const std::size_t node : shape.order) {
    std::vector<int> modes = own_modes(node);
    bring_first(modes);
    std::size_t rows = 1, columns = 1, bond = 1;
    for (std::size_t i = 0; i < axes.sizes.size(); ++i)
      (i < modes.size() ? rows : columns) *= axes.sizes[i];
    for (const int mode : shape.bond[node]) bond *= size_of.at(mode);
    const std::size_t rank = std::min({rows, columns, bond});
    std::vector<double> basis(rows * bond, 0.0);
    const bool keeps_tensor = rank == rows && bond == rows;  // the basis is the identity
    std::vector<T> projected(keeps_tensor ? 0 : bond * columns, T{0});
    if (keeps_tensor) {
      for (std::size_t i = 0; i < rows; ++i) basis[i * rows + i] = 1;
    } else if (rank == rows) {
      for (std::size_t i = 0; i < rows; ++i) basis[i * bond + i] = 1;
      std::copy_n(tensor, rows * columns, projected.data());
    } else {
      std::vector<T> left;
      if (rank == columns) {  // all of the columns' space
        left = rounded<T>(orthonormal_columns(
            {std::vector<double>(tensor, tensor + rows * columns).data(), rows, columns}));
      } else {
        left = leading_left(device, tensor, rows, columns, rank);
      }
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t p = 0; p < rank; ++p)
          basis[i * bond + p] = static_cast<double>(left[i * rank + p]);
      device.gemm(true, false, rank, columns, rows, T{1}, left.data(), rank, tensor, columns, T{0},
                  projected.data(), columns);
    }
    TensorAxes next;
    for (const int mode : shape.bond[node]) {
      next.modes.push_back(mode);
      next.sizes.push_back(size_of.at(mode));
    }
    for (std::size_t i = modes.size(); i < axes.modes.size(); ++i) {
      next.modes.push_back(axes.modes[i]);
      next.sizes.push_back(axes.sizes[i]);
    }
    modes.insert(modes.end(), shape.bond[node].begin(), shape.bond[node].end());
    store(node, basis, modes);
    axes = std::move(next);
    if (keeps_tensor) continue;
    kept = std::move(projected);
    tensor = kept.data();
  }
  std::size_t size = 1;
  for (const std::size_t extent : axes.sizes) size *= extent;
  std::vector<double> core(tensor, tensor + size);
  for (double& value : core) value /= term.scale;
  store(shape.root, core, axes.modes);
  return factors;
}

template std::vector<std::vector<double>> decompose_tree(const TreeShape&, const FitBlock&,
                                                         const float*, const Device&);
template std::vector<std::vector<double>> decompose_tree(const TreeShape&, const FitBlock&,
                                                         const double*, const Device&);

}  // namespace rankfold
