#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/network/contraction.h"

namespace rankfold {
namespace {

using ModeSet = std::uint64_t;

/// What the best way to contract a subset of the operands costs, and where it splits.
struct Subset {
  double cost = std::numeric_limits<double>::infinity();
  std::uint32_t left = 0;
  ModeSet modes = 0;
};

double size_of(ModeSet set, const std::vector<std::size_t>& sizes) {
  double size = 1;
  for (; set; set &= set - 1) size *= static_cast<double>(sizes[std::countr_zero(set)]);
  return size;
}

}  // namespace

std::vector<ContractionStep> plan_contraction(const std::vector<std::vector<int>>& operands,
                                              const std::vector<int>& output,
                                              const std::vector<std::size_t>& sizes) {
  // A number moved costs as much as this many multiplications: thin products are bound by memory.
  constexpr double moves = 4;
  const std::size_t n = operands.size();
  if (n < 2) return {};
  const auto to_set = [](const std::vector<int>& modes) {
    ModeSet set = 0;
    for (const int mode : modes) set |= ModeSet{1} << mode;
    return set;
  };
  const std::uint32_t all = (std::uint32_t{1} << n) - 1;
  std::vector<ModeSet> inside(all + 1, 0);
  for (std::uint32_t subset = 1; subset <= all; ++subset) {
    const int lowest = std::countr_zero(subset);
    inside[subset] = inside[subset & (subset - 1)] | to_set(operands[lowest]);
  }
  const ModeSet kept = to_set(output);
  std::vector<Subset> best(all + 1);
  for (std::uint32_t subset = 1; subset <= all; ++subset) {
    Subset& entry = best[subset];
    entry.modes = inside[subset] & (kept | inside[all & ~subset]);
    if ((subset & (subset - 1)) == 0) {
      entry.modes = inside[subset];
      entry.cost = 0;
      continue;
    }
    const double written = size_of(entry.modes, sizes);
    // Each split once: the left part holds the last operand.
    for (std::uint32_t left = (subset - 1) & subset; left; left = (left - 1) & subset) {
      const std::uint32_t right = subset & ~left;
      if (left < right) continue;
      const double read = size_of(best[left].modes, sizes) + size_of(best[right].modes, sizes);
      const double cost = best[left].cost + best[right].cost +
                          size_of(best[left].modes | best[right].modes, sizes) +
                          moves * (read + written);
      if (cost < entry.cost) {
        entry.cost = cost;
        entry.left = left;
      }
    }
  }

  std::vector<ContractionStep> steps;
  const auto order_modes = [&](ModeSet set, std::uint32_t left, std::uint32_t right) {
    // Rows before columns, in the order of the operands; the token mode (0) always first.
    std::vector<int> ordered;
    const auto add = [&](int mode) {
      if ((set >> mode & 1) && std::ranges::find(ordered, mode) == ordered.end())
        ordered.push_back(mode);
    };
    add(0);
    for (const std::uint32_t side : {left, right})
      for (std::size_t i = 0; i < n; ++i)
        if (side >> i & 1)
          for (const int mode : operands[i]) add(mode);
    return ordered;
  };
  const auto emit = [&](auto&& self, std::uint32_t subset) -> std::size_t {
    if ((subset & (subset - 1)) == 0) return static_cast<std::size_t>(std::countr_zero(subset));
    const std::uint32_t left = best[subset].left, right = subset & ~left;
    ContractionStep step;
    step.left = self(self, left);
    step.right = self(self, right);
    step.modes = subset == all ? output : order_modes(best[subset].modes, left, right);
    steps.push_back(std::move(step));
    return n + steps.size() - 1;
  };
  emit(emit, all);
  return steps;
}

}  // namespace rankfold
