#include "analysis/drawings/diagram_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/core.h>

#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr double box_height = 34, between = 14;

const Mode* find_mode(const std::vector<Mode>& modes, const std::string& name) {
  const auto found = std::ranges::find(modes, name, &Mode::name);
  return found == modes.end() ? nullptr : &*found;
}

std::string with_size(const Mode& mode) {
  return fmt::format("{} = {}", mode.name, mode.size);
}

std::string reading(const Block& block) {
  std::vector<std::string> modes;
  for (const Mode& mode : block.as) modes.push_back(with_size(mode));
  return "read as " + join(modes, ", ");
}

/// Moves `centres`, which ascend, as little as possible until neighbours keep their distance: those
/// that collide become a group around the mean of what each of them asks for.
void spread(std::vector<double>& centres, const std::vector<double>& halves) {
  struct Group {
    double asked = 0;  // sum of where its members would have its first one
    std::size_t count = 0;
    double width = 0;  // from the first member's centre to the last's
    double first() const { return asked / static_cast<double>(count); }
  };
  std::vector<Group> groups;
  std::vector<double> gaps(centres.size(), 0);  // to the one before
  for (std::size_t i = 0; i < centres.size(); ++i) {
    if (i > 0) gaps[i] = halves[i - 1] + halves[i] + between;
    groups.push_back({centres[i], 1, 0});
    std::size_t first = i;
    while (groups.size() > 1) {
      Group& before = groups[groups.size() - 2];
      const Group& last = groups.back();
      const double gap = gaps[first];
      if (before.first() + before.width + gap <= last.first()) break;
      const double offset = before.width + gap;
      before.asked += last.asked - offset * static_cast<double>(last.count);
      before.width = offset + last.width;
      first -= before.count;
      before.count += last.count;
      groups.pop_back();
    }
  }
  std::size_t i = 0;
  for (const Group& group : groups) {
    double x = group.first();
    for (std::size_t k = 0; k < group.count; ++k, ++i) {
      if (k > 0) x += gaps[i];
      centres[i] = x;
    }
  }
}

}  // namespace

ProductRow::ProductRow(const std::vector<Operand>& product, OpenModes open)
    : open_(std::move(open)) {
  add_nodes(product);
  add_wires();
  place_nodes();
  place_legs();
  place_ports(true);
  place_ports(false);
  place_lanes();
  settle();
}

void ProductRow::add_nodes(const std::vector<Operand>& product) {
  for (const Operand& operand : product) {
    Node node;
    node.factor = std::get_if<Factor>(&operand);
    node.block = std::get_if<Block>(&operand);
    if (node.block) {
      OpenModes open{.read = node.block->modes, .select = open_.select};
      node.inner = std::make_shared<ProductRow>(node.block->product, std::move(open));
      node.reading = reading(*node.block);
      node.width =
          std::max(node.inner->width(), text_width(node.reading, DiagramSizes::small_letter) + 20) +
          2 * DiagramSizes::frame_margin;
      node.height = node.inner->height() + DiagramSizes::bar_height + DiagramSizes::frame_margin;
    } else {
      node.width = std::max(38.0, text_width(node.factor->name, DiagramSizes::letter) + 16);
      node.height = box_height;
    }
    nodes_.push_back(std::move(node));
  }
}

ProductRow::Wire ProductRow::make_wire(const Mode& mode, std::vector<std::size_t> nodes) const {
  Wire wire{.mode = mode, .nodes = std::move(nodes)};
  const auto selected = std::ranges::find(open_.select, mode.name, &Selection::mode);
  const bool range = selected != open_.select.end() && selected->count > 1;
  const auto side = [&](Kind kind, const Mode& kept, const char* name) {
    wire.kind = kind;
    wire.label = kept.name == name ? std::to_string(kept.size) : with_size(kept);
    if (range && kept.size != mode.size)
      wire.second = fmt::format("{} to {} of {}", selected->begin,
                                selected->begin + selected->count - 1, mode.size);
  };
  if (const Mode* out = find_mode(open_.out, mode.name)) {
    side(Kind::out, *out, "out");
    if (find_mode(open_.in, mode.name)) wire.second = "and in";  // a diagonal
  } else if (const Mode* in = find_mode(open_.in, mode.name)) {
    side(Kind::in, *in, "in");
  } else if (const Mode* read = find_mode(open_.read, mode.name)) {
    side(Kind::read, *read, "");
  } else if (selected != open_.select.end() && !range) {
    wire.kind = Kind::value;
    wire.label = fmt::format("{} = {}", mode.name, selected->begin);
    wire.second = fmt::format("of {}", mode.size);
  } else {
    if (range) wire.mode.size = selected->count;
    wire.label = with_size(wire.mode);
    wire.kind = wire.nodes.size() > 2                     ? Kind::sum
                : wire.nodes.size() == 1                  ? Kind::stub
                : wire.nodes[1] == wire.nodes.front() + 1 ? Kind::bond
                                                          : Kind::arc;
  }
  wire.half = std::max(text_width(wire.label, DiagramSizes::small_letter),
                       text_width(wire.second, DiagramSizes::small_letter)) /
              2;
  return wire;
}

std::size_t ProductRow::bonds_between(std::size_t left, std::size_t right) const {
  return static_cast<std::size_t>(std::ranges::count_if(wires_, [&](const Wire& wire) {
    return wire.kind == Kind::bond && wire.nodes.front() == left && wire.nodes.back() == right;
  }));
}

void ProductRow::add_wires() {
  for (const Node& first : nodes_)
    for (const Mode& mode : first.modes()) {
      if (std::ranges::any_of(wires_,
                              [&](const Wire& wire) { return wire.mode.name == mode.name; }))
        continue;
      std::vector<std::size_t> holders;
      for (std::size_t i = 0; i < nodes_.size(); ++i)
        if (find_mode(nodes_[i].modes(), mode.name)) holders.push_back(i);
      Wire wire = make_wire(mode, holders);
      if (wire.kind == Kind::bond) wire.parallel = bonds_between(holders[0], holders[1]);
      wires_.push_back(std::move(wire));
    }
  // Legs of one node stand in the order out, in, value.
  std::ranges::stable_sort(wires_, {},
                           [](const Wire& wire) { return is_leg(wire) ? wire.kind : Kind::bond; });
}

void ProductRow::place_nodes() {
  double box_end = 0, slot_end = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    Node& node = nodes_[i];
    double gap = 22;
    std::size_t above = 0;
    for (const Wire& wire : wires_) {
      const bool holds = std::ranges::find(wire.nodes, i) != wire.nodes.end();
      if (!holds) continue;
      if (is_leg(wire) && wire.nodes.size() == 1)
        node.below += 2 * wire.half + (node.below > 0 ? between : 0);
      if (is_above(wire)) ++above;
      if (wire.kind == Kind::bond && wire.nodes.back() == i)
        gap =
            std::max({gap, text_width(wire.mode.name, DiagramSizes::small_letter) + 14,
                      text_width(std::to_string(wire.mode.size), DiagramSizes::small_letter) + 14});
      if (wire.kind == Kind::bond)
        node.height = std::max(
            node.height, DiagramSizes::bond_spacing *
                                 static_cast<double>(bonds_between(wire.nodes[0], wire.nodes[1])) +
                             6);
    }
    node.width = std::max(node.width, 14.0 * static_cast<double>(above + 1));
    const double slot = std::max(node.width, node.below);
    node.centre =
        i == 0 ? slot / 2 : std::max(box_end + gap + node.width / 2, slot_end + between + slot / 2);
    box_end = node.centre + node.width / 2;
    slot_end = node.centre + slot / 2;
    row_height_ = std::max(row_height_, node.height);
  }
}

void ProductRow::place_legs() {
  std::vector<double> taken(nodes_.size(), 0);
  std::vector<Wire*> legs;
  for (Wire& wire : wires_) {
    if (!is_leg(wire)) continue;
    legs.push_back(&wire);
    if (wire.nodes.size() == 1) {
      const std::size_t node = wire.nodes.front();
      wire.x = nodes_[node].centre - nodes_[node].below / 2 + taken[node] + wire.half;
      taken[node] += 2 * wire.half + between;
    } else {
      for (const std::size_t node : wire.nodes)
        wire.x += nodes_[node].centre / static_cast<double>(wire.nodes.size());
    }
  }
  std::ranges::stable_sort(legs, {}, [](const Wire* leg) { return leg->x; });
  std::vector<double> centres, halves;
  for (const Wire* leg : legs) {
    centres.push_back(leg->x);
    halves.push_back(leg->half);
  }
  spread(centres, halves);
  for (std::size_t i = 0; i < legs.size(); ++i) legs[i]->x = centres[i];
}

/// Above the middle node of a wire, or between the two middle ones.
double ProductRow::middle_of(const Wire& wire) const {
  const std::size_t count = wire.nodes.size();
  return (nodes_[wire.nodes[(count - 1) / 2]].centre + nodes_[wire.nodes[count / 2]].centre) / 2;
}

/// Where a mode goes from a node, as the order of its ports: arcs to the left, dots, arcs to the
/// right; farther arcs lie outside nearer ones, so they begin nearer the middle on the left side,
/// and on the right side too.
double ProductRow::direction(const Wire& wire, std::size_t node) const {
  if (wire.kind != Kind::arc) return wire.x;
  constexpr double beyond = 1e6;
  const double here = nodes_[node].centre;
  const double other = nodes_[wire.nodes[wire.nodes[0] == node ? 1 : 0]].centre;
  return other < here ? -beyond + (here - other) : beyond - (other - here);
}

void ProductRow::place_ports(bool above) {
  for (Wire& wire : wires_) {
    if (above ? !is_above(wire) : !is_leg(wire)) continue;
    wire.ports.assign(wire.nodes.size(), 0);
    if (above) wire.x = middle_of(wire);
  }
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    std::vector<std::pair<double, double*>> ports;  // by where the wire goes
    for (Wire& wire : wires_)
      for (std::size_t k = 0; k < wire.ports.size(); ++k)
        if (wire.nodes[k] == i && is_leg(wire) != above)
          ports.emplace_back(direction(wire, i), &wire.ports[k]);
    std::ranges::stable_sort(ports, {}, [](const auto& port) { return port.first; });
    const Node& node = nodes_[i];
    for (std::size_t k = 0; k < ports.size(); ++k) {
      const double share = static_cast<double>(k + 1) / static_cast<double>(ports.size() + 1) - 0.5;
      *ports[k].second = node.centre + share * node.width;
    }
    if (above) continue;
    // A leg that ends below its node goes straight down where it cannot cross another.
    for (Wire& wire : wires_)
      if (is_leg(wire) && wire.nodes == std::vector{i} && (ports.size() == 1 || node.block) &&
          std::abs(wire.x - node.centre) < node.width / 2 - 5)
        wire.ports.front() = wire.x;
  }
}

void ProductRow::place_lanes() {
  std::vector<Wire*> wires;
  for (Wire& wire : wires_)
    if (is_above(wire)) {
      const std::size_t count = wire.ports.size();
      wire.x = (wire.ports[(count - 1) / 2] + wire.ports[count / 2]) / 2;
      wires.push_back(&wire);
    }
  const auto span = [](const Wire& wire) {
    const auto [low, high] = std::ranges::minmax(wire.ports);
    return std::pair(std::min(low, wire.x - wire.half), std::max(high, wire.x + wire.half));
  };
  std::ranges::stable_sort(wires, {}, [&](const Wire* wire) {
    const auto [low, high] = span(*wire);
    return std::pair(wire->nodes.back() - wire->nodes.front(), high - low);
  });
  std::size_t lanes = 0;
  for (std::size_t i = 0; i < wires.size(); ++i) {
    const auto [low, high] = span(*wires[i]);
    for (std::size_t k = 0; k < i; ++k) {
      const auto [other_low, other_high] = span(*wires[k]);
      if (low < other_high + 8 && other_low < high + 8)
        wires[i]->lane = std::max(wires[i]->lane, wires[k]->lane + 1);
    }
    lanes = std::max(lanes, wires[i]->lane + 1);
  }
  top_ = lanes == 0 ? 6 : 14 + 34 * static_cast<double>(lanes);
}

/// Heights, and the left end at 0.
void ProductRow::settle() {
  bool legs = false, joined = false, values = false, seconds = false, wide = false;
  double low = std::numeric_limits<double>::max(), high = 0;
  const auto cover = [&](double x, double half) {
    low = std::min(low, x - half);
    high = std::max(high, x + half);
  };
  for (const Node& node : nodes_) cover(node.centre, node.width / 2);
  for (const Wire& wire : wires_) {
    if (wire.kind != Kind::bond) cover(wire.x, wire.half);
    if (!is_leg(wire)) continue;
    legs = true;
    joined = joined || wire.nodes.size() > 1;
    wide = wide || wire.ports.front() != wire.x;
    values = values || wire.kind == Kind::value;
    seconds = seconds || (wire.kind != Kind::value && !wire.second.empty());
  }
  if (nodes_.empty()) low = 0;
  for (Node& node : nodes_) node.centre -= low;
  for (Wire& wire : wires_) {
    wire.x -= low;
    for (double& port : wire.ports) port -= low;
  }
  width_ = high - low;
  const double bottom = top_ + row_height_;
  dot_y_ = bottom + 26;
  end_y_ = bottom + (joined ? 56 : open_.read.empty() ? 32 : wide ? 44 : 30);
  if (!legs)
    height_ = bottom + 8;
  else if (!open_.read.empty())
    height_ = end_y_ + (values ? 38 : 6);
  else
    height_ = end_y_ + (seconds ? 60 : 46);
}

// --- drawing ----------------------------------------------------------------------------------

void ProductRow::draw(Svg& svg, Point origin) const {
  for (const Node& node : nodes_) draw_node(svg, node, origin);
  for (const Wire& wire : wires_) {
    if (wire.kind == Kind::bond)
      draw_bond(svg, wire, origin);
    else if (is_above(wire))
      draw_above(svg, wire, origin);
    else
      draw_leg(svg, wire, origin);
  }
  draw_sides(svg, origin);
}

/// Where a node ends, from the row's top.
double ProductRow::edge(const Wire& wire, std::size_t i, bool above) const {
  return middle() + (above ? -0.5 : 0.5) * nodes_[wire.nodes[i]].height;
}

}  // namespace rankfold
