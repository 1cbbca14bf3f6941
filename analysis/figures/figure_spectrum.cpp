#include <algorithm>
#include <map>
#include <set>

#include <fmt/core.h>

#include "analysis/figures/figure_look.h"
#include "analysis/figures/figure_plan.h"
#include "core/base/error.h"

namespace rankfold {

FigurePlan plan_spectrum(const std::vector<SingularValue>& values, const FigureLook& look) {
  // Values that float32 cannot tell from 0 would stretch the axis over what is only rounding.
  constexpr double smallest = 1e-5;
  std::map<std::string, std::map<std::pair<std::size_t, std::string>, std::vector<FigurePoint>>>
      sites;
  std::size_t most_layers = 0;
  double largest = 0;
  for (const SingularValue& value : values) largest = std::max(largest, value.value);
  for (const SingularValue& value : values) {
    if (!(value.value > smallest * largest)) continue;
    FigurePoint point;
    point.x = static_cast<double>(value.index);
    point.value.value = value.value;
    point.value.count = 1;
    point.layers = std::to_string(value.layer);
    sites[value.matrix][{value.layer, value.site}].push_back(point);
    most_layers = std::max(most_layers, value.layer);
  }
  if (sites.empty()) throw Error("no singular value above 0 to draw");
  FigurePlan plan;
  for (auto& [matrix, of_matrix] : sites) {
    FigurePanel panel{matrix, "index", AxisScale::linear, "singular value", AxisScale::log10};
    std::set<std::size_t> layers;
    for (const auto& [site, points] : of_matrix) layers.insert(site.first);
    for (auto& [site, points] : of_matrix) {
      std::ranges::sort(points, {}, &FigurePoint::x);
      const double place =
          most_layers == 0 ? 0 : static_cast<double>(site.first) / static_cast<double>(most_layers);
      // Several sites of a matrix and layer (projections of one name) need their own names.
      const bool alone = layers.size() == of_matrix.size();
      const std::string name =
          alone ? fmt::format("layer {}", site.first) : fmt::format("{}", site.second);
      FigureLine line;
      line.look = {.method = name, .shade = place};
      line.name = line.csv_name = name;
      line.points = points;
      panel.lines.push_back(std::move(line));
    }
    plan.panels.push_back(std::move(panel));
  }
  plan.note = "Singular values of the update dW of each layer, above 1e-5 of the largest.";
  apply_look(plan, look);
  return plan;
}

}  // namespace rankfold
