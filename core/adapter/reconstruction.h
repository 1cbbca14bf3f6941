#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "core/adapter/tree_program.h"
#include "core/network/compiled_network.h"

namespace rankfold {

/// dW[out, in] of one site as a dense matrix, and the gradients of its factors from the dense
/// gradient G[out, in] = dLoss/dW'.
template <class T>
class Reconstruction {
 public:
  Reconstruction(const CompiledNetwork& network, const std::vector<Parameter<T>>& parameters);

  std::size_t memory_size() const { return memory_; }
  double flops() const { return trees_.flops(); }

  /// dense += dW, contiguous.
  void add_to(const Device& device, const std::vector<Parameter<T>>& parameters, T* dense,
              T* memory) const;
  /// Adds to the gradients of the trainable factors.
  void reverse(const Device& device, std::vector<Parameter<T>>& parameters, const T* dense,
               T* memory) const;

 private:
  /// Of a term that is diagonal in some modes: where its numbers stand in [out, in].
  struct Places {
    TokenLoop scatter, gather;
  };

  TreeProgram<T> trees_;  ///< the blocks of all terms, then one tree a term
  std::vector<T> scales_;
  std::vector<std::optional<Places>> diagonals_;  ///< one a term
  std::size_t blocks_ = 0, memory_ = 0;
};

}  // namespace rankfold
