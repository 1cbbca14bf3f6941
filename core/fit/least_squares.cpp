#include "core/fit/least_squares.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

/// Distance of x from its old value in the normal equations, relative to their mean diagonal.
template <class T>
constexpr double ridge = sizeof(T) == 4 ? 1e-9 : 1e-13;

/// Where some operands of a term begin among the parameters' values.
template <class Value>
std::vector<const Value*> gather(const FitTerm& term, const std::vector<std::size_t>& which,
                                 const std::vector<std::vector<Value>>& values) {
  std::vector<const Value*> pointers;
  for (const std::size_t index : which) {
    const FitOperand& operand = term.operands[index];
    pointers.push_back(values[operand.parameter].data() + operand.offset);
  }
  return pointers;
}

/// The same of all of them.
template <class Value>
std::vector<const Value*> gather(const FitTerm& term,
                                 const std::vector<std::vector<Value>>& values) {
  std::vector<const Value*> pointers;
  for (const FitOperand& operand : term.operands)
    pointers.push_back(values[operand.parameter].data() + operand.offset);
  return pointers;
}

}  // namespace

template <class T>
void FitState<T>::set(std::size_t parameter, std::vector<double> value) {
  values[parameter] = std::move(value);
  rounded[parameter].resize(values[parameter].size());
  std::ranges::transform(values[parameter], rounded[parameter].begin(),
                         [](double number) { return static_cast<T>(number); });
}

template <class T>
FitState<T> LeastSquares<T>::make_state() const {
  FitState<T> state;
  for (const FitParameter& parameter : parameters_) {
    state.values.emplace_back(parameter.size, 0.0);
    state.rounded.emplace_back(parameter.size, T{0});
  }
  return state;
}

template <class T>
void LeastSquares<T>::remove_constant_part(std::size_t index, T* data, FitState<T>& state) const {
  const FitBlock& block = blocks_[index];
  for (std::size_t t = 0; t < block.terms.size(); ++t)
    if (constant_[index][t])
      models_[index][t].run(*device_, gather(block.terms[t], state.rounded),
                            static_cast<T>(-block.terms[t].scale), data, false, state.memory);
}

template <class T>
double LeastSquares<T>::update(std::size_t parameter, std::span<const T* const> data,
                               FitState<T>& state) const {
  const ParameterPlan& plan = plans_[parameter];
  state.right.assign(parameters_[parameter].size, T{0});
  for (const BlockPlan& part : plan.blocks) {
    const FitBlock& block = blocks_[part.block];
    for (const Read& read : part.reads) {
      const FitTerm& term = block.terms[read.term];
      std::vector<const T*> factors = gather(term, read.others, state.rounded);
      factors.insert(factors.begin(), data[part.block]);
      read.right.run(*device_, factors, static_cast<T>(term.scale),
                     state.right.data() + term.operands[read.operand].offset, false, state.memory);
    }
    for (const Cross& cross : part.crosses) {
      const Read& read = part.reads[cross.read];
      const FitTerm &term = block.terms[read.term], &other = block.terms[cross.term];
      std::vector<const T*> factors = gather(term, read.others, state.rounded);
      for (const T* factor : gather(other, state.rounded)) factors.push_back(factor);
      cross.right.run(*device_, factors, static_cast<T>(-term.scale * other.scale),
                      state.right.data() + term.operands[read.operand].offset, false, state.memory);
    }
  }
  std::vector<double> values = state.values[parameter];
  if (plan.regular)
    solve_regular(plan, state, values);
  else
    solve_systems(plan, state, values);
  double gain = 0;
  for (std::size_t i = 0; i < values.size(); ++i)
    gain += values[i] * static_cast<double>(state.right[i]);
  state.set(parameter, std::move(values));
  return gain;
}

template <class T>
void LeastSquares<T>::solve_regular(const ParameterPlan& plan, FitState<T>& state,
                                    std::vector<double>& values) const {
  const BlockPlan& part = plan.blocks.front();
  const Read& read = part.reads.front();
  const FitTerm& term = blocks_[part.block].terms[read.term];
  const std::size_t m = read.inner.size(), count = read.uniform.size();
  state.normal.resize(plan.matrices);
  std::vector<const double*> factors = gather(term, read.others, state.values);
  factors.insert(factors.end(), factors.begin(), factors.begin() + read.others.size());
  part.pairs.front().normal.run(*device_, factors, term.scale * term.scale, state.normal.data(),
                                true, state.normal_memory);
  std::vector<double> matrix(m * m), right(m * count), start(m * count);
  for (std::size_t v = 0; v < read.varying.size(); ++v) {
    matrix.assign(state.normal.begin() + static_cast<std::ptrdiff_t>(v * m * m),
                  state.normal.begin() + static_cast<std::ptrdiff_t>((v + 1) * m * m));
    for (std::size_t u = 0; u < count; ++u)
      for (std::size_t i = 0; i < m; ++i) {
        const std::size_t entry = read.varying[v] + read.uniform[u] + read.inner[i];
        right[u * m + i] = static_cast<double>(state.right[entry]);
        start[u * m + i] = values[entry];
      }
    solve_positive(matrix, m, ridge<T>, start.data(), right.data(), count);
    for (std::size_t u = 0; u < count; ++u)
      for (std::size_t i = 0; i < m; ++i)
        values[read.varying[v] + read.uniform[u] + read.inner[i]] = right[u * m + i];
  }
}

template <class T>
void LeastSquares<T>::solve_systems(const ParameterPlan& plan, FitState<T>& state,
                                    std::vector<double>& values) const {
  state.normal.assign(plan.matrices, 0.0);
  std::vector<double> part_normal;
  for (const BlockPlan& part : plan.blocks) {
    const std::vector<FitTerm>& terms = blocks_[part.block].terms;
    const Read& front = part.reads.front();
    const std::size_t m = front.inner.size();
    part_normal.resize(front.varying.size() * m * m);
    for (const Pair& pair : part.pairs) {
      const Read &first = part.reads[pair.first], &second = part.reads[pair.second];
      std::vector<const double*> factors = gather(terms[first.term], first.others, state.values);
      for (const double* factor : gather(terms[second.term], second.others, state.values))
        factors.push_back(factor);
      pair.normal.run(*device_, factors, terms[first.term].scale * terms[second.term].scale,
                      part_normal.data(), true, state.normal_memory);
      for (std::size_t v = 0; v < front.varying.size(); ++v)
        for (std::size_t u = 0; u < front.uniform.size(); ++u)
          for (std::size_t i = 0; i < m; ++i) {
            const std::size_t row = first.varying[v] + first.uniform[u] + first.inner[i];
            const System& system = plan.systems[plan.system_of[row]];
            double* target =
                state.normal.data() + system.matrix + plan.place_of[row] * system.entries.size();
            for (std::size_t j = 0; j < m; ++j)
              target[plan.place_of[second.varying[v] + second.uniform[u] + second.inner[j]]] +=
                  part_normal[(v * m + i) * m + j];
          }
    }
  }
  std::vector<double> matrix, right, start;
  for (const System& system : plan.systems) {
    const std::size_t m = system.entries.size();
    const auto begin = state.normal.begin() + static_cast<std::ptrdiff_t>(system.matrix);
    matrix.assign(begin, begin + static_cast<std::ptrdiff_t>(m * m));
    right.clear();
    start.clear();
    for (const std::size_t entry : system.entries) {
      right.push_back(static_cast<double>(state.right[entry]));
      start.push_back(values[entry]);
    }
    solve_positive(matrix, m, ridge<T>, start.data(), right.data(), 1);
    for (std::size_t i = 0; i < m; ++i) values[system.entries[i]] = right[i];
  }
}

template <class T>
double LeastSquares<T>::residual(std::span<const T* const> data, FitState<T>& state) const {
  double sum = 0;
  for (std::size_t index = 0; index < blocks_.size(); ++index) {
    const FitBlock& block = blocks_[index];
    const std::size_t size = volume(block.data);
    state.model.assign(data[index], data[index] + size);
    for (std::size_t t = 0; t < block.terms.size(); ++t) {
      if (constant_[index][t]) continue;  // taken off the data
      const FitTerm& term = block.terms[t];
      models_[index][t].run(*device_, gather(term, state.rounded), static_cast<T>(-term.scale),
                            state.model.data(), false, state.memory);
    }
    for (const T value : state.model)
      sum += static_cast<double>(value) * static_cast<double>(value);
  }
  return sum;
}

template struct FitState<float>;
template struct FitState<double>;
template class LeastSquares<float>;
template class LeastSquares<double>;

}  // namespace rankfold
