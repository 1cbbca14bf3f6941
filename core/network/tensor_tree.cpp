#include "core/network/tensor_tree.h"

#include <algorithm>
#include <array>

namespace rankfold {
namespace {

constexpr std::size_t most_nodes = 32;  // 13 operands and 12 steps

}  // namespace

template <class T>
TensorTree<T>::TensorTree(const ContractionTree& tree)
    : operands_(tree.operands.size()), output_size_(volume(tree.output)) {
  const auto axes = [&](std::size_t node) -> const std::vector<Axis>& {
    return node < operands_ ? tree.operands[node].axes : tree.results[node - operands_];
  };
  if (tree.steps.empty()) {
    copy_ = TokenLoop(axes(0), {}, tree.output);
    copy_back_ = TokenLoop(tree.output, {}, axes(0));
    flops_ = static_cast<double>(output_size_);
    return;
  }
  for (std::size_t i = 0; i < tree.steps.size(); ++i) {
    const bool last = i + 1 == tree.steps.size();
    Step step{tree.steps[i].left, tree.steps[i].right, inner_size_, {}, {}, {}};
    const std::vector<Axis>&left = axes(step.left), &right = axes(step.right);
    const std::vector<Axis>& result = last ? tree.output : tree.results[i];
    if (!last) inner_size_ += volume(result);
    step.product = PairProduct<T>(left, right, result);
    step.to_left = PairProduct<T>(result, right, left);
    step.to_right = PairProduct<T>(result, left, right);
    scratch_ = std::max({scratch_, step.product.scratch_size(), step.to_left.scratch_size(),
                         step.to_right.scratch_size()});
    flops_ += 2 * product_volume(left, right);
    steps_.push_back(std::move(step));
  }
}

template <class T>
void TensorTree<T>::evaluate(const Device& device, std::span<const T* const> operands, T scale,
                             T* target, bool overwrite, T* inner, T* scratch) const {
  if (steps_.empty()) {
    if (!target) return;
    if (overwrite) device.fill(output_size_, T{0}, target);
    device.accumulate(copy_.for_tokens(1), scale, operands[0], static_cast<const T*>(nullptr),
                      target);
    return;
  }
  const auto value = [&](std::size_t node) {
    return node < operands_ ? operands[node] : inner + steps_[node - operands_].offset;
  };
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const Step& step = steps_[i];
    const bool last = i + 1 == steps_.size();
    if (last && !target) return;
    step.product.run(device, last ? scale : T{1}, value(step.left), value(step.right),
                     last ? target : inner + step.offset, !last || overwrite, 1, scratch);
  }
}

template <class T>
void TensorTree<T>::reverse(const Device& device, std::span<const T* const> operands, T scale,
                            const T* gradient, std::span<T* const> gradients, const T* inner,
                            T* inner_gradients, T* scratch) const {
  if (steps_.empty()) {
    if (gradients[0])
      device.accumulate(copy_back_.for_tokens(1), scale, gradient, static_cast<const T*>(nullptr),
                        gradients[0]);
    return;
  }
  // A result is wanted where an operand below it is.
  std::array<T*, most_nodes> into{};
  std::copy(gradients.begin(), gradients.end(), into.begin());
  for (std::size_t i = 0; i + 1 < steps_.size(); ++i)
    if (into[steps_[i].left] || into[steps_[i].right])
      into[operands_ + i] = inner_gradients + steps_[i].offset;
  const auto value = [&](std::size_t node) {
    return node < operands_ ? operands[node] : inner + steps_[node - operands_].offset;
  };
  for (std::size_t i = steps_.size(); i-- > 0;) {
    const Step& step = steps_[i];
    const bool last = i + 1 == steps_.size();
    const T* above = last ? gradient : into[operands_ + i];
    if (!above) continue;
    const T factor = last ? scale : T{1};
    // Every inner result is read once, so its gradient is written once.
    if (into[step.left])
      step.to_left.run(device, factor, above, value(step.right), into[step.left],
                       step.left >= operands_, 1, scratch);
    if (into[step.right])
      step.to_right.run(device, factor, above, value(step.left), into[step.right],
                        step.right >= operands_, 1, scratch);
  }
}

template class TensorTree<float>;
template class TensorTree<double>;

}  // namespace rankfold
