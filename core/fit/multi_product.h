#pragma once

#include <span>
#include <vector>

#include "core/network/tensor_tree.h"

namespace rankfold {

/// Working memory of products, grown as they ask for it; one for each thread.
template <class T>
struct ProductMemory {
  std::vector<T> inner, scratch;
};

/// target[...] (+)= scale * the product of any number of strided tensors, summed over the modes
/// that the target does not have, in an order chosen when it is made: the cheapest of all where
/// there are few operands, found greedily where there are many. Modes are any numbers.
template <class T>
class MultiProduct {
 public:
  MultiProduct() = default;
  /// Throws Error where there are too many modes for one product.
  MultiProduct(const std::vector<std::vector<Axis>>& operands, const std::vector<Axis>& target);

  /// `target` points at the first element; with `overwrite` its axes are contiguous.
  void run(const Device& device, std::span<const T* const> operands, T scale, T* target,
           bool overwrite, ProductMemory<T>& memory) const;

 private:
  std::vector<TensorTree<T>> tree_;  ///< none (no operand: the empty product is 1) or one
  std::size_t size_ = 1;             ///< of the target
  TokenLoop fill_;                   ///< adds the empty product
};

}  // namespace rankfold
