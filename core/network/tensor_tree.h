#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/network/compiled_network.h"
#include "core/network/contraction.h"

namespace rankfold {

/// A product of tensors without tokens, evaluated and differentiated in its planned order. It takes
/// no memory: callers give it the numbers that it asks for.
template <class T>
class TensorTree {
 public:
  explicit TensorTree(const ContractionTree& tree);

  std::size_t operands() const { return operands_; }
  std::size_t output_size() const { return output_size_; }
  /// Numbers for the results between the first and the last product.
  std::size_t inner_size() const { return inner_size_; }
  std::size_t scratch_size() const { return scratch_; }
  /// Multiplications and additions of one evaluation.
  double flops() const { return flops_; }

  /// target (+)= scale * the product, contiguous over the tree's output; `inner` keeps what reverse
  /// reads. Without memory for the target only that is formed.
  void evaluate(const Device& device, std::span<const T* const> operands, T scale, T* target,
                bool overwrite, T* inner, T* scratch) const;

  /// From the gradient of the output: adds scale * the gradient to that of every operand that has
  /// one (null: not wanted). `inner_gradients` holds inner_size numbers.
  void reverse(const Device& device, std::span<const T* const> operands, T scale, const T* gradient,
               std::span<T* const> gradients, const T* inner, T* inner_gradients, T* scratch) const;

 private:
  struct Step {
    std::size_t left, right;
    std::size_t offset = 0;  ///< of its result in `inner`
    PairProduct<T> product, to_left, to_right;
  };

  std::size_t operands_ = 0, output_size_ = 0, inner_size_ = 0, scratch_ = 0;
  double flops_ = 0;
  std::vector<Step> steps_;
  TokenLoop copy_, copy_back_;  ///< of a single operand
};

}  // namespace rankfold
