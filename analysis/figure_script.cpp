#include "analysis/figure_script.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "analysis/axis.h"
#include "analysis/figure_layout.h"
#include "analysis/gnuplot.h"
#include "analysis/method_style.h"

namespace rankfold {
namespace {

constexpr const char* ink = "#333333";
constexpr double rank_size = 6.5, marker_radius = 2.6;

/// Pixels per point of text, line and page.
double resolution(FigureFormat format) {
  if (format == FigureFormat::png) return 200.0 / 72;
  return format == FigureFormat::svg ? 96.0 / 72 : 1;
}

std::string font(double size, const char* weight = "") {
  return fmt::format("font 'DejaVu Sans{},{}'", weight, size);
}

/// Draws in points; gnuplot gets fractions of the page.
class Script {
 public:
  Script(const FigurePlan& plan, FigureFormat format)
      : plan_(plan), layout_(layout_figure(plan)), format_(format), x_axis_(horizontal_axis()) {}

  std::string write(const std::string& name) {
    begin(name);
    for (std::size_t i = 0; i < plan_.panels.size(); ++i) {
      if (i == 0) legend_and_note();
      panel(plan_.panels[i], layout_.panels[i], i);
    }
    add("unset multiplot\nunset output\n");
    return std::move(text_);
  }

 private:
  template <class... Arguments>
  void add(fmt::format_string<Arguments...> text, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(text_), text, std::forward<Arguments>(arguments)...);
  }

  std::string at(double x, double y) const {
    return fmt::format("screen {:.6f}, screen {:.6f}", x / layout_.width, y / layout_.height);
  }

  Axis horizontal_axis() const {
    std::vector<double> values;
    for (const FigurePanel& panel : plan_.panels) {
      for (const FigureLine& line : panel.lines) {
        for (const FigurePoint& point : line.points) values.push_back(point.x);
      }
    }
    if (plan_.x_scale == AxisScale::linear) return make_count_axis(values);
    return make_axis(plan_.x_scale, values);
  }

  static Axis vertical_axis(const FigurePanel& panel) {
    std::vector<double> values;
    for (const auto* lines : {&panel.lines, &panel.references}) {
      for (const FigureLine& line : *lines) {
        for (const FigurePoint& point : line.points) {
          values.insert(values.end(), {point.value.low, point.value.high});
        }
      }
    }
    return make_axis(panel.y_scale, values);
  }

  void begin(const std::string& name) {
    const double scale = resolution(format_);
    const double width = layout_.width * scale, height = layout_.height * scale;
    // The cairo terminals draw a point of text as 4/3 points, and lines in PDF thinner than said.
    switch (format_) {
      case FigureFormat::pdf:
        add("set terminal pdfcairo enhanced color rounded size {:.4f}in,{:.4f}in", width / 72,
            height / 72);
        add(" font 'DejaVu Sans,{}' fontscale 0.75 linewidth 1.8\n", text_size);
        break;
      case FigureFormat::png:
        add("set terminal pngcairo enhanced color rounded size {:.0f},{:.0f}", width, height);
        add(" font 'DejaVu Sans,{}' fontscale {:.4f} linewidth {:.4f} pointscale {:.4f}\n",
            text_size, 0.75 * scale, scale, scale);
        break;
      case FigureFormat::svg:
        add("set terminal svg enhanced rounded size {:.0f},{:.0f} fixed background '#ffffff'",
            width, height);
        add(" font 'DejaVu Sans,{}' fontscale {:.4f} linewidth {:.4f}\n", text_size, scale, scale);
        break;
    }
    add("set encoding utf8\nset output {}\n", gnuplot_text(name));
    add("set multiplot\nunset key\nset border 3 lw 0.8 lc rgb '{}'\n", ink);
    add("set style line 100 lw 0.5 lc rgb '#dddddd' dt 1\nset grid xtics ytics back ls 100\n");
  }

  void label(double x, double y, const std::string& text, const std::string& style) {
    add("set label {} at {} noenhanced front {}\n", gnuplot_text(text), at(x, y), style);
  }

  std::string line_style(const std::string& method, int variant) const {
    const MethodStyle style = method_style(method, variant);
    return fmt::format("lw 1.3 dt {} lc rgb '{}'", style.dash, style.colour);
  }

  std::string marker_style(const std::string& method, int variant) const {
    const MethodStyle style = method_style(method, variant);
    return fmt::format("pt {} ps {} lw 1 lc rgb '{}'", style.marker, marker_size(style.marker),
                       style.colour);
  }

  /// So that all markers look equally large; the svg terminal draws them in sizes of its own.
  double marker_size(int marker) const {
    constexpr std::array sizes = {0.5, 0.55, 0.65, 0.65, 0.65, 0.65};
    constexpr std::array svg_sizes = {0.77, 0.9, 0.82, 0.82, 0.7, 0.8};
    const auto shape = static_cast<std::size_t>(marker - 4) / 2;
    return format_ == FigureFormat::svg ? svg_sizes[shape] : sizes[shape];
  }

  void legend_and_note() {
    for (const auto& entry : layout_.legend) {
      const double end = entry.x + layout_.sample_width;
      add("set arrow from {} to {} nohead {}\n", at(entry.x, entry.y), at(end, entry.y),
          line_style(entry.method, entry.variant));
      // The svg terminal gives lines of one colour that follow each other one dash pattern.
      add("set arrow from {} to {} nohead lw 0.1 lc rgb '#ffffff'\n", at(end, entry.y),
          at(end, entry.y));
      add("set label '' at {} point {}\n", at((entry.x + end) / 2, entry.y),
          marker_style(entry.method, entry.variant));
      label(end + 5, entry.y, entry.name, fmt::format("left {} tc rgb '{}'", font(text_size), ink));
    }
    double y = layout_.note_top - small_size / 2;
    for (const std::string& line : layout_.note) {
      label(layout_.panels[0].left, y, line,
            fmt::format("left {} tc rgb '#555555'", font(small_size)));
      y -= 11;
    }
  }

  void ticks(const char* axis, const Axis& shown) {
    add("set {}range [{:.10g}:{:.10g}]\n", axis, shown.low, shown.high);
    if (shown.scale == AxisScale::linear) {
      add("unset logscale {}\n", axis);
    } else {
      add("set logscale {} {}\n", axis, shown.scale == AxisScale::log2 ? 2 : 10);
    }
    add("set {}tics nomirror out scale 0.6,0.3 {} tc rgb '{}' (", axis, font(8), ink);
    for (std::size_t i = 0; i < shown.ticks.size(); ++i) {
      const Tick& tick = shown.ticks[i];
      add("{}'{}' {:.10g} {}", i == 0 ? "" : ", ", tick.text, tick.value,
          tick.text.empty() ? 1 : 0);
    }
    add(")\n");
  }

  void data(const std::string& name, const FigureLine& line, const Axis& y_axis) {
    add("${} << EOD\n", name);
    for (const FigurePoint& point : line.points) {
      const auto inside = [&](double value) { return std::clamp(value, y_axis.low, y_axis.high); };
      add("{:.10g} {:.10g} {:.10g} {:.10g}\n", point.x, point.value.mean, inside(point.value.low),
          inside(point.value.high));
    }
    add("EOD\n");
  }

  void panel(const FigurePanel& shown, const Box& area, std::size_t index) {
    const Axis y_axis = vertical_axis(shown);
    add("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}\n", area.left / layout_.width,
        area.right / layout_.width);
    add("set bmargin at screen {:.6f}\nset tmargin at screen {:.6f}\n",
        area.bottom / layout_.height, area.top / layout_.height);
    ticks("x", x_axis_);
    ticks("y", y_axis);
    label((area.left + area.right) / 2, area.top + 10, shown.title,
          fmt::format("center {} tc rgb '{}'", font(text_size, ":Bold"), ink));
    label((area.left + area.right) / 2, area.bottom - 26, plan_.x_label,
          fmt::format("center {} tc rgb '{}'", font(text_size), ink));
    label(area.left - 38, (area.bottom + area.top) / 2, shown.y_label,
          fmt::format("center rotate by 90 {} tc rgb '{}'", font(text_size), ink));
    for (std::size_t i = 0; i < shown.lines.size(); ++i) {
      data(fmt::format("panel{}_line{}", index, i), shown.lines[i], y_axis);
    }
    text_labels(shown, area, y_axis);
    plot(shown, index);
    add("unset label\nunset arrow\n");
  }

  /// The references of a panel as bands and lines over the whole of its width.
  void references(const FigurePanel& shown, std::size_t index, std::vector<std::string>& bands,
                  std::vector<std::string>& lines) {
    for (std::size_t i = 0; i < shown.references.size(); ++i) {
      const FigureLine& line = shown.references[i];
      const Interval& value = line.points[0].value;
      const std::string source = fmt::format("$panel{}_reference{} using ", index, i);
      add("{} << EOD\n", source.substr(0, source.find(' ')));
      for (const double x : {x_axis_.low, x_axis_.high}) {
        add("{:.10g} {:.10g} {:.10g} {:.10g}\n", x, value.mean, value.low, value.high);
      }
      add("EOD\n");
      if (value.high > value.low) {
        bands.push_back(source +
                        "1:3:4 with filledcurves fs transparent solid 0.07 noborder "
                        "lc rgb '#000000'");
      }
      lines.push_back(source + fmt::format("1:2 with lines lw 1 dt {} lc rgb '#555555'",
                                           line.method == "none" ? "(2,10)" : "(16,12)"));
    }
  }

  /// Labels of references and, where the figure wants them, the ranks at the points.
  void text_labels(const FigurePanel& shown, const Box& area, const Axis& y_axis) {
    const double width = area.right - area.left, height = area.top - area.bottom;
    const auto x_of = [&](const FigurePoint& p) { return x_axis_.position(p.x) * width; };
    const auto y_of = [&](const FigurePoint& p) { return y_axis.position(p.value.mean) * height; };
    LabelPlacer placer(width, height);
    for (const FigureLine& line : shown.lines) {
      for (std::size_t i = 0; i < line.points.size(); ++i) {
        const FigurePoint& point = line.points[i];
        placer.add_marker(x_of(point), y_of(point), marker_radius);
        if (i == 0) continue;
        const FigurePoint& before = line.points[i - 1];
        placer.add_segment(x_of(before), y_of(before), x_of(point), y_of(point));
      }
    }
    const auto add_error_bar = [&](const FigurePoint& point) {
      placer.add_segment(x_of(point), y_axis.position(point.value.low) * height, x_of(point),
                         y_axis.position(point.value.high) * height);
    };
    for (const FigureLine& line : shown.lines) {
      if (line.points.size() == 1) add_error_bar(line.points[0]);
    }
    for (const FigureLine& line : shown.references) {
      placer.add_segment(0, y_of(line.points[0]), width, y_of(line.points[0]));
    }
    for (const FigureLine& line : shown.references) {
      const auto box = placer.place_along(y_of(line.points[0]),
                                          text_width(line.name.c_str(), small_size), small_size);
      if (!box) continue;
      label(area.left + box->left, area.bottom + (box->bottom + box->top) / 2, line.name,
            fmt::format("left {} tc rgb '#555555'", font(small_size)));
    }
    if (plan_.rank_labels == RankLabels::none) return;
    std::set<std::tuple<std::string, std::string, double, double>> labelled;
    for (const FigureLine& line : shown.lines) {
      const std::string colour = method_style(line.method, line.variant).colour;
      const bool everywhere = plan_.rank_labels == RankLabels::at_points;
      for (std::size_t i = everywhere ? 0 : line.points.size() - 1; i < line.points.size(); ++i) {
        const FigurePoint& point = line.points[i];
        // Lines of one method may share a point: first:N and last:N meet where N is all layers.
        const bool is_new =
            labelled.emplace(line.method, point.rank, point.x, point.value.mean).second;
        if (point.rank.empty() || !is_new) continue;
        const auto box = placer.place_beside(x_of(point), y_of(point),
                                             text_width(point.rank.c_str(), rank_size), rank_size);
        if (!box) continue;
        label(area.left + (box->left + box->right) / 2, area.bottom + (box->bottom + box->top) / 2,
              point.rank, fmt::format("center {} tc rgb '{}'", font(rank_size), colour));
      }
    }
  }

  void plot(const FigurePanel& shown, std::size_t index) {
    std::array<std::vector<std::string>, 3> layers;  // bands, lines, markers: bottom to top
    references(shown, index, layers[0], layers[1]);
    for (std::size_t i = 0; i < shown.lines.size(); ++i) {
      const FigureLine& line = shown.lines[i];
      const std::string source = fmt::format("$panel{}_line{} using ", index, i);
      const std::string colour = method_style(line.method, line.variant).colour;
      const auto is_wide = [](const FigurePoint& p) { return p.value.high > p.value.low; };
      if (std::any_of(line.points.begin(), line.points.end(), is_wide)) {
        const bool single = line.points.size() == 1;
        layers[0].push_back(
            single ? fmt::format("{}1:2:3:4 with yerrorbars pt 7 ps 0 lw 1 lc rgb '{}'", source,
                                 colour)
                   : fmt::format("{}1:3:4 with filledcurves fs transparent solid 0.16 noborder "
                                 "lc rgb '{}'",
                                 source, colour));
      }
      if (line.points.size() > 1) {
        layers[1].push_back(source + "1:2 with lines " + line_style(line.method, line.variant));
      }
      layers[2].push_back(source + "1:2 with points " + marker_style(line.method, line.variant));
    }
    std::string elements;
    for (const auto& layer : layers) {
      for (const std::string& element : layer) {
        elements += (elements.empty() ? "" : ", \\\n  ") + element;
      }
    }
    add("plot {}\n", elements.empty() ? "NaN" : elements);
  }

  const FigurePlan& plan_;
  const FigureLayout layout_;
  const FigureFormat format_;
  const Axis x_axis_;
  std::string text_;
};

}  // namespace

std::string figure_script(const FigurePlan& plan, FigureFormat format, const std::string& name) {
  return Script(plan, format).write(name);
}

}  // namespace rankfold
