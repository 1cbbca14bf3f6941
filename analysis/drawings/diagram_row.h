#pragma once

#include <memory>
#include <string>
#include <vector>

#include "analysis/drawings/svg.h"
#include "core/network/network.h"

namespace rankfold {

/// Sizes of letters and shapes that what is laid out and what is drawn share.
struct DiagramSizes {
  static constexpr double letter = 13, small_letter = 11;
  static constexpr double bar_height = 20, frame_margin = 14, bond_spacing = 30;
};

/// What becomes of the modes that a product does not sum.
struct OpenModes {
  std::vector<Mode> out = {}, in = {};
  std::vector<Mode> read = {};  ///< of a block: what is read as other modes
  std::vector<Selection> select = {};
};

/// Fill and border of a factor by its owner; a frozen one is grey and dashed.
Svg::BoxStyle factor_style(const Factor& factor);

/// One product of factors as a tensor network: the factors side by side in their order; below them
/// the modes that stay, with what they end in; above them the sums over modes of factors that are
/// no neighbours. Blocks are frames that hold a row of their own. The product outlives the row.
class ProductRow {
 public:
  ProductRow(const std::vector<Operand>& product, OpenModes open);

  double width() const { return width_; }
  double height() const { return height_; }
  /// The middle of the factors, from the top.
  double middle() const { return top_ + row_height_ / 2; }
  void draw(Svg& svg, Point origin) const;

 private:
  struct Node {
    const Factor* factor = nullptr;
    const Block* block = nullptr;
    std::shared_ptr<const ProductRow> inner;  ///< of a block
    std::string reading;                      ///< what a block's modes are read as
    double centre = 0, width = 0, height = 0;
    double below = 0;  ///< what the labels of its own legs take
    const std::vector<Mode>& modes() const { return factor ? factor->modes : block->as; }
  };
  enum class Kind { bond, arc, sum, stub, out, in, read, value };
  struct Wire {
    Kind kind = Kind::bond;
    Mode mode;
    std::vector<std::size_t> nodes;
    std::vector<double> ports = {};  ///< where it leaves each node
    std::string label = {}, second = {};
    double x = 0;
    std::size_t lane = 0;      ///< above the row
    std::size_t parallel = 0;  ///< which of the bonds between two neighbours
    double half = 0;           ///< of the label's width
  };

  static bool is_leg(const Wire& wire) { return wire.kind >= Kind::out; }
  static bool is_above(const Wire& wire) {
    return wire.kind < Kind::out && wire.kind != Kind::bond;
  }
  void add_nodes(const std::vector<Operand>& product);
  void add_wires();
  Wire make_wire(const Mode& mode, std::vector<std::size_t> nodes) const;
  void place_nodes();
  void place_legs();
  void place_ports(bool above);
  double middle_of(const Wire& wire) const;
  double direction(const Wire& wire, std::size_t node) const;
  void place_lanes();
  void settle();
  void draw_node(Svg& svg, const Node& node, Point origin) const;
  void draw_bond(Svg& svg, const Wire& wire, Point origin) const;
  void draw_above(Svg& svg, const Wire& wire, Point origin) const;
  void draw_leg(Svg& svg, const Wire& wire, Point origin) const;
  void draw_sides(Svg& svg, Point origin) const;
  double edge(const Wire& wire, std::size_t i, bool above) const;
  std::size_t bonds_between(std::size_t left, std::size_t right) const;

  OpenModes open_;
  std::vector<Node> nodes_;
  std::vector<Wire> wires_;
  double width_ = 0, height_ = 0, top_ = 0, row_height_ = 0;
  double dot_y_ = 0, end_y_ = 0;
};

}  // namespace rankfold
