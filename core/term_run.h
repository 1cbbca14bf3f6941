#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "core/adapter.h"
#include "core/compiled_network.h"
#include "core/contraction.h"

namespace rankfold {

/// Memory of slot `slot` of a trace: `size` zeros, reused where it is large enough.
template <class T>
T* reserve_slot(Trace<T>& trace, std::size_t slot, std::size_t size,
                const std::shared_ptr<const Backend>& backend);

/// Slots of a trace that a term needs: the intermediate results of its blocks and its product.
std::size_t trace_slots(const CompiledTerm& term);

/// One term of a network at work for one call: knows where every operand and intermediate lies. The
/// objects that it is given outlive it.
template <class T>
class TermRun {
 public:
  /// `x` is [tokens, in] (no memory needed for reconstruct); `first_slot`: the term's own in the
  /// trace.
  TermRun(const std::shared_ptr<const Backend>& backend, Scratch<T>& scratch,
          const std::vector<Parameter<T>>& parameters, const CompiledTerm& term,
          std::size_t first_slot, MatrixView<const T> x);

  /// Y += term(X); intermediate results go to the trace.
  void apply(Trace<T>& trace, MatrixView<T> y) const;
  /// delta[out, in] += the term without X.
  void reconstruct(Trace<T>& trace, T* delta) const;
  /// From dY and the trace of apply: adds to dX (skipped where it has no memory) and to the
  /// gradients of the trainable parameters.
  void reverse(const Trace<T>& trace, MatrixView<const T> dy, MatrixView<T> dx,
               std::vector<Parameter<T>>& parameters) const;

 private:
  /// Where an operand's gradient is added; no memory: it is not wanted.
  using Target = std::function<TensorView<T>(const TreeOperand&)>;

  std::size_t block_slot(std::size_t block) const;
  std::size_t product_slot() const { return block_slot(term_.blocks.size()); }
  TensorView<const T> value(const ContractionTree& tree, std::size_t slot, std::size_t index,
                            const Trace<T>& trace) const;
  void evaluate(const ContractionTree& tree, std::size_t slot, T scale, Trace<T>& trace,
                const TensorView<T>& target) const;
  void evaluate_blocks(Trace<T>& trace) const;
  void reverse_tree(const ContractionTree& tree, std::size_t slot, const Trace<T>& trace,
                    const Target& target, T scale, const TensorView<const T>& gradient) const;

  const std::shared_ptr<const Backend>& backend_;
  Scratch<T>& scratch_;
  const std::vector<Parameter<T>>& parameters_;
  const CompiledTerm& term_;
  std::size_t first_slot_;
  MatrixView<const T> x_;
};

}  // namespace rankfold
