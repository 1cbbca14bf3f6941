#include "analysis/drawings/network_diagram.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "analysis/drawings/diagram_row.h"
#include "analysis/drawings/svg.h"

namespace rankfold {
namespace {

constexpr double margin = 16;

/// A term with what stands before and behind it.
struct Line {
  std::string label;
  ProductRow row;
  std::string remark = {};
};

std::string_view name(Activation activation) {
  return activation == Activation::relu ? "relu" : "";
}

std::string stage_name(const Declaration& declaration, std::size_t stage) {
  if (is_sum_of_products(declaration)) return "dW";
  return declaration.stages.size() == 1 ? "f" : fmt::format("f{}", stage + 1);
}

/// "dW = 0.5 ×", "+ 2 ×", "−".
std::string term_label(const std::string& left, double scale) {
  std::string label = left.empty() ? (scale < 0 ? "−" : "+") : left + " =";
  if (!left.empty() && scale < 0) label += " −";
  if (std::abs(scale) != 1) label += fmt::format(" {:.4g} ×", std::abs(scale));
  return label;
}

std::vector<Line> term_lines(const Declaration& declaration, std::size_t index) {
  const Network& network = declaration.stages[index].network;
  std::vector<Line> lines;
  for (const Term& term : network.terms) {
    const std::string left = lines.empty() ? stage_name(declaration, index) : "";
    const OpenModes open{network.out, network.in, {}, network.select};
    lines.push_back({term_label(left, term.scale), ProductRow(term.product, open),
                     term.constant ? "a constant, for every x" : ""});
  }
  return lines;
}

/// The formula of W', and below it lines on what stands in it.
std::vector<std::string> formulas(const Normalisation& normalisation) {
  const auto magnitude = [&](std::size_t i) { return normalisation.magnitudes.at(i).name; };
  std::vector<std::string> lines;
  switch (normalisation.kind) {
    case Normalisation::Kind::rows:
      lines = {fmt::format("W'[i,:] = {}[i] V[i,:] / |V[i,:]|", magnitude(0)), "V = W + dW"};
      break;
    case Normalisation::Kind::rows_then_columns:
      lines = {fmt::format("W'[:,j] = {}[j] H[:,j] / |H[:,j]|", magnitude(1)),
               fmt::format("H[i,:] = {}[i] V[i,:] / |V[i,:]|", magnitude(0)), "V = W + dW"};
      break;
    case Normalisation::Kind::whole:
      lines = {fmt::format("W' = {} W / |W| + {} dW / |dW|", magnitude(0), magnitude(1))};
      break;
  }
  if (normalisation.detached) lines.push_back("the norms are constants to the gradient");
  return lines;
}

struct Size {
  double width = 0, height = 0;
};

/// Terms below each other, what stands before them right-aligned.
Size draw_lines(Svg& svg, const std::vector<Line>& lines, Point at) {
  double column = 0;
  Size size;
  for (const Line& line : lines)
    column = std::max(column, text_width(line.label, DiagramSizes::letter + 1));
  for (const Line& line : lines) {
    svg.text({at.x + column, at.y + size.height + line.row.middle()}, line.label,
             {.size = DiagramSizes::letter + 1, .anchor = Svg::Anchor::end});
    line.row.draw(svg, {at.x + column + 16, at.y + size.height});
    double width = column + 16 + line.row.width();
    if (!line.remark.empty()) {
      svg.text(
          {at.x + width + 12, at.y + size.height + line.row.middle()}, line.remark,
          {.size = DiagramSizes::small_letter, .anchor = Svg::Anchor::start, .colour = "#666666"});
      width += 12 + text_width(line.remark, DiagramSizes::small_letter);
    }
    size.width = std::max(size.width, width);
    size.height += line.row.height() + 10;
  }
  return size;
}

/// x -> W x + b -> f1 -> relu -> f2 -> + -> y, with the path that passes the networks by.
Size draw_chain(Svg& svg, const Declaration& declaration, Point at) {
  const double height = 26, y = at.y + 44, gap = 34;
  double x = at.x;
  const auto value = [&](const char* text) {
    svg.text({x + 8, y}, text, {.size = DiagramSizes::letter, .italic = true});
    x += 18;
  };
  const auto arrow = [&] {
    svg.arrow({x, y}, {x + gap - 6, y});
    x += gap - 6;
  };
  const auto step = [&](std::string_view text, const Svg::BoxStyle& style) {
    arrow();
    const double width = text_width(text, DiagramSizes::letter) + 16;
    svg.box(Svg::Layer::boxes, x, y - height / 2, width, height, style);
    svg.text({x + width / 2, y}, text, {.size = DiagramSizes::letter});
    x += width;
  };
  const Svg::BoxStyle frozen{"#eeeeee", "#777777", true}, network{"#ffffff", "#222222"},
      activation{"#fff3bf", "#a08000", false, 13};
  value("x");
  if (declaration.place == Place::after) {
    step("W x + b", frozen);
    arrow();
    value("z");
  }
  const double fork = x + 6;
  for (std::size_t i = 0; i < declaration.stages.size(); ++i) {
    step(stage_name(declaration, i), network);
    if (declaration.stages[i].activation != Activation::none)
      step(name(declaration.stages[i].activation), activation);
  }
  arrow();
  const double join = x + 9, above = y - 32;
  svg.box(Svg::Layer::boxes, x, y - 9, 18, 18, {"#ffffff", "#222222", false, 9});
  svg.text({join, y}, "+", {.size = DiagramSizes::letter, .bold = true});
  x += 18;
  svg.polyline({{fork, y}, {fork, above}, {join, above}, {join, y - 9}});
  if (declaration.place == Place::beside) {
    const double width = text_width("W x + b", DiagramSizes::letter) + 16;
    svg.box(Svg::Layer::boxes, (fork + join - width) / 2, above - 12, width, 24, frozen);
    svg.text({(fork + join) / 2, above}, "W x + b", {.size = DiagramSizes::letter});
  }
  if (declaration.place == Place::before) step("W · + b", frozen);
  arrow();
  value("y");
  return {x - at.x, 72};
}

/// The frame of W', with the network and the norms' factors in it.
Size draw_normalised(Svg& svg, const Declaration& declaration, Point at) {
  const Normalisation& normalisation = *declaration.normalisation;
  Size size{0, 10};
  for (const std::string& line : formulas(normalisation)) {
    svg.text({at.x + margin, at.y + size.height + 9}, line,
             {.size = DiagramSizes::letter + 1, .anchor = Svg::Anchor::start});
    size.width = std::max(size.width, text_width(line, DiagramSizes::letter + 1));
    size.height += 20;
  }
  double x = at.x + margin, tallest = 0;
  for (const Factor& factor : normalisation.magnitudes) {
    const std::vector<Operand> product{factor};
    OpenModes open;  // numbers have neither side
    if (normalisation.kind != Normalisation::Kind::whole)
      (x == at.x + margin ? open.out : open.in) = factor.modes;
    const ProductRow row(product, open);
    row.draw(svg, {x, at.y + size.height + 4});
    x += row.width() + 30;
    tallest = std::max(tallest, row.height());
  }
  size.width = std::max(size.width, x - 30 - at.x - margin);
  size.height += tallest + 12;
  const Size network =
      draw_lines(svg, term_lines(declaration, 0), {at.x + margin, at.y + size.height});
  size = {std::max(size.width, network.width) + 2 * margin, size.height + network.height};
  svg.box(Svg::Layer::frames, at.x, at.y, size.width, size.height,
          {"none", "#222222", false, 10, 1.5});
  return size;
}

/// What the boxes mean that were used.
struct Legend {
  std::array<bool, 4> trained = {}, frozen = {};  ///< by owner

  void add(const Factor& factor) {
    (factor.trainable ? trained : frozen)[static_cast<std::size_t>(factor.owner)] = true;
  }
  void add(const std::vector<Operand>& product) {
    for (const Operand& operand : product) {
      if (const Factor* factor = std::get_if<Factor>(&operand)) add(*factor);
      if (const Block* block = std::get_if<Block>(&operand)) add(block->product);
    }
  }
  Size draw(Svg& svg, Point at) const;
};

Size Legend::draw(Svg& svg, Point at) const {
  static constexpr std::array owners{"one for all sites", "one a layer", "one a matrix type",
                                     "one a site"};
  Size size{0, 0};
  for (const bool trainable : {true, false})
    for (std::size_t owner = 0; owner < owners.size(); ++owner) {
      if (!(trainable ? trained : frozen)[owner]) continue;
      const std::string text =
          fmt::format("{}, {}", trainable ? "trained" : "frozen", owners[owner]);
      Svg::BoxStyle style = factor_style({"", {}, {}, static_cast<Owner>(owner), trainable});
      style.radius = 3;
      svg.box(Svg::Layer::boxes, at.x, at.y + size.height + 2, 22, 13, style);
      svg.text(
          {at.x + 30, at.y + size.height + 9}, text,
          {.size = DiagramSizes::small_letter, .anchor = Svg::Anchor::start, .colour = "#444444"});
      size.width = std::max(size.width, 30 + text_width(text, DiagramSizes::small_letter));
      size.height += 19;
    }
  return size;
}

}  // namespace

std::string network_diagram(const Declaration& declaration, const std::string& title) {
  Svg svg;
  Size total;
  const auto add = [&](const Size& size, double space) {
    total.width = std::max(total.width, size.width);
    total.height += size.height + space;
  };
  const auto next = [&] { return Point{margin, margin + total.height}; };
  const auto sentence = [&](std::string_view text) {
    svg.text({margin, next().y + 8}, text,
             {.size = DiagramSizes::letter + 1, .anchor = Svg::Anchor::start});
    add({text_width(text, DiagramSizes::letter + 1), 18}, 8);
  };
  if (declaration.stages.empty())
    sentence("y = W x + b: no network, the layer stays as it is");
  else if (declaration.normalisation)
    sentence("y = W' x + b");
  else if (is_sum_of_products(declaration))
    sentence("y = (W + dW) x + b");
  else
    add(draw_chain(svg, declaration, next()), 8);

  Legend legend;
  if (declaration.normalisation) {
    add(draw_normalised(svg, declaration, next()), 10);
    for (const Factor& factor : declaration.normalisation->magnitudes) legend.add(factor);
  }
  for (std::size_t i = 0; i < declaration.stages.size(); ++i) {
    if (!declaration.normalisation) add(draw_lines(svg, term_lines(declaration, i), next()), 6);
    for (const Term& term : declaration.stages[i].network.terms) legend.add(term.product);
  }
  add(legend.draw(svg, next()), 0);
  return svg.document(total.width + 2 * margin, total.height + 2 * margin, title);
}

}  // namespace rankfold
