#include "analysis/figures/figure_svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "analysis/drawings/svg.h"
#include "analysis/figures/colour_contrast.h"
#include "analysis/figures/figure_layout.h"
#include "analysis/figures/panel_axes.h"
#include "analysis/figures/panel_labels.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

// Pixels of a panel's picture. It is scaled to the room that it has.
constexpr double width = 400, height = 290, left = 50, right = 12, top = 26, bottom = 46;
constexpr double plot_width = width - left - right, plot_height = height - top - bottom;

/// gnuplot's point types as SVG commands from a point's middle.
const char* marker_path(int marker) {
  switch (marker / 2) {
    case 2:
      return "m-3.7-3.7h7.4v7.4h-7.4z";
    case 3:
      return "m-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0";
    case 4:
      return "m0-5l4.6 8h-9.2z";
    case 5:
      return "m0 5l4.6-8h-9.2z";
    case 6:
      return "m0-5.2l4.4 5.2-4.4 5.2-4.4-5.2z";
    default:
      return "m0-4.9l4.7 3.4-1.8 5.5h-5.8l-1.8-5.5z";
  }
}

bool is_open(int marker) {
  return marker % 2 == 0;
}

/// gnuplot's "(16,8)" as SVG's "8 4"; "" for a line without gaps.
std::string dash_array(const std::string& dash) {
  if (!dash.starts_with('(')) return "";
  std::vector<std::string> lengths;
  for (const std::string& length : split(std::string_view(dash).substr(1, dash.size() - 2), ','))
    lengths.push_back(fmt::format("{:g}", parse_number<double>(length).value_or(8) / 2));
  return join(lengths, " ");
}

std::string dash_attribute(const LineLook& look) {
  const std::string dashes = dash_array(line_style(look).dash);
  return dashes.empty() ? "" : fmt::format(" stroke-dasharray=\"{}\"", dashes);
}

/// What is read as a number from the text: 1 in 10^5.
std::string number(double value) {
  return fmt::format("{:.5g}", value);
}

std::string hover_text(const FigurePanel& panel, const FigureLine& line, const FigurePoint& point,
                       bool is_reference) {
  std::vector<std::string> lines = {line.name};
  if (!point.rank.empty()) lines.push_back("rank " + point.rank);
  const bool counts = panel.x_label.find("parameters") != std::string::npos;
  if (!is_reference && !counts && panel.x_label != "rank")
    lines.push_back(fmt::format("{} {}", panel.x_label, number(point.x)));
  if (point.parameters > 0 || is_reference) {
    std::string text = grouped_count(point.parameters) + " adapter parameters";
    if (point.trainable) text += fmt::format(", {} trainable", grouped_count(*point.trainable));
    lines.push_back(text);
  }
  const Estimate& estimate = point.value;
  const auto is_count = [&](std::optional<std::int64_t> count) {
    return estimate.value && count && *estimate.value == static_cast<double>(*count);
  };
  if (line.look.shade && estimate.value) {
    lines.push_back(fmt::format("{}: {}", panel.y_label, number(*estimate.value)));
  } else if (!is_count(point.parameters) && !is_count(point.trainable)) {
    const auto& interval = estimate.interval;
    lines.push_back(estimate.value ? fmt::format("{}: {}", panel.y_label, number(*estimate.value))
                                   : panel.y_label + ": none, all runs diverged");
    if (interval)
      lines.push_back(
          fmt::format("95% interval {} to {}", number(interval->low), number(interval->high)));
    else if (estimate.value)
      lines.emplace_back("95% interval unknown");
  }
  if (!line.look.shade) {
    lines.push_back(fmt::format("{} run{}, {} diverged", estimate.count + estimate.diverged,
                                estimate.count + estimate.diverged == 1 ? "" : "s",
                                estimate.diverged));
  }
  if (point.constant > 0)
    lines.push_back(fmt::format("{} of them gave every row one answer", point.constant));
  if (point.dominated) lines.emplace_back("dominated: fewer parameters score as well");
  for (std::string& text : lines) text = escape_xml(text);
  return join(lines, "&#10;");
}

std::vector<FigureLayout::LegendEntry> legend_of(const FigurePlan& plan) {
  return layout_figure(plan, column_width).legend;
}

/// One panel's picture, put together from back to front.
class PanelPicture {
 public:
  PanelPicture(const FigurePlan& plan, const FigurePanel& panel)
      : plan_(plan), panel_(panel), frame_{horizontal_axis(plan, panel),
                                           vertical_axis(plan, panel),
                                           plot_width,
                                           plot_height,
                                           11,
                                           9.5,
                                           5} {}

  /// `group_of` opens the group of a line.
  std::string draw(
      const std::function<std::string(const LineLook&, const std::string&)>& group_of) {
    axes();
    for (const FigureLine& line : panel_.references) {
      if (line.points[0].value.value && !is_off_axis(line, frame_.y)) reference(line);
    }
    const auto each_line = [&](const auto& draw_part) {
      for (const FigureLine& line : panel_.lines) {
        std::string before = std::exchange(svg_, "");
        draw_part(line);
        const std::string part = std::exchange(svg_, std::move(before));
        if (!part.empty()) add("{}{}</g>\n", group_of(line.look, line.name), part);
      }
    };
    if (plan_.spread == Spread::band) each_line([this](const FigureLine& line) { bands(line); });
    each_line([this](const FigureLine& line) { strokes(line); });
    if (plan_.spread != Spread::band) each_line([this](const FigureLine& line) { spread(line); });
    each_line([this](const FigureLine& line) { points(line, true); });
    each_line([this](const FigureLine& line) { points(line, false); });
    for (const PanelLabel& label : panel_labels(plan_, panel_, frame_)) {
      const double y = top + plot_height - (label.box.bottom + label.box.top) / 2 + 3.5;
      if (label.line) {
        add("{}<text class=\"r{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text></g>\n",
            group_of(label.line->look, label.line->name), label.dominated ? " d" : "",
            left + (label.box.left + label.box.right) / 2, y - 0.5, escape_xml(label.text));
      } else {
        add("<text class=\"n\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", left + label.box.left, y,
            escape_xml(label.text));
      }
    }
    return std::move(svg_);
  }

 private:
  template <class... Arguments>
  void add(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(svg_), text, std::forward<Arguments>(arguments)...);
  }

  double x_of(const FigurePoint& point) const { return left + frame_.left(point); }
  double y_of(const FigurePoint& point) const { return top + plot_height - frame_.up(point); }
  double y_of(double value) const { return top + plot_height - frame_.up(value); }

  void axes() {
    thin_labels(frame_.x, plot_width,
                [](const std::string& label) { return dejavu_width(label, 11.5) + 6; });
    const double floor = top + plot_height;
    std::string grid, ticks;
    for (const Tick& tick : frame_.x.ticks) {
      const double x = left + frame_.x.position(tick.value) * plot_width;
      ticks += fmt::format("M{:.1f} {:.1f}v{}", x, floor, tick.text.empty() ? 3 : 5);
      if (tick.text.empty()) continue;
      grid += fmt::format("M{:.1f} {:.1f}v-{:.1f}", x, floor, plot_height);
      add("<text class=\"t x\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", x, floor + 17,
          escape_xml(tick.text));
    }
    for (const Tick& tick : frame_.y.ticks) {
      const double y = y_of(tick.value);
      ticks += fmt::format("M{:.1f} {:.1f}h-{}", left, y, tick.text.empty() ? 3 : 5);
      if (tick.text.empty()) continue;
      grid += fmt::format("M{:.1f} {:.1f}h{:.1f}", left, y, plot_width);
      add("<text class=\"t y\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", left - 8, y + 4,
          escape_xml(tick.text));
    }
    add("\n<path class=\"g\" d=\"{}\"/>\n<path class=\"a\" d=\"{}M{:.1f} "
        "{:.1f}v{:.1f}h{:.1f}\"/>\n",
        grid, ticks, left, top, plot_height, plot_width);
    add("<text class=\"t\" x=\"2\" y=\"14\">{}</text>", escape_xml(panel_.y_label));
    add("<text class=\"t x\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n", left + plot_width / 2,
        height - 6, escape_xml(panel_.x_label));
  }

  void reference(const FigureLine& line) {
    const FigurePoint& point = line.points[0];
    const double y = y_of(point);
    add("<g class=\"f\">");
    if (const auto& interval = point.value.interval) {
      add("<path class=\"b\" d=\"M{:.1f} {:.1f}h{:.1f}V{:.1f}h-{:.1f}z\"/>", left,
          y_of(interval->low), plot_width, y_of(interval->high), plot_width);
    }
    add("<path class=\"s\" d=\"M{:.1f} {:.1f}h{:.1f}\" stroke-dasharray=\"{}\"/>", left, y,
        plot_width, dash_array(reference_dash(line.look.method)));
    for (const double x : {left, left + plot_width / 2, left + plot_width}) {
      add("<path class=\"p\" d=\"M{:.1f} {:.1f}\"><title>{}</title></path>", x, y,
          hover_text(panel_, line, point, true));
    }
    add("</g>\n");
  }

  /// Calls `take(first, end)` for every longest row of neighbours that `chosen` takes.
  static void for_rows(const FigureLine& line,
                       const std::function<bool(const FigurePoint&)>& chosen,
                       const std::function<void(std::size_t, std::size_t)>& take) {
    const std::vector<FigurePoint>& points = line.points;
    for (std::size_t first = 0, end = 0; first < points.size(); first = end + 1) {
      for (end = first; end < points.size() && chosen(points[end]);) ++end;
      if (end > first) take(first, end);
    }
  }

  void bar(const FigurePoint& point) {
    const Bounds& bounds = *point.value.interval;
    add("<path class=\"e\" d=\"M{0:.1f} {1:.1f}V{2:.1f}m-3 0h6M{0:.1f} {1:.1f}m-3 0h6\"/>",
        x_of(point), y_of(bounds.low), y_of(bounds.high));
  }

  /// A bar at each marker, or a dot for each of its runs.
  void spread(const FigureLine& line) {
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      const FigurePoint& point = line.points[i];
      if (line.look.muted || !has_marker(line, i)) continue;
      if (plan_.spread == Spread::bars && point.value.interval) bar(point);
      if (plan_.spread != Spread::dots) continue;
      for (const double run : point.runs)
        add("<path class=\"q\" d=\"M{:.1f} {:.1f}m-1.8 0a1.8 1.8 0 1 0 3.6 0a1.8 1.8 0 1 0-3.6 "
            "0\"/>",
            x_of(point), y_of(run));
    }
  }

  bool has_marker(const FigureLine& line, std::size_t i) const {
    const std::size_t stride = panel_.is_dense ? line.points.size() / 6 + 1 : 1;
    return line.points[i].value.value.has_value() && i % stride == stride / 2;
  }

  void bands(const FigureLine& line) {
    if (line.look.muted) return;
    const auto has_band = [](const FigurePoint& point) { return point.value.interval.has_value(); };
    for_rows(line, has_band, [&](std::size_t first, std::size_t end) {
      const auto& points = line.points;
      if (end - first == 1) return bar(points[first]);
      std::string path;
      for (std::size_t i = first; i < end; ++i)
        path += fmt::format("{}{:.1f} {:.1f}", i == first ? "M" : "L", x_of(points[i]),
                            y_of(points[i].value.interval->low));
      for (std::size_t i = end; i-- > first;)
        path +=
            fmt::format("L{:.1f} {:.1f}", x_of(points[i]), y_of(points[i].value.interval->high));
      add("<path class=\"b\" d=\"{}z\"/>", path);
    });
  }

  void strokes(const FigureLine& line) {
    const auto is_known = [](const FigurePoint& point) { return point.value.value.has_value(); };
    std::string path;
    for_rows(line, is_known, [&](std::size_t first, std::size_t end) {
      for (std::size_t i = first; i < end && end - first > 1; ++i)
        path += fmt::format("{}{:.1f} {:.1f}", i == first ? "M" : "L", x_of(line.points[i]),
                            y_of(line.points[i]));
    });
    if (!path.empty()) add("<path class=\"s\" d=\"{}\"{}/>", path, dash_attribute(line.look));
  }

  /// The pale ones, or the others. Those without a marker tell their values too.
  void points(const FigureLine& line, bool pale) {
    const int marker = line_style(line.look).marker;
    for (std::size_t i = 0; i < line.points.size() && !line.look.muted; ++i) {
      const FigurePoint& point = line.points[i];
      if (point.dominated != pale) continue;
      const double x = x_of(point), y = y_of(point);
      const bool is_known = point.value.value.has_value();
      const bool is_constant = point.constant > 0;
      if (is_known || point.value.diverged > 0) {
        add("<path class=\"p{}{}\" d=\"M{:.1f} {:.1f}{}\"><title>{}</title></path>",
            is_open(marker) || is_constant ? " o" : "", pale && !is_constant ? " d" : "", x, y,
            has_marker(line, i) ? marker_path(marker) : "", hover_text(panel_, line, point, false));
      }
      if (is_constant && has_marker(line, i))
        add("<path class=\"c\" d=\"M{:.1f} {:.1f}m-7 0h14m-7-7v14\"/>", x, y);
      if (point.value.diverged > 0) {
        add("<path class=\"c\" d=\"M{:.1f} {:.1f}m-3.5-3.5l7 7m0-7l-7 7\"/>", x, top + plot_height);
      }
    }
  }

  const FigurePlan& plan_;
  const FigurePanel& panel_;
  PanelFrame frame_;
  std::string svg_;
};

}  // namespace

std::string grouped_count(std::int64_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<int>(text.size()) - 3; at > (count < 0 ? 1 : 0); at -= 3)
    text.insert(static_cast<std::size_t>(at), 1, ',');
  return text;
}

std::size_t SvgFigures::colour(const std::string& value) {
  const auto found = std::ranges::find(colours_, value);
  const auto place = static_cast<std::size_t>(found - colours_.begin());
  if (found == colours_.end()) colours_.push_back(value);
  return place;
}

std::string SvgFigures::legend(const FigurePlan& plan) {
  std::string items;
  for (const auto& entry : legend_of(plan)) {
    const MethodStyle style = line_style(entry.look);
    items += fmt::format(
        "<li><button type=\"button\" aria-pressed=\"true\"><svg class=\"k{}\" width=\"32\" "
        "height=\"14\" aria-hidden=\"true\"><path class=\"s\" d=\"M1 7h30\"{}/><path "
        "class=\"p{}\" d=\"M16 7{}\"/></svg>{}</button></li>\n",
        colour(style.colour), dash_attribute(entry.look), is_open(style.marker) ? " o" : "",
        marker_path(style.marker), escape_xml(entry.name));
  }
  return "<ul class=\"legend\">\n" + items + "</ul>\n";
}

std::string SvgFigures::panel(const FigurePlan& plan, const FigurePanel& panel) {
  std::map<std::string, std::size_t> places;
  for (const auto& entry : legend_of(plan)) places.emplace(entry.name, places.size());
  const std::string picture =
      PanelPicture(plan, panel).draw([&](const LineLook& look, const std::string& name) {
        return fmt::format("<g class=\"l k{}\" data-line=\"{}\">", colour(line_style(look).colour),
                           places.at(name));
      });
  return fmt::format(
      "<div class=\"panel\"><h4>{0}</h4>\n<svg viewBox=\"0 0 {3} {4}\" role=\"img\" tabindex=\"0\" "
      "aria-label=\"{0}: {1} against {2}. Arrow keys go through the points.\">\n{5}</svg></div>\n",
      escape_xml(panel.title), escape_xml(panel.y_label), escape_xml(panel.x_label), width, height,
      picture);
}

std::string SvgFigures::draw(const FigurePlan& plan, const std::string& title,
                             const std::string& id) {
  std::string panels;
  for (std::size_t first = 0, end = 0; first < plan.panels.size(); first = end) {
    const std::string& group = plan.panels[first].group;
    std::string together;
    for (end = first; end == first || (end < plan.panels.size() && !group.empty() &&
                                       plan.panels[end].group == group);
         ++end)
      together += panel(plan, plan.panels[end]);
    panels += end - first == 1
                  ? together
                  : fmt::format("<div class=\"together\">\n{}</div>\n", std::move(together));
  }
  return fmt::format(
      "<figure class=\"figure\" id=\"{0}\"><h3>{1}</h3>\n{2}<div class=\"panels\">\n{3}</div>\n"
      "<figcaption>{4}</figcaption>\n<script type=\"application/json\" class=\"values\">{5}"
      "</script></figure>\n",
      escape_xml(id), escape_xml(title), legend(plan), panels, escape_xml(plan.note),
      script_string(figure_csv(plan)));
}

std::string SvgFigures::colour_rules() const {
  std::string light, dark;
  for (std::size_t i = 0; i < colours_.size(); ++i) {
    for (const auto& [rules, page] : {std::pair(&light, light_page), std::pair(&dark, dark_page)}) {
      *rules += fmt::format(".k{}{{--k:{};--t:{};--d:{}}}", i, stroke_colour(colours_[i], page),
                            label_colour(colours_[i], page, false),
                            label_colour(colours_[i], page, true));
    }
  }
  return light + "\n@media screen and (prefers-color-scheme:dark){" + dark + "}\n";
}

}  // namespace rankfold
