#include "core/network/token_chain.h"

#include <algorithm>
#include <map>

namespace rankfold {
namespace {

std::vector<int> modes_at(const ContractionTree& tree, std::size_t node) {
  const std::size_t leaves = tree.operands.size();
  return node < leaves ? modes_of(tree.operands[node].axes) : tree.steps[node - leaves].modes;
}

/// The part of a tree below `node` as an operand of its own: a leaf, or a new block over `modes`.
TreeOperand as_operand(const ContractionTree& tree, std::size_t node, const std::vector<int>& modes,
                       const std::vector<std::size_t>& sizes, CompiledTerm& compiled) {
  const std::size_t leaves = tree.operands.size();
  if (node < leaves) return tree.operands[node];
  ContractionTree part;
  std::vector<std::size_t> steps;  // each behind those that it reads
  std::map<std::size_t, std::size_t> renumbered;
  const auto visit = [&](auto&& self, std::size_t at) -> void {
    if (at < leaves) {
      renumbered[at] = part.operands.size();
      part.operands.push_back(tree.operands[at]);
      return;
    }
    self(self, tree.steps[at - leaves].left);
    self(self, tree.steps[at - leaves].right);
    steps.push_back(at);
  };
  visit(visit, node);
  for (const std::size_t at : steps) {
    const ContractionStep& step = tree.steps[at - leaves];
    renumbered[at] = part.operands.size() + part.steps.size();
    part.steps.push_back(
        {renumbered.at(step.left), renumbered.at(step.right), at == node ? modes : step.modes});
    part.results.push_back(contiguous_axes(part.steps.back().modes, sizes));
  }
  part.output = contiguous_axes(modes, sizes);
  TreeOperand operand;
  operand.kind = TreeOperand::Kind::block;
  operand.index = compiled.blocks.size();
  operand.axes = part.output;
  compiled.blocks.push_back(std::move(part));
  return operand;
}

/// Modes of a coefficient: those that stay, then what it contracts and what it brings, the longer
/// of the two last, each in the order in which the other tensor has them.
std::vector<int> stored_order(const std::vector<int>& coefficient, const std::vector<int>& before,
                              const std::vector<int>& after,
                              const std::vector<std::size_t>& sizes) {
  const auto has = [](const std::vector<int>& modes, int mode) {
    return std::ranges::find(modes, mode) != modes.end();
  };
  std::vector<int> kept, contracted, brought;
  for (const int mode : after)
    if (has(coefficient, mode)) (has(before, mode) ? kept : brought).push_back(mode);
  for (const int mode : before)
    if (has(coefficient, mode) && !has(after, mode)) contracted.push_back(mode);
  for (const int mode : coefficient)  // summed over the coefficient alone
    if (!has(before, mode) && !has(after, mode)) contracted.push_back(mode);
  const auto size = [&](const std::vector<int>& modes) {
    std::size_t product = 1;
    for (const int mode : modes) product *= sizes[mode];
    return product;
  };
  const bool long_input = size(contracted) >= size(brought);
  for (const auto* side :
       {long_input ? &brought : &contracted, long_input ? &contracted : &brought})
    kept.insert(kept.end(), side->begin(), side->end());
  return kept;
}

}  // namespace

std::vector<Axis> contiguous_axes(const std::vector<int>& modes,
                                  const std::vector<std::size_t>& sizes) {
  std::vector<Axis> axes;
  std::size_t stride = 1;
  for (std::size_t i = modes.size(); i-- > 0;) {
    axes.insert(axes.begin(), Axis{modes[i], sizes[modes[i]], stride});
    stride *= sizes[modes[i]];
  }
  return axes;
}

std::vector<int> modes_of(const std::vector<Axis>& axes) {
  std::vector<int> modes;
  for (const Axis& axis : axes) modes.push_back(axis.mode);
  return modes;
}

TreeOperand take_result(const ContractionTree& tree, const std::vector<int>& modes,
                        const std::vector<std::size_t>& sizes, CompiledTerm& compiled) {
  return as_operand(tree, tree.operands.size() + tree.steps.size() - 1, modes, sizes, compiled);
}

void add_chain(const ContractionTree& tree, const std::vector<std::size_t>& sizes,
               CompiledTerm& compiled) {
  const std::size_t leaves = tree.operands.size();
  std::size_t at = leaves - 1;
  for (std::size_t i = 0; i < tree.steps.size(); ++i) {
    const ContractionStep& step = tree.steps[i];
    if (step.left != at && step.right != at) continue;
    const std::size_t other = step.left == at ? step.right : step.left;
    ChainStep link;
    const std::vector<int> modes =
        stored_order(modes_at(tree, other), modes_at(tree, at), step.modes, sizes);
    link.stored = contiguous_axes(modes, sizes);
    link.coefficient = as_operand(tree, other, modes, sizes, compiled);
    link.result = contiguous_axes(step.modes, sizes);
    compiled.chain.push_back(std::move(link));
    at = leaves + i;
  }
}

}  // namespace rankfold
