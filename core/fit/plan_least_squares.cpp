#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/fit/least_squares.h"

// Which products and systems every update needs, decided once.

namespace rankfold {
namespace {

constexpr int inner_modes = 1000, second_modes = 2000;  // numbers that no data mode has
/// The most numbers in the normal equations of one parameter: 2 GiB.
constexpr std::size_t most_normal = std::size_t{1} << 28;

/// Axes of a term's operand with the modes that are no data modes moved by `shift`.
std::vector<Axis> moved(std::vector<Axis> axes, const std::vector<Axis>& data, int shift) {
  for (Axis& axis : axes)
    if (!find_axis(data, axis.mode)) axis.mode += shift;
  return axes;
}

/// All sums of index * stride over the axes, row-major.
std::vector<std::size_t> offsets(const std::vector<Axis>& axes) {
  std::vector<std::size_t> all{0};
  for (const Axis& axis : axes) {
    std::vector<std::size_t> next;
    next.reserve(all.size() * axis.size);
    for (const std::size_t base : all)
      for (std::size_t i = 0; i < axis.size; ++i) next.push_back(base + i * axis.stride);
    all = std::move(next);
  }
  return all;
}

std::vector<std::size_t> all_but(std::size_t count, std::size_t left_out) {
  std::vector<std::size_t> indices;
  for (std::size_t i = 0; i < count; ++i)
    if (i != left_out) indices.push_back(i);
  return indices;
}

}  // namespace

template <class T>
LeastSquares<T>::LeastSquares(std::vector<FitBlock> blocks, std::vector<FitParameter> parameters,
                              std::shared_ptr<const Device> device)
    : blocks_(std::move(blocks)), parameters_(std::move(parameters)), device_(std::move(device)) {
  for (const FitBlock& block : blocks_) {
    std::vector<MultiProduct<T>> models;
    std::vector<bool> constant;
    std::size_t varying = 0;
    for (const FitTerm& term : block.terms) {
      std::vector<std::vector<Axis>> axes;
      bool trainable = false;
      for (const FitOperand& operand : term.operands) {
        axes.push_back(operand.axes);
        trainable = trainable || parameters_[operand.parameter].trainable;
      }
      models.emplace_back(axes, block.data);
      constant.push_back(!trainable);
      has_constant_part_ = has_constant_part_ || !trainable;
      varying += trainable;
    }
    knows_residual_ = knows_residual_ && varying == 1;
    models_.push_back(std::move(models));
    constant_.push_back(std::move(constant));
  }
  for (std::size_t parameter = 0; parameter < parameters_.size(); ++parameter)
    plans_.push_back(parameters_[parameter].trainable ? plan(parameter) : ParameterPlan());
}

template <class T>
typename LeastSquares<T>::ParameterPlan LeastSquares<T>::plan(std::size_t parameter) const {
  ParameterPlan plan;
  for (std::size_t block = 0; block < blocks_.size(); ++block) {
    BlockPlan part = plan_block(parameter, block);
    if (!part.reads.empty()) plan.blocks.push_back(std::move(part));
  }
  plan.regular = plan.blocks.size() == 1 && plan.blocks.front().reads.size() == 1;
  if (plan.regular) {
    const Read& read = plan.blocks.front().reads.front();
    plan.matrices = read.varying.size() * read.inner.size() * read.inner.size();
  } else {
    find_systems(plan, parameters_[parameter].size);
  }
  if (plan.matrices > most_normal)
    throw Error("fit: the normal equations of a factor of {} numbers have {}, expected at most {}",
                parameters_[parameter].size, plan.matrices, most_normal);
  return plan;
}

template <class T>
typename LeastSquares<T>::BlockPlan LeastSquares<T>::plan_block(std::size_t parameter,
                                                                std::size_t index) const {
  const FitBlock& block = blocks_[index];
  BlockPlan plan;
  plan.block = index;
  for (std::size_t t = 0; t < block.terms.size(); ++t) {
    const std::vector<FitOperand>& operands = block.terms[t].operands;
    const auto is_read = [&](const FitOperand& operand) { return operand.parameter == parameter; };
    const auto found = std::ranges::find_if(operands, is_read);
    if (found == operands.end()) continue;
    if (std::ranges::count_if(operands, is_read) > 1)
      throw Error("fit: a factor stands twice in one product, so the update is not linear in it");
    Read read;
    read.term = t;
    read.operand = static_cast<std::size_t>(found - operands.begin());
    read.others = all_but(operands.size(), read.operand);
    plan.reads.push_back(std::move(read));
  }
  const auto others_have = [&](int mode) {
    return std::ranges::any_of(plan.reads, [&](const Read& read) {
      return std::ranges::any_of(read.others, [&](std::size_t other) {
        return find_axis(block.terms[read.term].operands[other].axes, mode) != nullptr;
      });
    });
  };
  std::vector<std::vector<Axis>> varying_axes, inner_axes;
  for (Read& read : plan.reads) {
    const FitTerm& term = block.terms[read.term];
    const std::vector<Axis>& own = term.operands[read.operand].axes;
    std::vector<Axis> varying, uniform, inner;
    for (const Axis& axis : own)
      (!find_axis(block.data, axis.mode) ? inner
       : others_have(axis.mode)          ? varying
                                         : uniform)
          .push_back(axis);
    // The same order of systems and places in all reads.
    const auto by_stride = [](const Axis& a, const Axis& b) { return a.stride > b.stride; };
    for (auto* axes : {&varying, &uniform, &inner}) std::ranges::stable_sort(*axes, by_stride);
    const std::size_t base = term.operands[read.operand].offset;
    read.varying = offsets(varying);
    for (std::size_t& offset : read.varying) offset += base;
    read.uniform = offsets(uniform);
    read.inner = offsets(inner);
    std::vector<std::vector<Axis>> factors{block.data};
    for (const std::size_t other : read.others) factors.push_back(term.operands[other].axes);
    read.right = MultiProduct<T>(factors, own);
    varying_axes.push_back(varying);
    inner_axes.push_back(inner);
  }
  for (std::size_t first = 0; first < plan.reads.size(); ++first) {
    const Read& read = plan.reads[first];
    const FitTerm& term = block.terms[read.term];
    if (read.inner.size() != plan.reads.front().inner.size() ||
        read.varying.size() != plan.reads.front().varying.size() ||
        read.uniform.size() != plan.reads.front().uniform.size())
      throw Error("fit: terms read one factor in different ways");
    for (std::size_t t = 0; t < block.terms.size(); ++t) {
      const auto reads_it = [&](const Read& each) { return each.term == t; };
      if (constant_[index][t] || std::ranges::any_of(plan.reads, reads_it)) continue;
      std::vector<std::vector<Axis>> factors;
      for (const std::size_t other : read.others) factors.push_back(term.operands[other].axes);
      for (const FitOperand& operand : block.terms[t].operands)
        factors.push_back(moved(operand.axes, block.data, second_modes));
      plan.crosses.push_back(
          {first, t, MultiProduct<T>(factors, term.operands[read.operand].axes)});
    }
    for (std::size_t second = 0; second < plan.reads.size(); ++second) {
      const Read& partner = plan.reads[second];
      std::vector<std::vector<Axis>> factors;
      for (const std::size_t other : read.others)
        factors.push_back(moved(term.operands[other].axes, block.data, inner_modes));
      for (const std::size_t other : partner.others)
        factors.push_back(
            moved(block.terms[partner.term].operands[other].axes, block.data, second_modes));
      std::vector<Axis> target = varying_axes[first];
      for (const Axis& axis : moved(inner_axes[first], block.data, inner_modes))
        target.push_back(axis);
      for (const Axis& axis : moved(inner_axes[second], block.data, second_modes))
        target.push_back(axis);
      plan.pairs.push_back({first, second, MultiProduct<double>(factors, contiguous(target))});
    }
  }
  return plan;
}

/// Entries that some normal equation couples belong to one system.
template <class T>
void LeastSquares<T>::find_systems(ParameterPlan& plan, std::size_t size) {
  constexpr std::size_t none = static_cast<std::size_t>(-1);
  std::vector<std::size_t> parent(size, none);
  const auto root = [&](std::size_t entry) {
    while (parent[entry] != entry) entry = parent[entry] = parent[parent[entry]];
    return entry;
  };
  for (const BlockPlan& block : plan.blocks)
    for (std::size_t v = 0; v < block.reads.front().varying.size(); ++v)
      for (std::size_t u = 0; u < block.reads.front().uniform.size(); ++u) {
        std::size_t first = none;
        for (const Read& read : block.reads)
          for (const std::size_t inner : read.inner) {
            const std::size_t entry = read.varying[v] + read.uniform[u] + inner;
            if (parent[entry] == none) parent[entry] = entry;
            if (first == none)
              first = root(entry);
            else
              parent[root(entry)] = first = root(first);
          }
      }
  plan.system_of.assign(size, none);
  plan.place_of.assign(size, 0);
  std::map<std::size_t, std::size_t> numbers;
  for (std::size_t entry = 0; entry < size; ++entry) {
    if (parent[entry] == none) continue;
    const auto [found, is_new] = numbers.try_emplace(root(entry), plan.systems.size());
    if (is_new) plan.systems.emplace_back();
    System& system = plan.systems[found->second];
    plan.system_of[entry] = found->second;
    plan.place_of[entry] = system.entries.size();
    system.entries.push_back(entry);
  }
  for (System& system : plan.systems) {
    system.matrix = plan.matrices;
    plan.matrices += system.entries.size() * system.entries.size();
  }
}

template class LeastSquares<float>;
template class LeastSquares<double>;

}  // namespace rankfold
