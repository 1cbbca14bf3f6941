#include "analysis/figures/figure_script.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <tuple>

#include <fmt/format.h>

#include "analysis/figures/colour_contrast.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/figures/method_style.h"
#include "analysis/figures/panel_axes.h"
#include "analysis/figures/panel_labels.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr const char* ink = "#333333";
constexpr double rank_size = 6.5, marker_radius = 2.6;
constexpr std::size_t many_points = 60;  // of a panel: their markers are smaller

/// The font size, at most that of text, at which the words fit into the room; not so small that
/// nobody can read them.
double fitting_size(const std::string& words, double room) {
  const double fitting = text_size * room / dejavu_width(words, text_size);
  return std::clamp(std::floor(10 * fitting) / 10, 5.5, text_size);
}

/// The words at that size as far as there is room for them.
std::string cut_to(const std::string& words, double room, double size) {
  if (dejavu_width(words, size) <= room) return words;
  std::string shown;
  for (std::size_t at = 0; at < words.size();) {
    const std::size_t length =
        std::max<std::size_t>(utf8_length(std::string_view(words).substr(at)), 1);
    const std::string longer = shown + words.substr(at, length);
    if (dejavu_width(longer + "\u2026", size) > room) break;
    shown = longer;
    at += length;
  }
  return shown + "\u2026";
}

/// Draws in points; gnuplot gets fractions of the page.
class Script {
 public:
  Script(const FigurePlan& plan, double width, FigureFormat format)
      : plan_(plan), layout_(layout_figure(plan, width)), terminal_(format) {
    for (const FigurePanel& panel : plan.panels) x_axes_.push_back(horizontal_axis(plan, panel));
  }

  std::string write(const std::string& name) {
    begin(name);
    for (std::size_t i = 0; i < plan_.panels.size(); ++i) {
      if (i == 0) legend_and_note();
      panel(i);
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

  void begin(const std::string& name) {
    text_ += terminal_.set_up(layout_.width, layout_.height);
    add("set encoding utf8\nset output {}\n", gnuplot_text(name));
    add("set multiplot\nunset key\nset border 3 lw 0.8 lc rgb '{}'\n", ink);
    add("set style line 100 lw 0.5 lc rgb '#dddddd' dt 1\nset grid xtics ytics back ls 100\n");
    text_ += "set clip two\n";  // lines to points outside a range end at the frame
  }

  void label(double x, double y, const std::string& shown, const std::string& style) {
    add("set label {} at {} noenhanced front {}\n", terminal_.text(shown), at(x, y), style);
  }

  std::string stroke(const LineLook& look) const {
    const MethodStyle style = line_style(look);
    return fmt::format("lw {} dt {} lc rgb '{}'", look.published || look.muted ? "0.8" : "1.3",
                       style.dash, style.colour);
  }

  std::string marker(const LineLook& look, double scale, bool is_pale = false) const {
    const MethodStyle style = line_style(look);
    return fmt::format("pt {} ps {:.3g} lw 1 lc rgb '{}'", style.marker,
                       scale * terminal_.marker_size(style.marker),
                       is_pale ? pale(style.colour) : style.colour);
  }

  void legend_and_note() {
    for (const auto& entry : layout_.legend) {
      const double end = entry.x + layout_.sample_width;
      add("set arrow from {} to {} nohead {}\n", at(entry.x, entry.y), at(end, entry.y),
          stroke(entry.look));
      // The svg terminal gives lines of one colour that follow each other one dash pattern.
      add("set arrow from {} to {} nohead lw 0.1 lc rgb '#ffffff'\n", at(end, entry.y),
          at(end, entry.y));
      add("set label '' at {} point {}\n", at((entry.x + end) / 2, entry.y), marker(entry.look, 1));
      const double room = layout_.width - end - 10;
      const double size = fitting_size(entry.name, room);
      label(end + 5, entry.y, cut_to(entry.name, room, size),
            fmt::format("left {} tc rgb '{}'", terminal_.font(size), ink));
    }
    double y = layout_.note_top - small_size / 2;
    for (const std::string& line : layout_.note) {
      label(layout_.note_left, y, line,
            fmt::format("left {} tc rgb '#555555'", terminal_.font(small_size)));
      y -= 11;
    }
  }

  void ticks(const char* axis, FigureAxis shown, double length, bool has_labels) {
    constexpr double tick_size = 8;
    thin_labels(shown, length, [&](const std::string& label) {
      return *axis == 'x' ? dejavu_width(label, tick_size) + 3 : tick_size + 3;
    });
    add("set {}range [{:.10g}:{:.10g}]\n", axis, shown.low, shown.high);
    if (shown.scale == AxisScale::linear) {
      add("unset logscale {}\n", axis);
    } else {
      add("set logscale {} {}\n", axis, shown.scale == AxisScale::log2 ? 2 : 10);
    }
    add("set {}tics nomirror out scale 0.6,0.3 {} tc rgb '{}' (", axis, terminal_.font(tick_size),
        ink);
    for (std::size_t i = 0; i < shown.ticks.size(); ++i) {
      const Tick& tick = shown.ticks[i];
      add("{}{} {:.10g} {}", i == 0 ? "" : ", ", terminal_.text(has_labels ? tick.text : ""),
          tick.value, tick.text.empty() ? 1 : 0);
    }
    add(")\n");
  }

  /// A data block of the points that `chosen` takes: x, mean, low, high. A blank line, at which
  /// lines and bands break, stands for those that it leaves out.
  void data(const std::string& name, const FigureLine& line, const FigureAxis& y_axis,
            const std::function<bool(std::size_t)>& chosen) {
    add("{} << EOD\n", name);
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      const FigurePoint& point = line.points[i];
      if (!chosen(i)) {
        add("\n");
        continue;
      }
      const auto [low, high] = drawn_interval(point, y_axis);
      add("{:.10g} {:.10g} {:.10g} {:.10g}\n", point.x, point.value.value.value_or(y_axis.low), low,
          high);
    }
    add("EOD\n");
  }

  /// A data block of the runs of the points that `chosen` takes.
  void dots(const std::string& name, const FigureLine& line,
            const std::function<bool(std::size_t)>& chosen) {
    add("{} << EOD\n", name);
    for (std::size_t i = 0; i < line.points.size(); ++i) {
      if (!chosen(i)) continue;
      for (const double run : line.points[i].runs) add("{:.10g} {:.10g}\n", line.points[i].x, run);
    }
    add("EOD\n");
  }

  void panel(std::size_t index) {
    const FigurePanel& shown = plan_.panels[index];
    const Box& area = layout_.panels[index];
    const FigureAxis y_axis = vertical_axis(plan_, shown);
    add("set lmargin at screen {:.6f}\nset rmargin at screen {:.6f}\n", area.left / layout_.width,
        area.right / layout_.width);
    add("set bmargin at screen {:.6f}\nset tmargin at screen {:.6f}\n",
        area.bottom / layout_.height, area.top / layout_.height);
    ticks("x", x_axes_[index], area.right - area.left, layout_.has_x_labels[index]);
    ticks("y", y_axis, area.top - area.bottom, layout_.has_y_labels[index]);
    const double middle = (area.left + area.right) / 2;
    const double width = area.right - area.left + 20, height = area.top - area.bottom + 24;
    const auto write = [&](double x, double y, const std::string& words, double room, bool bold,
                           const char* turn) {
      // Bold letters are a tenth wider.
      const double space = bold ? room / 1.1 : room;
      const double size = fitting_size(words, space);
      label(x, y, cut_to(words, space, size),
            fmt::format("center {}{} tc rgb '{}'", turn, terminal_.font(size, bold), ink));
    };
    const double title_up = plan_.is_small_multiple ? 8 : 10;
    write(middle, area.top + title_up, shown.title, width, true, "");
    if (layout_.has_x_labels[index])
      write(middle, area.bottom - 26, shown.x_label, width, false, "");
    if (layout_.has_y_labels[index])
      write(area.left - 42, (area.bottom + area.top) / 2, shown.y_label, height, false,
            "rotate by 90 ");
    text_labels(index, y_axis);
    plot(index, y_axis);
    add("unset label\nunset arrow\n");
  }

  /// The references of a panel as bands and lines over the whole of its width.
  void references(std::size_t index, const FigureAxis& y_axis, std::vector<std::string>& bands,
                  std::vector<std::string>& lines) {
    const FigurePanel& shown = plan_.panels[index];
    for (std::size_t i = 0; i < shown.references.size(); ++i) {
      const FigureLine& line = shown.references[i];
      if (!line.points[0].value.value || is_off_axis(line, y_axis)) continue;
      const double mean = *line.points[0].value.value;
      const std::string source = fmt::format("$panel{}_reference{} using ", index, i);
      add("{} << EOD\n", source.substr(0, source.find(' ')));
      const auto [low, high] = drawn_interval(line.points[0], y_axis);
      for (const double x : {x_axes_[index].low, x_axes_[index].high}) {
        add("{:.10g} {:.10g} {:.10g} {:.10g}\n", x, mean, low, high);
      }
      add("EOD\n");
      if (line.points[0].value.interval) {
        bands.push_back(source +
                        "1:3:4 with filledcurves fs transparent solid 0.07 noborder "
                        "lc rgb '#000000'");
      }
      lines.push_back(source + fmt::format("1:2 with lines lw 1 dt {} lc rgb '#555555'",
                                           reference_dash(line.look.method)));
    }
  }

  void text_labels(std::size_t index, const FigureAxis& y_axis) {
    const Box& area = layout_.panels[index];
    const PanelFrame frame{x_axes_[index],         y_axis,     area.right - area.left,
                           area.top - area.bottom, small_size, rank_size,
                           marker_radius};
    for (const PanelLabel& shown : panel_labels(plan_, plan_.panels[index], frame)) {
      const double y = area.bottom + (shown.box.bottom + shown.box.top) / 2;
      if (!shown.line) {
        label(area.left + shown.box.left, y, shown.text,
              fmt::format("left {} tc rgb '#555555'", terminal_.font(small_size)));
        continue;
      }
      const std::string colour = line_style(shown.line->look).colour;
      label(area.left + (shown.box.left + shown.box.right) / 2, y, shown.text,
            fmt::format("center {} tc rgb '{}'", terminal_.font(rank_size),
                        label_colour(colour, light_page, shown.dominated)));
    }
  }

  void plot(std::size_t index, const FigureAxis& y_axis) {
    const FigurePanel& shown = plan_.panels[index];
    // Bottom to top: bands, lines, bars and dots, pale markers, the others.
    std::array<std::vector<std::string>, 5> layers;
    references(index, y_axis, layers[0], layers[1]);
    std::size_t all_points = 0;
    for (const FigureLine& line : shown.lines)
      all_points += line.look.muted ? 0 : line.points.size();
    const double scale = shown.is_dense || all_points <= many_points ? 1 : 0.75;
    for (std::size_t i = 0; i < shown.lines.size(); ++i) {
      const FigureLine& line = shown.lines[i];
      const std::vector<FigurePoint>& points = line.points;
      const std::string name = fmt::format("$panel{}_line{}", index, i);
      const auto draw = [&](const char* what, std::size_t layer, const std::string& how,
                            const std::function<bool(std::size_t)>& chosen) {
        for (std::size_t at = 0; at < points.size(); ++at) {
          if (!chosen(at)) continue;
          data(name + what, line, y_axis, chosen);
          layers[layer].push_back(name + what + " using " + how);
          return;
        }
      };
      const auto is_known = [&](std::size_t at) { return points[at].value.value.has_value(); };
      if (points.size() > 1) draw("", 1, "1:2 with lines " + stroke(line.look), is_known);
      if (line.look.muted) continue;
      const std::size_t stride = shown.is_dense ? points.size() / 6 + 1 : 1;
      const auto has_marker = [&](std::size_t at) {
        return is_known(at) && at % stride == stride / 2;
      };
      const auto has_interval = [&](std::size_t at) {
        return at < points.size() && points[at].value.interval.has_value() &&
               is_inside(points[at], x_axes_[index], y_axis);
      };
      // size_t: one before the first is none.
      const auto is_band = [&](std::size_t at) {
        return plan_.spread == Spread::band && (has_interval(at - 1) || has_interval(at + 1));
      };
      const std::string colour = line_style(line.look).colour;
      if (plan_.spread == Spread::dots) {
        dots(name + "_runs", line, has_marker);
        layers[2].push_back(fmt::format("{}_runs using 1:2 with points pt 7 ps {:.3g} lc rgb '{}'",
                                        name, 0.4 * terminal_.marker_size(7),
                                        mix_colours(colour, light_page, 0.35)));
      } else {
        draw("_band", 0,
             fmt::format("1:3:4 with filledcurves fs transparent solid 0.16 noborder lc rgb '{}'",
                         colour),
             [&](std::size_t at) { return has_interval(at) && is_band(at); });
        // Many bars are thin and stand back.
        const bool many = all_points > many_points && !shown.is_dense;
        draw("_bar", 2,
             // yerrorbars would blot out the line around their points.
             fmt::format("1:3:(0):($4-$3) with vectors nohead lw {} lc rgb '{}'", many ? 0.5 : 1.0,
                         many ? mix_colours(colour, light_page, 0.45) : colour),
             [&](std::size_t at) { return has_interval(at) && !is_band(at) && has_marker(at); });
      }
      const auto is_constant = [&](std::size_t at) { return points[at].constant > 0; };
      draw("_front", 4, "1:2 with points " + marker(line.look, scale), [&](std::size_t at) {
        return has_marker(at) && !points[at].dominated && !is_constant(at);
      });
      draw("_dominated", 3, "1:2 with points " + marker(line.look, scale, true),
           [&](std::size_t at) {
             return has_marker(at) && points[at].dominated && !is_constant(at);
           });
      // White, its outline, and a cross through both.
      const int filled = line_style(line.look).marker | 1;
      const double size = scale * terminal_.marker_size(filled);
      for (const auto& [part, marker, how_large, drawn] :
           {std::tuple("_hollow", filled, size, light_page),
            std::tuple("_constant", filled - 1, size, colour.c_str()),
            std::tuple("_cross", 1, 1.7 * scale * terminal_.marker_size(1), colour.c_str())}) {
        draw(part, 4,
             fmt::format("1:2 with points pt {} ps {:.3g} lw 1 lc rgb '{}'", marker, how_large,
                         drawn),
             [&](std::size_t at) { return has_marker(at) && is_constant(at); });
      }
      draw("_diverged", 4,
           fmt::format("1:({:.10g}) with points pt 2 ps {} lw 1.2 lc rgb '{}'", y_axis.low,
                       terminal_.marker_size(2), colour),
           [&](std::size_t at) { return points[at].value.diverged > 0; });
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
  const FigureTerminal terminal_;
  std::vector<FigureAxis> x_axes_;
  std::string text_;
};

}  // namespace

std::string figure_script(const FigurePlan& plan, double width, FigureFormat format,
                          const std::string& name) {
  return Script(plan, width, format).write(name);
}

}  // namespace rankfold
