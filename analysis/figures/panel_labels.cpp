#include "analysis/figures/panel_labels.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include <fmt/core.h>

#include "analysis/figures/panel_axes.h"

namespace rankfold {
namespace {

constexpr std::size_t most_ranks = 40;  // of a panel, where each is written
constexpr double most_crowding = 12;    // of a label that need not be written

void add_lines(LabelPlacer& placer, const FigurePlan& plan, const FigurePanel& panel,
               const PanelFrame& frame) {
  for (const FigureLine& line : panel.lines) {
    if (line.look.muted) continue;
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      const FigurePoint& point = line.points[i];
      placer.add_marker(frame.left(point), frame.up(point), frame.marker_radius);
      if (i == 0) continue;
      const FigurePoint& before = line.points[i - 1];
      placer.add_segment(frame.left(before), frame.up(before), frame.left(point), frame.up(point));
    }
  }
  for (const FigureLine& line : panel.lines) {
    const bool has_bars = plan.spread == Spread::bars && !panel.is_dense;
    for (const FigurePoint& point : line.points) {
      for (const double run : point.runs) {
        if (plan.spread == Spread::dots && !line.look.muted && !panel.is_dense)
          placer.add_marker(frame.left(point), frame.up(run), 0.4 * frame.marker_radius);
      }
      if ((line.points.size() > 1 && !has_bars) || !point.value.interval || line.look.muted)
        continue;
      const auto [low, high] = drawn_interval(point, frame.y);
      placer.add_segment(frame.left(point), frame.up(low), frame.left(point), frame.up(high));
    }
  }
}

/// One decimal of a score in percent, four digits of other quantities.
std::string edge_value(const FigurePanel& panel, double value) {
  if (!std::isfinite(panel.possible.high)) return fmt::format("{:.4g}", value);
  return fmt::format("{:.1f}", std::abs(value) < 0.05 ? 0.0 : value);
}

/// Small multiples of one vertical axis have the same references: they are named once.
bool names_references(const FigurePlan& plan, const FigurePanel& panel) {
  if (!plan.is_small_multiple) return true;
  const auto first = std::ranges::find(plan.panels, panel.y_group, &FigurePanel::y_group);
  return &*first == &panel;
}

void name_references(LabelPlacer& placer, const FigurePanel& panel, const PanelFrame& frame,
                     std::vector<PanelLabel>& labels) {
  std::vector<const FigureLine*> inside;
  std::vector<double> heights;
  for (const FigureLine& line : panel.references) {
    if (!line.points[0].value.value || is_off_axis(line, frame.y)) continue;
    inside.push_back(&line);
    heights.push_back(frame.up(line.points[0]));
    placer.add_segment(0, heights.back(), frame.width, heights.back());
  }
  std::vector<const FigureLine*> crowded_out;
  for (const FigureLine* line : inside) {
    const double width = dejavu_width(line->name, frame.name_size);
    const auto box = placer.place_along(frame.up(line->points[0]), width, frame.name_size, heights);
    if (box)
      labels.push_back({line->name, *box});
    else
      crowded_out.push_back(line);
  }
  // Where lines lie on each other or close together there is no more room along them.
  for (const FigureLine* line : crowded_out) {
    const std::string text =
        fmt::format("{}: {}", line->name, edge_value(panel, *line->points[0].value.value));
    const double width = dejavu_width(text, frame.name_size);
    auto box = placer.place_at_edge(true, width, frame.name_size);
    if (!box) box = placer.place_at_edge(false, width, frame.name_size);
    if (box) labels.push_back({text, *box});
  }
  for (const FigureLine& line : panel.references) {
    if (!is_off_axis(line, frame.y)) continue;
    const double value = *line.points[0].value.value;
    const bool below = value < frame.y.low;
    const std::string text =
        fmt::format("{} {}: {}", below ? "\u2193" : "\u2191", line.name, edge_value(panel, value));
    const auto box =
        placer.place_at_edge(below, dejavu_width(text, frame.name_size), frame.name_size);
    if (box) labels.push_back({text, *box});
  }
}

struct RankLabel {
  int priority = 0;  ///< 0 on the front, 1 at an end of a line, 2 for the others
  const FigureLine* line = nullptr;
  const FigurePoint* point = nullptr;
};

/// The ranks to write, in the order in which they take places.
std::vector<RankLabel> rank_labels(const FigurePlan& plan, const FigurePanel& panel,
                                   const PanelFrame& frame) {
  const bool has_front = std::ranges::any_of(panel.lines, [](const FigureLine& line) {
    return std::ranges::any_of(line.points, &FigurePoint::dominated);
  });
  const bool everywhere = plan.rank_labels == RankLabels::at_points;
  std::vector<RankLabel> ranks;
  std::set<std::tuple<std::string, std::string, double, double>> labelled;
  for (const FigureLine& line : panel.lines) {
    if (line.look.published || line.look.muted) continue;
    for (std::size_t i = everywhere ? 0 : line.points.size() - 1; i < line.points.size(); ++i) {
      const FigurePoint& point = line.points[i];
      const bool is_named = !point.rank.empty() || (everywhere && line.points.size() == 1);
      if (!point.value.value || !is_named || !is_inside(point, frame.x, frame.y)) continue;
      // Lines of one method may share a point: first:N and last:N meet where N is all layers.
      if (!labelled.emplace(line.look.method, point.rank, point.x, *point.value.value).second)
        continue;
      const bool is_end = i == 0 || i + 1 == line.points.size();
      const int priority = (has_front && !point.dominated) || !everywhere ? 0 : is_end ? 1 : 2;
      ranks.push_back({priority, &line, &point});
    }
  }
  std::ranges::stable_sort(ranks, {}, &RankLabel::priority);
  const std::size_t count = ranks.size();
  std::erase_if(ranks, [&](const RankLabel& rank) {
    if (plan.labels == LabelChoice::front) return rank.priority > 0;
    const bool few = count <= most_ranks && !plan.is_small_multiple;
    return plan.labels == LabelChoice::readable && rank.priority == 2 && !few;
  });
  return ranks;
}

}  // namespace

double PanelFrame::up(const FigurePoint& point) const {
  return y.position(point.value.value.value_or(y.low)) * height;
}

double PanelFrame::up(double value) const {
  return y.position(std::clamp(value, y.low, y.high)) * height;
}

std::vector<PanelLabel> panel_labels(const FigurePlan& plan, const FigurePanel& panel,
                                     const PanelFrame& frame) {
  LabelPlacer placer(frame.width, frame.height);
  add_lines(placer, plan, panel, frame);
  std::vector<PanelLabel> labels;
  if (names_references(plan, panel)) name_references(placer, panel, frame, labels);
  if (plan.labels == LabelChoice::none || plan.rank_labels == RankLabels::none) return labels;
  for (const RankLabel& rank : rank_labels(plan, panel, frame)) {
    const FigurePoint& point = *rank.point;
    // A method without a rank has its name there.
    const std::string& text = point.rank.empty() ? rank.line->name : point.rank;
    const double width = dejavu_width(text, frame.rank_size);
    const bool everywhere = plan.labels == LabelChoice::all || rank.priority == 0;
    const auto box = placer.place_beside(frame.left(point), frame.up(point), width, frame.rank_size,
                                         everywhere ? INFINITY : most_crowding);
    if (box) labels.push_back({text, *box, rank.line, point.dominated});
  }
  return labels;
}

}  // namespace rankfold
