#include "analysis/figure_layout.h"

#include <algorithm>
#include <set>
#include <tuple>

#include "core/text.h"

namespace rankfold {
namespace {

constexpr double left_margin = 48, right_margin = 10, title_height = 20, axis_height = 38;
constexpr double single_width = 3.25 * 72, double_width = 6.75 * 72;
constexpr double legend_row = 13, note_row = 11;

std::vector<FigureLayout::LegendEntry> legend_entries(const FigurePlan& plan) {
  std::vector<FigureLayout::LegendEntry> entries;
  std::set<std::string> names;
  for (const FigurePanel& panel : plan.panels) {
    for (const FigureLine& line : panel.lines) {
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

}  // namespace

FigureSize natural_size(const FigurePlan& plan) {
  return plan.panels.size() > 1 ? FigureSize::double_column : FigureSize::single_column;
}

FigureLayout layout_figure(const FigurePlan& plan, FigureSize size) {
  FigureLayout layout;
  const bool narrow = size == FigureSize::single_column;
  const std::size_t panels = plan.panels.size();
  const std::size_t most = narrow ? (panels > 4 ? 2 : 1) : (panels > 6 ? 3 : 2);
  const std::size_t columns = std::clamp<std::size_t>(panels, 1, most);
  const std::size_t rows = (panels + columns - 1) / columns;
  layout.width = narrow ? single_width : double_width;
  const double cell_width = layout.width / static_cast<double>(columns);
  const double panel_width = cell_width - left_margin - right_margin;
  const double panel_height = std::clamp(0.72 * panel_width, 90.0, 190.0);
  const double cell_height = title_height + panel_height + axis_height;

  layout.legend = legend_entries(plan);
  double entry_width = 0;
  for (const auto& entry : layout.legend) {
    entry_width = std::max(entry_width, dejavu_width(entry.name, text_size));
  }
  entry_width += layout.sample_width + 14;
  const double inner = layout.width - left_margin - right_margin;
  const auto fitting = static_cast<std::size_t>(std::max(1.0, inner / entry_width));
  const std::size_t entries = std::max<std::size_t>(layout.legend.size(), 1);
  const std::size_t legend_rows = (entries + fitting - 1) / fitting;
  const std::size_t legend_columns = (entries + legend_rows - 1) / legend_rows;
  layout.note = wrap(plan.note, inner, small_size);

  const double legend_height = static_cast<double>(legend_rows) * legend_row;
  const double note_height = static_cast<double>(layout.note.size()) * note_row;
  const double below = legend_height + note_height + 14;
  layout.height = static_cast<double>(rows) * cell_height + below;
  layout.note_top = note_height + 3;
  for (std::size_t i = 0; i < plan.panels.size(); ++i) {
    const double left = static_cast<double>(i % columns) * cell_width + left_margin;
    const double top =
        layout.height - static_cast<double>(i / columns) * cell_height - title_height;
    layout.panels.push_back({left, top - panel_height, left + panel_width, top});
  }
  for (std::size_t i = 0; i < layout.legend.size(); ++i) {
    const auto column = static_cast<double>(i / legend_rows);
    const auto row = static_cast<double>(i % legend_rows);
    layout.legend[i].x = left_margin + column * inner / static_cast<double>(legend_columns);
    layout.legend[i].y = below - 4 - (row + 0.5) * legend_row;
  }
  return layout;
}

}  // namespace rankfold
