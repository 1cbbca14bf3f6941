#include "analysis/figures/figure_terminal.h"

#include <array>

#include <fmt/core.h>

#include "analysis/figures/figure_layout.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/figures/tex_figure.h"
#include "core/base/text.h"

namespace rankfold {

std::string FigureTerminal::set_up(double width, double height) const {
  // Pixels per point of text, line and page.
  const double png = 200.0 / 72, svg = 96.0 / 72;
  // The cairo terminals draw a point of text as 4/3 points, and lines in PDF thinner than said.
  switch (format_) {
    case FigureFormat::pdf:
      return fmt::format(
          "set terminal pdfcairo enhanced color rounded size {:.4f}in,{:.4f}in"
          " font 'DejaVu Sans,{}' fontscale 0.75 linewidth 1.8\n",
          width / 72, height / 72, text_size);
    case FigureFormat::png:
      return fmt::format(
          "set terminal pngcairo enhanced color rounded size {:.0f},{:.0f}"
          " font 'DejaVu Sans,{}' fontscale {:.4f} linewidth {:.4f} pointscale {:.4f}\n",
          width * png, height * png, text_size, 0.75 * png, png, png);
    case FigureFormat::svg:
      return fmt::format(
          "set terminal svg enhanced rounded size {:.0f},{:.0f} fixed background '#ffffff'"
          " font 'DejaVu Sans,{}' fontscale {:.4f} linewidth {:.4f}\n",
          width * svg, height * svg, text_size, svg, svg);
    case FigureFormat::tex:
      return fmt::format(
          "set terminal tikz color size {:.4f}in,{:.4f}in fontscale 1 linewidth 1.6 font ',{}'\n",
          width / 72, height / 72, text_size);
  }
  return "";
}

std::string FigureTerminal::font(double size, bool bold) const {
  if (format_ == FigureFormat::tex) {
    return fmt::format("font '{},{}'", bold ? "\\bfseries" : "", size);
  }
  return fmt::format("font 'DejaVu Sans{},{}'", bold ? ":Bold" : "", size);
}

std::string FigureTerminal::text(std::string_view shown) const {
  // Cut before it is escaped: a cut command would swallow what follows.
  if (format_ == FigureFormat::tex) {
    const std::string escaped = tex_text(printable(shown, 400));
    return gnuplot_text(escaped, escaped.size());
  }
  return gnuplot_text(shown);
}

double FigureTerminal::marker_size(int marker) const {
  constexpr std::array sizes = {0.5, 0.55, 0.65, 0.65, 0.65, 0.65};
  constexpr std::array svg_sizes = {0.77, 0.9, 0.82, 0.82, 0.7, 0.8};
  constexpr std::array tex_sizes = {1.15, 1.3, 1.6, 1.6, 1.6, 1.5};
  if (marker < 4) return format_ == FigureFormat::tex ? 1.6 : 0.6;
  const auto shape = static_cast<std::size_t>(marker - 4) / 2;
  if (format_ == FigureFormat::tex) return tex_sizes[shape];
  return format_ == FigureFormat::svg ? svg_sizes[shape] : sizes[shape];
}

}  // namespace rankfold
