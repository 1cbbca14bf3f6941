#include <omp.h>

#include <algorithm>
#include <functional>

#include "core/adapter/token_program.h"

namespace rankfold {

/// Calls function(first, tokens, this thread's memory, whether it is the thread's first block) for
/// all blocks, each thread on neighbouring ones; returns how many threads there were.
template <class T>
template <class Function>
std::size_t TokenProgram<T>::for_blocks(std::size_t tokens, T* shared, Function&& function) const {
  const std::size_t blocks = (tokens + block_ - 1) / block_;
  const std::size_t threads =
      std::min<std::size_t>(blocks, static_cast<std::size_t>(omp_get_max_threads()));
  const auto work = [&](std::size_t thread) {
    const std::size_t begin = blocks * thread / threads, end = blocks * (thread + 1) / threads;
    T* mine = shared + shared_ + thread * private_;
    for (std::size_t block = begin; block < end; ++block)
      function(block * block_, std::min(block_, tokens - block * block_), mine, block == begin);
  };
  if (threads == 1) {
    work(0);
    return 1;
  }
#pragma omp parallel for num_threads(static_cast <int>(threads)) schedule(static, 1)
  for (std::size_t thread = 0; thread < threads; ++thread) work(thread);
  return threads;
}

template <class T>
void TokenProgram<T>::evaluate_coefficients(const Device& device,
                                            const std::vector<Parameter<T>>& parameters,
                                            T* shared) const {
  trees_.evaluate(device, parameters, shared, trees_.size());
  for (const Coefficient& coefficient : coefficients_) {
    if (coefficient.tree != none) continue;
    T* value = shared + coefficient.value;
    std::fill_n(value, coefficient.size, T{0});
    device.accumulate(coefficient.gather.for_tokens(1), T{1},
                      parameters[coefficient.source.index].value.data() + coefficient.source.offset,
                      static_cast<const T*>(nullptr), value);
  }
}

/// Adds up the threads' accumulators in their order, and carries the sums to the parameters.
template <class T>
void TokenProgram<T>::add_gradients(const Device& device, std::vector<Parameter<T>>& parameters,
                                    std::size_t threads, T* shared) const {
  T* const sums = shared + shared_;
  for (std::size_t thread = 1; thread < threads; ++thread) {
    const T* part = sums + thread * private_;
    for (std::size_t i = 0; i < accumulators_; ++i) sums[i] += part[i];
  }
  trees_.clear_gradients(shared, trees_.size());
  for (const Coefficient& coefficient : coefficients_) {
    if (!coefficient.trainable) continue;
    const T* sum = sums + coefficient.accumulator;
    if (coefficient.tree != none)
      std::copy_n(sum, coefficient.size, shared + trees_.gradient(coefficient.tree));
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
    for (std::size_t row = first; row < first + tokens; ++row)
      std::copy_n(run.x.row(row), in_, run.outputs[0].row(row));
  project(run, first, tokens, mine);
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const T* input = run.x.row(first);
    for (std::size_t s = 0; s < members_[m].stages.size(); ++s) {
      const Stage& stage = members_[m].stages[s];
      const bool last = s + 1 == members_[m].stages.size();
      // Without outputs the inner stages alone are formed, for a reverse.
      T* output = mine + stage.value;
      if (last) output = run.outputs.empty() ? nullptr : run.outputs[m].row(first);
      if (!last) std::fill_n(output, tokens * stage.out, T{0});
      run_stage(run, stage, input, output, tokens, mine);
      if (!last && stage.activation == Activation::relu)
        for (std::size_t i = 0; i < tokens * stage.out; ++i) output[i] = std::max(output[i], T{0});
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
  if (run.residual && dx)
    for (std::size_t row = first; row < first + tokens; ++row) {
      const T* from = run.d_outputs[0].row(row);
      T* to = run.dx.row(row);
      if (run.into == Into::overwrite)
        std::copy_n(from, in_, to);
      else
        std::transform(from, from + in_, to, to, std::plus<>());
    }
  for (std::size_t m = 0; m < members_.size(); ++m) {
    const std::vector<Stage>& stages = members_[m].stages;
    const T* d_output = run.d_outputs[m].row(first);
    for (std::size_t s = stages.size(); s-- > 0;) {
      const Stage& stage = stages[s];
      const T* input = s == 0 ? run.x.row(first) : mine + stages[s - 1].value;
      T* d_input = s == 0 ? dx : mine + stages[s - 1].gradient;
      if (s > 0) std::fill_n(d_input, tokens * stage.in, T{0});
      for (const Chain& chain : stage.chains)
        reverse_chain(run, chain, input, d_output, d_input, tokens, mine);
      if (run.gradients)
        for (const Row& row : stage.rows)
          if (coefficients_[row.coefficient].trainable)
            run.device.accumulate(row.sum.for_tokens(tokens), row.scale, d_output,
                                  static_cast<const T*>(nullptr),
                                  mine + coefficients_[row.coefficient].accumulator);
      if (s > 0 && stages[s - 1].activation == Activation::relu)
        for (std::size_t i = 0; i < tokens * stage.in; ++i)
          if (!(input[i] > T{0})) d_input[i] = T{0};
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
  for_blocks(x.rows, memory, [&](std::size_t first, std::size_t tokens, T* mine, bool) {
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
  const std::size_t threads = for_blocks(
      x.rows, memory, [&](std::size_t first, std::size_t tokens, T* mine, bool is_first) {
        if (is_first && gradients) std::fill_n(mine, accumulators_, T{0});
        backward_block(run, first, tokens, mine);
      });
  if (gradients) add_gradients(device, parameters, threads, memory);
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
