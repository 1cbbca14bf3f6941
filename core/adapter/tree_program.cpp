#include "core/adapter/tree_program.h"

#include <algorithm>
#include <array>
#include <utility>

namespace rankfold {
namespace {

constexpr std::size_t most_operands = 16;

}  // namespace

template <class T>
std::size_t TreeProgram<T>::add(const ContractionTree& tree, std::size_t first,
                                const std::vector<Parameter<T>>& parameters) {
  Tree added{TensorTree<T>(tree), tree.operands, first};
  for (const TreeOperand& operand : tree.operands)
    added.trainable |= operand.kind == TreeOperand::Kind::block
                           ? trees_[first + operand.index].trainable
                           : parameters[operand.index].trainable;
  trees_.push_back(std::move(added));
  return trees_.size() - 1;
}

template <class T>
std::size_t TreeProgram<T>::place(std::size_t used) {
  const auto take = [&](std::size_t size) { return std::exchange(used, used + whole_lines(size)); };
  std::size_t scratch = 0;
  for (Tree& tree : trees_) {
    const TensorTree<T>& planned = tree.planned;
    if (tree.value == unplaced) tree.value = take(planned.output_size());
    tree.inner = take(planned.inner_size());
    tree.gradient = take(planned.output_size());
    tree.inner_gradient = take(planned.inner_size());
    scratch = std::max(scratch, planned.scratch_size());
  }
  scratch_ = take(scratch);
  return used;
}

template <class T>
double TreeProgram<T>::flops() const {
  double sum = 0;
  for (const Tree& tree : trees_) sum += tree.planned.flops();
  return sum;
}

template <class T>
void TreeProgram<T>::run(const Device& device, const std::vector<Parameter<T>>& parameters,
                         T* memory, const Tree& tree, T scale, T* target, bool overwrite) const {
  std::array<const T*, most_operands> operands{};
  for (std::size_t i = 0; i < tree.operands.size(); ++i) {
    const TreeOperand& operand = tree.operands[i];
    operands[i] = operand.kind == TreeOperand::Kind::block
                      ? memory + trees_[tree.first + operand.index].value
                      : parameters[operand.index].value.data() + operand.offset;
  }
  tree.planned.evaluate(device, {operands.data(), tree.operands.size()}, scale, target, overwrite,
                        memory + tree.inner, memory + scratch_);
}

template <class T>
void TreeProgram<T>::evaluate(const Device& device, const std::vector<Parameter<T>>& parameters,
                              T* memory, std::size_t end) const {
  for (std::size_t t = 0; t < end; ++t)
    run(device, parameters, memory, trees_[t], T{1}, memory + trees_[t].value, true);
}

template <class T>
void TreeProgram<T>::add_value(const Device& device, const std::vector<Parameter<T>>& parameters,
                               T* memory, std::size_t tree, T scale, T* target) const {
  run(device, parameters, memory, trees_[tree], scale, target, false);
}

template <class T>
void TreeProgram<T>::clear_gradients(const Device& device, T* memory, std::size_t end) const {
  for (std::size_t t = 0; t < end; ++t)
    if (trees_[t].trainable) device.fill(output_size(t), T{0}, memory + trees_[t].gradient);
}

template <class T>
void TreeProgram<T>::reverse_one(const Device& device, std::vector<Parameter<T>>& parameters,
                                 T* memory, std::size_t index, T scale, const T* gradient) const {
  const Tree& tree = trees_[index];
  if (!tree.trainable) return;
  std::array<const T*, most_operands> operands{};
  std::array<T*, most_operands> gradients{};
  for (std::size_t i = 0; i < tree.operands.size(); ++i) {
    const TreeOperand& operand = tree.operands[i];
    if (operand.kind == TreeOperand::Kind::block) {
      const Tree& below = trees_[tree.first + operand.index];
      operands[i] = memory + below.value;
      if (below.trainable) gradients[i] = memory + below.gradient;
    } else {
      Parameter<T>& parameter = parameters[operand.index];
      operands[i] = parameter.value.data() + operand.offset;
      if (parameter.trainable) gradients[i] = parameter.gradient.data() + operand.offset;
    }
  }
  const std::size_t count = tree.operands.size();
  tree.planned.reverse(device, {operands.data(), count}, scale, gradient, {gradients.data(), count},
                       memory + tree.inner, memory + tree.inner_gradient, memory + scratch_);
}

template <class T>
void TreeProgram<T>::reverse(const Device& device, std::vector<Parameter<T>>& parameters, T* memory,
                             std::size_t end) const {
  for (std::size_t t = end; t-- > 0;)
    reverse_one(device, parameters, memory, t, T{1}, memory + trees_[t].gradient);
}

template class TreeProgram<float>;
template class TreeProgram<double>;

}  // namespace rankfold
