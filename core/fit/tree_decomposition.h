#pragma once

#include <optional>
#include <vector>

#include "core/fit/least_squares.h"

namespace rankfold {

/// A product of tensors whose graph is a tree: every mode of the data stands in one factor, every
/// other mode in two. Low-rank products, Kronecker products, tensor trains and Tucker's form are
/// such.
struct TreeShape {
  std::size_t root = 0;
  std::vector<std::size_t> order;      ///< all but the root, children before parents
  std::vector<std::size_t> parent;     ///< by operand
  std::vector<std::vector<int>> bond;  ///< by operand: the modes shared with the parent
  std::vector<std::vector<int>> data;  ///< by operand: its modes of the data
};
std::optional<TreeShape> find_tree(const FitBlock& block);

/// The factors by singular value decompositions from the leaves to the root, each of what those
/// before have left: truncated SVD for two factors, TT-SVD for a chain (Oseledets, SIAM J. Sci.
/// Comput. 33 (2011)), the sequentially truncated HOSVD for Tucker's form (Vannieuwenhoven et al.,
/// SIAM J. Sci. Comput. 34 (2012)). With d factors the error is at most sqrt(d - 1) times the best
/// one, and the best one for d = 2. All but the root's factor have orthonormal columns. Values are
/// contiguous over each operand's axes, which must be contiguous; bonds wider than needed hold
/// zeros.
template <class T>
std::vector<std::vector<double>> decompose_tree(const TreeShape& shape, const FitBlock& block,
                                                const T* data, const Device& device);

}  // namespace rankfold
