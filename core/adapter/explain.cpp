#include "core/adapter/explain.h"

#include <algorithm>
#include <map>

#include <fmt/ranges.h>

namespace rankfold {
namespace {

/// Matrices of one role read one input.
int input_of(MatrixType matrix) {
  switch (matrix) {
    case MatrixType::q:
    case MatrixType::k:
    case MatrixType::v:
      return 0;
    case MatrixType::gate:
    case MatrixType::up:
      return 1;
    default:
      return 2 + static_cast<int>(matrix);
  }
}

std::string milliseconds(double seconds) {
  return fmt::format("{:.2g} ms", 1000 * seconds);
}

std::string describe(const Plan& plan) {
  const auto choice = [](bool chosen, bool possible, const char* yes, const char* no,
                         double cost_yes, double cost_no) {
    if (!possible) return fmt::format("{} ({})", no, milliseconds(cost_no));
    return fmt::format("{} ({}; {}: {})", chosen ? yes : no,
                       milliseconds(chosen ? cost_yes : cost_no), chosen ? no : yes,
                       milliseconds(chosen ? cost_no : cost_yes));
  };
  return fmt::format("outputs and dX {}, factors' gradients {}",
                     choice(plan.merged, plan.can_merge, "through W + dW", "through the factors",
                            plan.merged_seconds, plan.factored_seconds),
                     choice(plan.dense, plan.can_be_dense, "through dY^T X", "by blocks of tokens",
                            plan.dense_seconds, plan.factored_gradient_seconds));
}

}  // namespace

std::vector<std::vector<std::size_t>> sites_by_input(const Stack& stack) {
  std::map<std::pair<std::size_t, int>, std::vector<std::size_t>> groups;
  for (std::size_t i = 0; i < stack.sites.size(); ++i)
    groups[{stack.sites[i].layer, input_of(stack.sites[i].matrix)}].push_back(i);
  std::vector<std::vector<std::size_t>> all;
  for (auto& [key, sites] : groups) all.push_back(std::move(sites));
  return all;
}

std::vector<std::string> explain_plans(const Adapter<float>& adapter, std::size_t tokens) {
  struct Line {
    std::string sites, plan;
    std::size_t layers = 0;
  };
  std::vector<Line> lines;
  for (const std::vector<std::size_t>& group : sites_by_input(adapter.stack())) {
    std::vector<std::string> names;
    for (const std::size_t index : group) {
      const Site& site = adapter.stack().sites[index];
      names.push_back(fmt::format("{} {}x{}", to_string(site.matrix), site.out, site.in));
    }
    Line line{fmt::format("{}", fmt::join(names, ", ")),
              describe(adapter.plan(group, tokens, true)), 1};
    const auto same = std::ranges::find_if(lines, [&](const Line& other) {
      return other.sites == line.sites && other.plan == line.plan;
    });
    if (same == lines.end())
      lines.push_back(std::move(line));
    else
      ++same->layers;
  }
  std::vector<std::string> text;
  for (const Line& line : lines)
    text.push_back(fmt::format("[{}] {} of {} layer{}, {} tokens: {}", adapter.method(), line.sites,
                               line.layers, line.layers == 1 ? "" : "s", tokens, line.plan));
  return text;
}

}  // namespace rankfold
