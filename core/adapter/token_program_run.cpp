#include <algorithm>

#include "core/adapter/token_program.h"

namespace rankfold {
namespace {

template <class T>
MatrixView<T> rows_of(MatrixView<T> matrix, std::size_t first, std::size_t count) {
  return {matrix.row(first), count, matrix.columns, matrix.stride};
}

/// x = f(x); all but relu keep their slopes.
template <class T>
void activate(const Device& device, Activation activation, std::size_t n, T* x, T* slopes) {
  switch (activation) {
    case Activation::none:
      return;
    case Activation::relu:
      return device.relu(n, x);
    case Activation::gelu:
      return device.apply(HiddenActivation::gelu, n, x, slopes);
    case Activation::silu:
      return device.apply(HiddenActivation::silu, n, x, slopes);
    case Activation::tanh:
      return device.apply(HiddenActivation::tanh, n, x, slopes);
  }
}

/// d = d f'(x), from f(x) or its slopes.
template <class T>
void reverse_activation(const Device& device, Activation activation, std::size_t n, const T* value,
                        const T* slopes, T* d) {
  if (activation == Activation::relu)
    device.relu_backward(n, value, d);
  else if (activation != Activation::none)
    device.scale_columns(slopes, MatrixView<T>(d, 1, n));
}

}  // namespace

/// Calls function(first, tokens, this lane's memory, whether it is the lane's first block) for all
/// blocks, each lane on neighbouring ones; returns how many lanes there were.
template <class T>
template <class Function>
std::size_t TokenProgram<T>::for_blocks(const Device& device, std::size_t tokens, T* shared,
                                        const Function& function) const {
  const std::size_t blocks = (tokens + block_ - 1) / block_;
  const std::size_t lanes = std::min(blocks, device.lanes());
  const auto work = [&](std::size_t lane) {
    const std::size_t begin = blocks * lane / lanes, end = blocks * (lane + 1) / lanes;
    T* mine = shared + shared_ + lane * private_;
    for (std::size_t block = begin; block < end; ++block)
      function(block * block_, std::min(block_, tokens - block * block_), mine, block == begin);
  };
  device.run_lanes(lanes, work);
  return lanes;
}

template <class T>
void TokenProgram<T>::evaluate_coefficients(const Device& device,
                                            const std::vector<Parameter<T>>& parameters,
                                            T* shared) const {
  trees_.evaluate(device, parameters, shared, trees_.size());
  for (const Coefficient& coefficient : coefficients_) {
    if (coefficient.tree != none) continue;
    T* value = shared + coefficient.value;
    device.fill(coefficient.size, T{0}, value);
    device.accumulate(coefficient.gather.for_tokens(1), T{1},
                      parameters[coefficient.source.index].value.data() + coefficient.source.offset,
                      static_cast<const T*>(nullptr), value);
  }
}

/// Adds up the lanes' accumulators in their order, and carries the sums to the parameters.
template <class T>
void TokenProgram<T>::add_gradients(const Device& device, std::vector<Parameter<T>>& parameters,
                                    std::size_t lanes, T* shared) const {
  T* const sums = shared + shared_;
  for (std::size_t lane = 1; lane < lanes; ++lane)
    device.add_matrix({sums + lane * private_, 1, accumulators_},
                      MatrixView<T>(sums, 1, accumulators_));
  trees_.clear_gradients(device, shared, trees_.size());
  for (const Coefficient& coefficient : coefficients_) {
    if (!coefficient.trainable) continue;
    const T* sum = sums + coefficient.accumulator;
    if (coefficient.tree != none)
      device.copy(sum, coefficient.size * sizeof(T), shared + trees_.gradient(coefficient.tree));
    else
      device.accumulate(
          coefficient.scatter.for_tokens(1), T{1}, sum, static_cast<const T*>(nullptr),
          parameters[coefficient.source.index].gradient.data() + coefficient.source.offset);
  }
  trees_.reverse(device, parameters, shared, trees_.size());
}

/// What the stack makes of a block of X, for all members at once.
template <class T>
void TokenProgram<T>::project(const Run& run, std::size_t first, std::size_t tokens,
                              T* mine) const {
  if (stack_rows_ != 0)
    run.device.gemm(false, true, tokens, stack_rows_, in_, T{1}, run.x.row(first), run.x.stride,
                    run.shared + stack_value_, in_, T{0}, mine + stack_product_, stack_rows_);
}

/// Forms the inner results of a chain, and adds the last one to the output where it has memory.
template <class T>
void TokenProgram<T>::run_chain(const Run& run, const Chain& chain, const T* input, T* output,
                                std::size_t tokens, T* mine) const {
  T* const scratch = mine + private_ - scratch_;
  for (std::size_t i = chain.stacked ? 1 : 0; i < chain.links.size(); ++i) {
    const Link& link = chain.links[i];
    const bool last = i + 1 == chain.links.size();
    if (last && !output) return;
    const T* before = i == 0 ? input : mine + chain.links[i - 1].value;
    link.forward.run(run.device, last ? chain.scale : T{1}, before,
                     run.shared + coefficients_[link.coefficient].value,
                     last ? output : mine + link.value, !last, tokens, scratch);
  }
}

/// output += the stage; without memory for it, only what a reverse reads.
template <class T>
void TokenProgram<T>::run_stage(const Run& run, const Stage& stage, const T* input, T* output,
                                std::size_t tokens, T* mine) const {
  for (const Chain& chain : stage.chains) run_chain(run, chain, input, output, tokens, mine);
  if (!output) return;
  for (const Row& row : stage.rows)
    run.device.accumulate(row.add.for_tokens(tokens), row.scale,
                          run.shared + coefficients_[row.coefficient].value,
                          static_cast<const T*>(nullptr), output);
}

template <class T>
void TokenProgram<T>::forward_block(const Run& run, std::size_t first, std::size_t tokens,
                                    T* mine) const {
  if (run.residual && !run.outputs.empty())
    run.device.copy_matrix(rows_of(run.x, first, tokens), rows_of(run.outputs[0], first, tokens));
  project(run, first, tokens, mine);
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const T* input = run.x.row(first);
    for (std::size_t s = 0; s < members_[m].stages.size(); ++s) {
      const Stage& stage = members_[m].stages[s];
      const bool last = s + 1 == members_[m].stages.size();
      // Without outputs the inner stages alone are formed, for a reverse.
      T* output = mine + stage.value;
      if (last) output = run.outputs.empty() ? nullptr : run.outputs[m].row(first);
      if (!last) run.device.fill(tokens * stage.out, T{0}, output);
      run_stage(run, stage, input, output, tokens, mine);
      if (!last)
        activate(run.device, stage.activation, tokens * stage.out, output, mine + stage.slopes);
      input = output;
    }
  }
}

/// The gradients of a chain's coefficients, and d_input += that of its input where it has memory
/// (of a stacked chain: the stack's gradient instead).
template <class T>
void TokenProgram<T>::reverse_chain(const Run& run, const Chain& chain, const T* input,
                                    const T* d_output, T* d_input, std::size_t tokens,
                                    T* mine) const {
  T* const scratch = mine + private_ - scratch_;
  const T* above = d_output;
  for (std::size_t i = chain.links.size(); i-- > (chain.stacked ? 1 : 0);) {
    const Link& link = chain.links[i];
    const Coefficient& coefficient = coefficients_[link.coefficient];
    const T scale = i + 1 == chain.links.size() ? chain.scale : T{1};
    const T* before = i == 0 ? input : mine + chain.links[i - 1].value;
    if (run.gradients && coefficient.trainable)
      link.to_coefficient.run(run.device, scale, above, before, mine + coefficient.accumulator,
                              false, tokens, scratch);
    if (i == 0) {
      if (d_input)
        link.to_input.run(run.device, scale, above, run.shared + coefficient.value, d_input, false,
                          tokens, scratch);
      return;
    }
    T* below = mine + chain.links[i - 1].gradient;
    const bool overwrite = !(chain.stacked && i == 1) || chain.writes_first;
    link.to_input.run(run.device, scale, above, run.shared + coefficient.value, below, overwrite,
                      tokens, scratch);
    above = below;
  }
}

template <class T>
void TokenProgram<T>::backward_block(const Run& run, std::size_t first, std::size_t tokens,
                                     T* mine) const {
  forward_block(run, first, tokens, mine);
  T* const dx = run.dx.data ? run.dx.row(first) : nullptr;
  if (run.residual && dx) {
    const MatrixView<const T> from = rows_of(run.d_outputs[0], first, tokens);
    const MatrixView<T> to = rows_of(run.dx, first, tokens);
    if (run.into == Into::overwrite)
      run.device.copy_matrix(from, to);
    else
      run.device.add_matrix(from, to);
  }
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const std::vector<Stage>& stages = members_[m].stages;
    const T* d_output = run.d_outputs[m].row(first);
    for (std::size_t s = stages.size(); s-- > 0;) {
      const Stage& stage = stages[s];
      const T* input = s == 0 ? run.x.row(first) : mine + stages[s - 1].value;
      T* d_input = s == 0 ? dx : mine + stages[s - 1].gradient;
      if (s > 0) run.device.fill(tokens * stage.in, T{0}, d_input);
      for (const Chain& chain : stage.chains)
        reverse_chain(run, chain, input, d_output, d_input, tokens, mine);
      if (run.gradients)
        for (const Row& row : stage.rows)
          if (coefficients_[row.coefficient].trainable)
            run.device.accumulate(row.sum.for_tokens(tokens), row.scale, d_output,
                                  static_cast<const T*>(nullptr),
                                  mine + coefficients_[row.coefficient].accumulator);
      if (s > 0)
        reverse_activation(run.device, stages[s - 1].activation, tokens * stage.in, input,
                           mine + stages[s - 1].slopes, d_input);
      d_output = d_input;
    }
  }
  if (stack_rows_ == 0) return;
  if (run.gradients)
    run.device.gemm(true, false, stack_rows_, in_, tokens, T{1}, mine + stack_gradient_,
                    stack_rows_, run.x.row(first), run.x.stride, T{1}, mine + stack_accumulator_,
                    in_);
  if (dx)
    run.device.gemm(false, false, tokens, in_, stack_rows_, T{1}, mine + stack_gradient_,
                    stack_rows_, run.shared + stack_value_, in_, T{1}, dx, run.dx.stride);
}

template <class T>
void TokenProgram<T>::forward(const Device& device, const std::vector<Parameter<T>>& parameters,
                              MatrixView<const T> x, std::span<const MatrixView<T>> outputs,
                              bool residual, T* memory) const {
  evaluate_coefficients(device, parameters, memory);
  const Run run{device, parameters, x, outputs, {}, {}, residual, Into::add, false, memory};
  for_blocks(device, x.rows, memory, [&](std::size_t first, std::size_t tokens, T* mine, bool) {
    forward_block(run, first, tokens, mine);
  });
}

template <class T>
void TokenProgram<T>::backward(const Device& device, std::vector<Parameter<T>>& parameters,
                               MatrixView<const T> x,
                               std::span<const MatrixView<const T>> d_outputs, MatrixView<T> dx,
                               bool residual, Into into, bool gradients, T* memory) const {
  evaluate_coefficients(device, parameters, memory);
  const Run run{device, parameters, x, {}, d_outputs, dx, residual, into, gradients, memory};
  const std::size_t lanes = for_blocks(
      device, x.rows, memory, [&](std::size_t first, std::size_t tokens, T* mine, bool is_first) {
        if (is_first && gradients) device.fill(accumulators_, T{0}, mine);
        backward_block(run, first, tokens, mine);
      });
  if (gradients) add_gradients(device, parameters, lanes, memory);
}

template void TokenProgram<float>::forward(const Device&, const std::vector<Parameter<float>>&,
                                           MatrixView<const float>,
                                           std::span<const MatrixView<float>>, bool, float*) const;
template void TokenProgram<double>::forward(const Device&, const std::vector<Parameter<double>>&,
                                            MatrixView<const double>,
                                            std::span<const MatrixView<double>>, bool,
                                            double*) const;
template void TokenProgram<float>::backward(const Device&, std::vector<Parameter<float>>&,
                                            MatrixView<const float>,
                                            std::span<const MatrixView<const float>>,
                                            MatrixView<float>, bool, Into, bool, float*) const;
template void TokenProgram<double>::backward(const Device&, std::vector<Parameter<double>>&,
                                             MatrixView<const double>,
                                             std::span<const MatrixView<const double>>,
                                             MatrixView<double>, bool, Into, bool, double*) const;

}  // namespace rankfold
