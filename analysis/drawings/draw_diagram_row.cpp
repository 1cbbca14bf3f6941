#include <algorithm>

#include <fmt/core.h>

#include "analysis/drawings/diagram_row.h"

namespace rankfold {
Svg::BoxStyle factor_style(const Factor& factor) {
  struct Colours {
    const char *fill, *stroke;
  };
  static constexpr Colours owners[] = {
      {"#fdd9a5", "#c26a00"},  // model
      {"#c9ebbf", "#2f8a2a"},  // layer
      {"#e2d3f2", "#7443a8"},  // matrix
      {"#c4dcf3", "#1f64a8"},  // site
  };
  const Colours& colours = owners[static_cast<std::size_t>(factor.owner)];
  return {factor.trainable ? colours.fill : "#eeeeee", colours.stroke, !factor.trainable};
}

void ProductRow::draw_node(Svg& svg, const Node& node, Point origin) const {
  const double left = origin.x + node.centre - node.width / 2,
               upper = origin.y + middle() - node.height / 2;
  if (node.factor) {
    svg.box(Svg::Layer::boxes, left, upper, node.width, node.height, factor_style(*node.factor));
    svg.text({origin.x + node.centre, origin.y + middle()}, node.factor->name,
             {.size = DiagramSizes::letter, .italic = true});
    return;
  }
  svg.box(Svg::Layer::frames, left, upper, node.width, node.height,
          {"#ffffff", "#777777", true, 8, 1.2});
  node.inner->draw(
      svg, {origin.x + node.centre - node.inner->width() / 2, upper + DiagramSizes::frame_margin});
  const double bar = upper + node.height - DiagramSizes::bar_height;
  svg.box(Svg::Layer::boxes, left, bar, node.width, DiagramSizes::bar_height,
          {"#555555", "#555555", false, 5});
  svg.text({origin.x + node.centre, bar + DiagramSizes::bar_height / 2}, node.reading,
           {.size = DiagramSizes::small_letter, .colour = "#ffffff"});
}

void ProductRow::draw_bond(Svg& svg, const Wire& wire, Point origin) const {
  const Node &left = nodes_[wire.nodes[0]], &right = nodes_[wire.nodes[1]];
  const double count = static_cast<double>(bonds_between(wire.nodes[0], wire.nodes[1]));
  const double from = origin.x + left.centre + left.width / 2,
               to = origin.x + right.centre - right.width / 2;
  const double y =
      origin.y + middle() +
      DiagramSizes::bond_spacing * (static_cast<double>(wire.parallel) - (count - 1) / 2);
  svg.line({from, y}, {to, y});
  svg.text({(from + to) / 2, y - 8}, wire.mode.name, {.size = DiagramSizes::small_letter});
  svg.text({(from + to) / 2, y + 8}, std::to_string(wire.mode.size),
           {.size = DiagramSizes::small_letter, .colour = "#666666"});
}

void ProductRow::draw_above(Svg& svg, const Wire& wire, Point origin) const {
  const double y = origin.y + top_ - 22 - 34 * static_cast<double>(wire.lane);
  const auto port = [&](std::size_t i) {
    return Point{origin.x + wire.ports[i], origin.y + edge(wire, i, true)};
  };
  const Point end{origin.x + wire.x, y};
  if (wire.kind == Kind::arc) {
    for (std::size_t i = 0; i < 2; ++i) svg.line(port(i), {port(i).x, origin.y + top_});
    svg.arc({port(0).x, origin.y + top_}, {port(1).x, origin.y + top_}, y - 4);
    svg.text({end.x, y - 4}, wire.label, {.size = DiagramSizes::small_letter, .background = true});
    return;
  }
  for (std::size_t i = 0; i < wire.nodes.size(); ++i)
    svg.polyline({port(i), {port(i).x, origin.y + top_}, end});
  if (wire.kind == Kind::sum) svg.dot(end);
  svg.text({end.x, y - 11}, wire.label, {.size = DiagramSizes::small_letter, .background = true});
}

void ProductRow::draw_leg(Svg& svg, const Wire& wire, Point origin) const {
  const double bottom = origin.y + top_ + row_height_, end = origin.y + end_y_;
  const double x = origin.x + wire.x;
  const bool joined = wire.nodes.size() > 1;
  const double stop = wire.kind == Kind::read ? origin.y + height_ : end;
  for (std::size_t i = 0; i < wire.nodes.size(); ++i) {
    const Point port{origin.x + wire.ports[i], origin.y + edge(wire, i, false)};
    const Point turn{port.x, bottom + 4};
    if (joined)
      svg.polyline({port, turn, {x, origin.y + dot_y_}});
    else
      svg.polyline({port, turn, {x, end - (wire.kind == Kind::read ? 20 : 8)}, {x, stop}});
  }
  if (joined) {
    svg.dot({x, origin.y + dot_y_});
    svg.line({x, origin.y + dot_y_}, {x, stop});
  }
  if (wire.kind == Kind::read) {
    svg.text({x, end - 10}, wire.label, {.size = DiagramSizes::small_letter, .background = true});
    return;
  }
  if (wire.kind == Kind::value)
    svg.box(Svg::Layer::boxes, x - 4, end - 4, 8, 8, {"#222222", "#222222", false, 0, 1});
  svg.text({x, end + 13}, wire.label, {.size = DiagramSizes::small_letter});
  if (!wire.second.empty())
    svg.text({x, end + (wire.kind == Kind::value ? 26 : 51)}, wire.second,
             {.size = DiagramSizes::small_letter, .colour = "#666666"});
}

/// A bracket below neighbouring modes of one side of the weight.
void ProductRow::draw_sides(Svg& svg, Point origin) const {
  std::vector<const Wire*> legs;
  for (const Wire& wire : wires_)
    if (is_leg(wire)) legs.push_back(&wire);
  std::ranges::stable_sort(legs, {}, [](const Wire* wire) { return wire->x; });
  for (std::size_t i = 0; i < legs.size();) {
    const Kind kind = legs[i]->kind;
    std::size_t last = i;
    while (last + 1 < legs.size() && legs[last + 1]->kind == kind) ++last;
    if (kind == Kind::out || kind == Kind::in) {
      const double left = origin.x + std::min(legs[i]->x - legs[i]->half, legs[i]->x - 14),
                   right =
                       origin.x + std::max(legs[last]->x + legs[last]->half, legs[last]->x + 14),
                   y = origin.y + end_y_ + 23;
      svg.line({left, y}, {right, y}, 2.5);
      svg.text({(left + right) / 2, y + 12}, kind == Kind::out ? "out" : "in",
               {.size = DiagramSizes::letter, .bold = true});
    }
    i = last + 1;
  }
}

}  // namespace rankfold
