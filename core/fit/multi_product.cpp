#include "core/fit/multi_product.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <map>

#include "core/base/error.h"

namespace rankfold {
namespace {

constexpr std::size_t most_modes = 63;   // one bit each, the token mode among them
constexpr std::size_t most_planned = 9;  // dynamic programming visits 3^operands splits
constexpr std::size_t most_operands = 1000;

/// Contracts the pair whose result is smallest beside what it replaces, again and again.
std::vector<ContractionStep> plan_greedily(const std::vector<std::vector<int>>& operands,
                                           const std::vector<int>& output,
                                           const std::vector<std::size_t>& sizes) {
  using ModeSet = std::uint64_t;
  const auto to_set = [](const std::vector<int>& modes) {
    ModeSet set = 0;
    for (const int mode : modes) set |= ModeSet{1} << mode;
    return set;
  };
  const auto volume_of = [&](ModeSet set) {
    double volume = 1;
    for (; set; set &= set - 1) volume *= static_cast<double>(sizes[std::countr_zero(set)]);
    return volume;
  };
  struct Node {
    std::size_t number;
    std::vector<int> modes;
    ModeSet set;
  };
  std::vector<Node> open;
  for (std::size_t i = 0; i < operands.size(); ++i)
    open.push_back({i, operands[i], to_set(operands[i])});
  const ModeSet kept = to_set(output);
  std::vector<ContractionStep> steps;
  while (open.size() > 1) {
    std::size_t best_left = 0, best_right = 1;
    double best = std::numeric_limits<double>::infinity(), best_work = best;
    for (std::size_t left = 0; left < open.size(); ++left)
      for (std::size_t right = left + 1; right < open.size(); ++right) {
        ModeSet elsewhere = kept;
        for (std::size_t i = 0; i < open.size(); ++i)
          if (i != left && i != right) elsewhere |= open[i].set;
        const ModeSet both = open[left].set | open[right].set;
        const double growth =
            volume_of(both & elsewhere) - volume_of(open[left].set) - volume_of(open[right].set);
        const double work = volume_of(both);
        if (growth < best || (growth == best && work < best_work)) {
          best = growth;
          best_work = work;
          best_left = left;
          best_right = right;
        }
      }
    Node left = open[best_left], right = open[best_right];
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(best_right));
    open.erase(open.begin() + static_cast<std::ptrdiff_t>(best_left));
    ModeSet elsewhere = kept;
    for (const Node& node : open) elsewhere |= node.set;
    Node result{operands.size() + steps.size(), {}, (left.set | right.set) & elsewhere};
    for (const Node* node : {&left, &right})
      for (const int mode : node->modes)
        if ((result.set >> mode & 1) && std::ranges::find(result.modes, mode) == result.modes.end())
          result.modes.push_back(mode);
    if (open.empty()) result.modes = output;
    steps.push_back({left.number, right.number, result.modes});
    open.push_back(std::move(result));
  }
  return steps;
}

}  // namespace

template <class T>
MultiProduct<T>::MultiProduct(const std::vector<std::vector<Axis>>& operands,
                              const std::vector<Axis>& target)
    : size_(volume(target)) {
  std::map<int, int> numbers;
  std::vector<std::size_t> sizes{1};  // of the token mode, which none has
  const auto renumber = [&](std::vector<Axis> axes) {
    for (Axis& axis : axes) {
      const auto [found, is_new] = numbers.try_emplace(axis.mode, static_cast<int>(sizes.size()));
      if (is_new) sizes.push_back(axis.size);
      axis.mode = found->second;
    }
    return axes;
  };
  const auto modes_of = [](const std::vector<Axis>& axes) {
    std::vector<int> modes;
    for (const Axis& axis : axes) modes.push_back(axis.mode);
    return modes;
  };
  ContractionTree tree;
  std::vector<std::vector<int>> modes;
  for (const std::vector<Axis>& axes : operands) {
    TreeOperand operand;
    operand.axes = renumber(axes);
    modes.push_back(modes_of(operand.axes));
    tree.operands.push_back(std::move(operand));
  }
  tree.output = renumber(target);
  if (operands.empty()) {
    fill_ = TokenLoop({}, {}, tree.output);
    return;
  }
  if (sizes.size() > most_modes || operands.size() > most_operands)
    throw Error("fit: a product of {} tensors over {} modes, expected at most {} modes",
                operands.size(), sizes.size() - 1, most_modes - 1);
  const std::vector<int> output = modes_of(tree.output);
  tree.steps = operands.size() <= most_planned ? plan_contraction(modes, output, sizes)
                                               : plan_greedily(modes, output, sizes);
  for (const ContractionStep& step : tree.steps) {
    std::vector<Axis> axes;
    for (const int mode : step.modes) axes.push_back({mode, sizes[mode], 0});
    tree.results.push_back(contiguous(axes));
  }
  tree_.emplace_back(tree);
}

template <class T>
void MultiProduct<T>::run(const Device& device, std::span<const T* const> operands, T scale,
                          T* target, bool overwrite, ProductMemory<T>& memory) const {
  if (tree_.empty()) {
    const T one = 1;
    if (overwrite) std::fill_n(target, size_, T{0});
    device.accumulate(fill_.for_tokens(1), scale, &one, static_cast<const T*>(nullptr), target);
    return;
  }
  const TensorTree<T>& tree = tree_.front();
  if (memory.inner.size() < tree.inner_size()) memory.inner.resize(tree.inner_size());
  if (memory.scratch.size() < tree.scratch_size()) memory.scratch.resize(tree.scratch_size());
  tree.evaluate(device, operands, scale, target, overwrite, memory.inner.data(),
                memory.scratch.data());
}

template class MultiProduct<float>;
template class MultiProduct<double>;

}  // namespace rankfold
