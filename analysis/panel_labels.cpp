#include "analysis/panel_labels.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "analysis/panel_axes.h"

namespace rankfold {
namespace {

void add_lines(LabelPlacer& placer, const FigurePanel& panel, const PanelFrame& frame) {
  for (const FigureLine& line : panel.lines) {
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      const FigurePoint& point = line.points[i];
      placer.add_marker(frame.left(point), frame.up(point), frame.marker_radius);
      if (i == 0) continue;
      const FigurePoint& before = line.points[i - 1];
      placer.add_segment(frame.left(before), frame.up(before), frame.left(point), frame.up(point));
    }
  }
  for (const FigureLine& line : panel.lines) {
    const FigurePoint& point = line.points[0];
    if (line.points.size() > 1 || !point.value.interval) continue;
    const auto [low, high] = drawn_interval(panel, point, frame.y);
    placer.add_segment(frame.left(point), frame.up(low), frame.left(point), frame.up(high));
  }
}

}  // namespace

double PanelFrame::up(const FigurePoint& point) const {
  return y.position(point.value.value.value_or(y.low)) * height;
}

double PanelFrame::up(double value) const {
  return y.position(std::clamp(value, y.low, y.high)) * height;
}

std::vector<PanelLabel> panel_labels(const FigurePanel& panel, RankLabels ranks,
                                     const PanelFrame& frame) {
  LabelPlacer placer(frame.width, frame.height);
  add_lines(placer, panel, frame);
  std::vector<const FigureLine*> references;
  for (const FigureLine& line : panel.references) {
    if (line.points[0].value.value) references.push_back(&line);
  }
  for (const FigureLine* line : references) {
    placer.add_segment(0, frame.up(line->points[0]), frame.width, frame.up(line->points[0]));
  }
  std::vector<PanelLabel> labels;
  for (const FigureLine* line : references) {
    const double width = dejavu_width(line->name, frame.name_size);
    const auto box = placer.place_along(frame.up(line->points[0]), width, frame.name_size);
    if (box) labels.push_back({line->name, *box});
  }
  if (ranks == RankLabels::none) return labels;
  std::set<std::tuple<std::string, std::string, double, double>> labelled;
  for (const FigureLine& line : panel.lines) {
    const bool everywhere = ranks == RankLabels::at_points;
    for (std::size_t i = everywhere ? 0 : line.points.size() - 1; i < line.points.size(); ++i) {
      const FigurePoint& point = line.points[i];
      // Lines of one method may share a point: first:N and last:N meet where N is all layers.
      const double mean = point.value.value.value_or(frame.y.low);
      const bool is_new = labelled.emplace(line.look.method, point.rank, point.x, mean).second;
      if (line.look.published || !point.value.value || point.rank.empty() || !is_new) continue;
      const double width = dejavu_width(point.rank, frame.rank_size);
      const auto box =
          placer.place_beside(frame.left(point), frame.up(point), width, frame.rank_size);
      if (box) labels.push_back({point.rank, *box, &line, point.dominated});
    }
  }
  return labels;
}

}  // namespace rankfold
