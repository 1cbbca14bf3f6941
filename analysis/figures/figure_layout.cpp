#include "analysis/figures/figure_layout.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr double left_margin = 48, right_margin = 10, title_height = 20, axis_height = 38;
constexpr double legible_cell = 190, small_cell = 110;  // widths of a panel and its margins
constexpr double small_gap = 14, small_title_height = 16, small_axis_height = 12;
constexpr double legend_row = 13, note_row = 11;

std::vector<FigureLayout::LegendEntry> legend_entries(const FigurePlan& plan) {
  std::vector<FigureLayout::LegendEntry> entries;
  std::set<std::string> names;
  for (const FigurePanel& panel : plan.panels) {
    for (const FigureLine& line : panel.lines) {
      // The title of a small panel names its method.
      const bool is_named = plan.is_small_multiple && line.name == line.look.method;
      if (line.look.muted || is_named) continue;
      if (names.insert(line.name).second) entries.push_back({line.look, line.name});
    }
  }
  // Panels may hold different methods.
  const auto order = [](const FigureLayout::LegendEntry& entry) {
    const auto place =
        entry.look.shade ? std::pair(0, std::string()) : method_order(entry.look.method);
    return std::tuple(entry.look.published, place, entry.look.variant);
  };
  std::stable_sort(entries.begin(), entries.end(),
                   [&](const auto& a, const auto& b) { return order(a) < order(b); });
  return entries;
}

std::vector<std::string> wrap(const std::string& text, double width, double font_size) {
  std::vector<std::string> lines;
  for (const std::string& word : split(text, ' ')) {
    const std::string longer = lines.empty() ? word : lines.back() + " " + word;
    if (lines.empty() || dejavu_width(longer, font_size) > width) {
      lines.push_back(word);
    } else {
      lines.back() = longer;
    }
  }
  return lines;
}

/// The panels of a grid without the legend, from y = 0 downwards; returns its height.
double place_panels(const FigurePlan& plan, FigureLayout& layout) {
  const std::size_t panels = plan.panels.size();
  const auto few = static_cast<std::size_t>(std::max(1.0, std::floor(layout.width / legible_cell)));
  const std::size_t most = panels > 2 * (few + 1) ? few + 1 : few;
  const std::size_t columns = std::clamp<std::size_t>(panels, 1, most);
  const double cell_width = layout.width / static_cast<double>(columns);
  const double panel_width = cell_width - left_margin - right_margin;
  const double panel_height = std::clamp(0.72 * panel_width, 90.0, 190.0);
  const double cell_height = title_height + panel_height + axis_height;
  for (std::size_t i = 0; i < panels; ++i) {
    const double left = static_cast<double>(i % columns) * cell_width + left_margin;
    const double top = -static_cast<double>(i / columns) * cell_height - title_height;
    layout.panels.push_back({left, top - panel_height, left + panel_width, top});
  }
  layout.has_x_labels.assign(panels, true);
  layout.has_y_labels.assign(panels, true);
  return static_cast<double>((panels + columns - 1) / columns) * cell_height;
}

double place_small_panels(const FigurePlan& plan, FigureLayout& layout) {
  const auto columns =
      static_cast<std::size_t>(std::max(1.0, std::floor(layout.width / small_cell)));
  const double inner = layout.width - left_margin - right_margin;
  const double width =
      (inner - static_cast<double>(columns - 1) * small_gap) / static_cast<double>(columns);
  const double height = std::clamp(0.75 * width, 50.0, 120.0);
  double y = 0;
  for (std::size_t begin = 0, end = 0; begin < plan.panels.size(); begin = end) {
    while (end < plan.panels.size() && plan.panels[end].y_group == plan.panels[begin].y_group)
      ++end;
    for (std::size_t i = begin; i < end; ++i) {
      const std::size_t column = (i - begin) % columns;
      const double left = left_margin + static_cast<double>(column) * (width + small_gap);
      layout.panels.push_back(
          {left, y - small_title_height - height, left + width, y - small_title_height});
      layout.has_x_labels.push_back(i + columns >= end);
      layout.has_y_labels.push_back(column == 0);
      if (column + 1 == columns && i + 1 < end)
        y -= small_title_height + height + small_axis_height;
    }
    y -= small_title_height + height + axis_height;
  }
  return -y;
}

}  // namespace

double natural_width(const FigurePlan& plan) {
  return plan.panels.size() > 1 ? page_width : column_width;
}

FigureLayout layout_figure(const FigurePlan& plan, double width) {
  FigureLayout layout;
  layout.width = width;
  const double grid =
      plan.is_small_multiple ? place_small_panels(plan, layout) : place_panels(plan, layout);
  layout.legend = legend_entries(plan);
  double entry_width = 0;
  for (const auto& entry : layout.legend) {
    entry_width = std::max(entry_width, dejavu_width(entry.name, text_size));
  }
  entry_width += layout.sample_width + 14;
  const double legend_left = layout.width < page_width / 2 ? right_margin : left_margin;
  const double legend_width = layout.width - legend_left - right_margin;
  const auto fitting = static_cast<std::size_t>(std::max(1.0, legend_width / entry_width));
  const std::size_t entries = layout.legend.size();
  const std::size_t legend_rows = (entries + fitting - 1) / fitting;
  const std::size_t legend_columns =
      legend_rows == 0 ? 1 : (entries + legend_rows - 1) / legend_rows;
  layout.note = wrap(plan.note, legend_width, small_size);
  layout.note_left = legend_left;

  const double legend_height = static_cast<double>(legend_rows) * legend_row;
  const double note_height = static_cast<double>(layout.note.size()) * note_row;
  const double below = legend_height + note_height + 14;
  layout.height = grid + below;
  layout.note_top = note_height + 3;
  for (Box& panel : layout.panels) {
    panel.bottom += layout.height;
    panel.top += layout.height;
  }
  for (std::size_t i = 0; i < entries; ++i) {
    const auto column = static_cast<double>(i / legend_rows);
    const auto row = static_cast<double>(i % legend_rows);
    layout.legend[i].x = legend_left + column * legend_width / static_cast<double>(legend_columns);
    layout.legend[i].y = below - 4 - (row + 0.5) * legend_row;
  }
  return layout;
}

}  // namespace rankfold
