#include "core/term_run.h"

#include <algorithm>
#include <cstring>

namespace rankfold {
namespace {

std::vector<Axis> with_tokens(std::vector<Axis> axes, std::size_t tokens) {
  if (!axes.empty() && axes.front().mode == token_mode) axes.front().size = tokens;
  return axes;
}

/// A matrix [tokens, ...] over the modes that `axes` lists after the token mode.
template <class T>
TensorView<T> as_tensor(MatrixView<T> matrix, std::vector<Axis> axes) {
  axes.front().size = matrix.rows;
  axes.front().stride = matrix.stride;
  return {matrix.data, std::move(axes)};
}

/// A tree without steps needs one slot for a copy.
std::size_t tree_slots(const ContractionTree& tree) {
  return std::max<std::size_t>(tree.steps.size(), 1);
}

}  // namespace

template <class T>
T* reserve_slot(Trace<T>& trace, std::size_t slot, std::size_t size,
                const std::shared_ptr<const Backend>& backend) {
  if (trace.buffers.size() <= slot) trace.buffers.resize(slot + 1);
  Buffer<T>& buffer = trace.buffers[slot];
  if (buffer.size() < size)
    buffer = Buffer<T>(backend, size);
  else
    std::memset(static_cast<void*>(buffer.data()), 0, size * sizeof(T));
  return buffer.data();
}

std::size_t trace_slots(const CompiledTerm& term) {
  std::size_t slots = tree_slots(term.apply);
  for (const ContractionTree& block : term.blocks) slots += tree_slots(block);
  return slots;
}

template <class T>
TermRun<T>::TermRun(const std::shared_ptr<const Backend>& backend, Scratch<T>& scratch,
                    const std::vector<Parameter<T>>& parameters, const CompiledTerm& term,
                    std::size_t first_slot, MatrixView<const T> x)
    : backend_(backend),
      scratch_(scratch),
      parameters_(parameters),
      term_(term),
      first_slot_(first_slot),
      x_(x) {}

template <class T>
std::size_t TermRun<T>::block_slot(std::size_t block) const {
  std::size_t slot = first_slot_;
  for (std::size_t i = 0; i < block; ++i) slot += tree_slots(term_.blocks[i]);
  return slot;
}

template <class T>
TensorView<const T> TermRun<T>::value(const ContractionTree& tree, std::size_t slot,
                                      std::size_t index, const Trace<T>& trace) const {
  if (index >= tree.operands.size()) {
    const std::size_t step = index - tree.operands.size();
    return {trace.buffers[slot + step].data(), with_tokens(tree.results[step], x_.rows)};
  }
  const TreeOperand& operand = tree.operands[index];
  switch (operand.kind) {
    case TreeOperand::Kind::parameter:
      return {parameters_[operand.index].value.data() + operand.offset, operand.axes};
    case TreeOperand::Kind::input:
      return as_tensor(x_, operand.axes);
    case TreeOperand::Kind::block:
      break;
  }
  const std::size_t root = block_slot(operand.index) + tree_slots(term_.blocks[operand.index]) - 1;
  return {trace.buffers[root].data(), operand.axes};
}

/// target += scale * product of the tree.
template <class T>
void TermRun<T>::evaluate(const ContractionTree& tree, std::size_t slot, T scale, Trace<T>& trace,
                          const TensorView<T>& target) const {
  if (tree.steps.empty())
    return accumulate<T>(*backend_, scale, value(tree, slot, 0, trace), target);
  for (std::size_t i = 0; i < tree.steps.size(); ++i) {
    const bool last = i + 1 == tree.steps.size();
    TensorView<T> result = target;
    if (!last) {
      result.axes = with_tokens(tree.results[i], x_.rows);
      result.data = reserve_slot(trace, slot + i, volume(result.axes), backend_);
    }
    contract<T>(*backend_, scratch_, last ? scale : T{1},
                value(tree, slot, tree.steps[i].left, trace),
                value(tree, slot, tree.steps[i].right, trace), result);
  }
}

template <class T>
void TermRun<T>::evaluate_blocks(Trace<T>& trace) const {
  for (std::size_t i = 0; i < term_.blocks.size(); ++i) {
    const ContractionTree& block = term_.blocks[i];
    const std::size_t root = block_slot(i) + tree_slots(block) - 1;
    T* data = reserve_slot(trace, root, volume(block.output), backend_);
    evaluate(block, block_slot(i), T{1}, trace, {data, block.output});
  }
}

template <class T>
void TermRun<T>::apply(Trace<T>& trace, MatrixView<T> y) const {
  evaluate_blocks(trace);
  const auto scale = static_cast<T>(term_.scale);
  const std::vector<Axis>& axes = term_.apply.output;
  if (!term_.constant)
    return evaluate(term_.apply, product_slot(), scale, trace, as_tensor(y, axes));
  const std::size_t slot = product_slot() + tree_slots(term_.apply) - 1;
  T* row = reserve_slot(trace, slot, volume(axes), backend_);
  evaluate(term_.apply, product_slot(), T{1}, trace, {row, axes});
  std::vector<Axis> every_row = axes;
  every_row.insert(every_row.begin(), Axis{token_mode, y.rows, y.stride});
  accumulate<T>(*backend_, scale, {row, axes}, {y.data, every_row});
}

template <class T>
void TermRun<T>::reconstruct(Trace<T>& trace, T* delta) const {
  evaluate_blocks(trace);
  evaluate(term_.reconstruct, product_slot(), static_cast<T>(term_.scale), trace,
           {delta, term_.reconstruct.output});
}

/// Walks the tree in reverse: the gradients of a product's two operands are its own gradient
/// contracted with the other operand.
template <class T>
void TermRun<T>::reverse_tree(const ContractionTree& tree, std::size_t slot, const Trace<T>& trace,
                              const Target& target, T scale,
                              const TensorView<const T>& gradient) const {
  const std::size_t operands = tree.operands.size();
  std::vector<TensorView<T>> into(operands + tree.steps.size());
  for (std::size_t i = 0; i < operands; ++i) into[i] = target(tree.operands[i]);
  if (tree.steps.empty()) {
    if (into[0].data) accumulate<T>(*backend_, scale, gradient, into[0]);
    return;
  }
  for (std::size_t i = 0; i + 1 < tree.steps.size(); ++i) {
    if (!into[tree.steps[i].left].data && !into[tree.steps[i].right].data) continue;
    TensorView<T>& step = into[operands + i];
    step.axes = with_tokens(tree.results[i], x_.rows);
    step.data = scratch_.take(volume(step.axes));
  }
  for (std::size_t i = tree.steps.size(); i-- > 0;) {
    const bool last = i + 1 == tree.steps.size();
    const std::size_t left = tree.steps[i].left, right = tree.steps[i].right;
    const TensorView<const T> above =
        last ? gradient : TensorView<const T>{into[operands + i].data, into[operands + i].axes};
    for (const auto& [operand, other] : {std::pair(left, right), std::pair(right, left)})
      if (into[operand].data)
        contract<T>(*backend_, scratch_, last ? scale : T{1}, above,
                    value(tree, slot, other, trace), into[operand]);
  }
}

template <class T>
void TermRun<T>::reverse(const Trace<T>& trace, MatrixView<const T> dy, MatrixView<T> dx,
                         std::vector<Parameter<T>>& parameters) const {
  std::vector<T*> block_gradients(term_.blocks.size(), nullptr);
  const Target target = [&](const TreeOperand& operand) -> TensorView<T> {
    switch (operand.kind) {
      case TreeOperand::Kind::parameter: {
        Parameter<T>& parameter = parameters[operand.index];
        if (!parameter.trainable) return {};
        return {parameter.gradient.data() + operand.offset, operand.axes};
      }
      case TreeOperand::Kind::input:
        return dx.data ? as_tensor(dx, operand.axes) : TensorView<T>{};
      case TreeOperand::Kind::block:
        break;
    }
    T*& gradient = block_gradients[operand.index];
    if (!gradient) gradient = scratch_.take(volume(operand.axes));
    return {gradient, operand.axes};
  };
  const std::vector<Axis>& axes = term_.apply.output;
  TensorView<const T> above;
  if (term_.constant) {
    // A bias meets every row: its gradient is the column sums of dY.
    std::vector<Axis> every_row = axes;
    every_row.insert(every_row.begin(), Axis{token_mode, dy.rows, dy.stride});
    T* sums = scratch_.take(volume(axes));
    accumulate<T>(*backend_, T{1}, {dy.data, every_row}, {sums, axes});
    above = {sums, axes};
  } else {
    above = as_tensor(dy, axes);
  }
  reverse_tree(term_.apply, product_slot(), trace, target, static_cast<T>(term_.scale), above);
  for (std::size_t block = term_.blocks.size(); block-- > 0;)
    if (block_gradients[block])
      reverse_tree(term_.blocks[block], block_slot(block), trace, target, T{1},
                   {block_gradients[block], term_.blocks[block].output});
}

template float* reserve_slot(Trace<float>&, std::size_t, std::size_t,
                             const std::shared_ptr<const Backend>&);
template double* reserve_slot(Trace<double>&, std::size_t, std::size_t,
                              const std::shared_ptr<const Backend>&);
template class TermRun<float>;
template class TermRun<double>;

}  // namespace rankfold
