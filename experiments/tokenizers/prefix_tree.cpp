#include "experiments/tokenizers/prefix_tree.h"

#include <utility>

namespace rankfold {
namespace {

/// Never 0, which marks an empty slot.
std::uint64_t edge_key(PrefixTree::Node node, char byte) {
  return ((std::uint64_t{node} << 8) | static_cast<unsigned char>(byte)) + 1;
}

}  // namespace

PrefixTree::PrefixTree() : edges_(64), values_(1) {}

std::size_t PrefixTree::slot_of(std::uint64_t key) const {
  const std::size_t mask = edges_.size() - 1;
  std::uint64_t mixed = key * 0x9E3779B97F4A7C15u;
  mixed ^= mixed >> 32;
  std::size_t slot = static_cast<std::size_t>(mixed) & mask;
  while (edges_[slot].key != 0 && edges_[slot].key != key) slot = (slot + 1) & mask;
  return slot;
}

/// The root where there is none: no edge leads to the root.
PrefixTree::Node PrefixTree::child_of(Node node, char byte) const {
  return edges_[slot_of(edge_key(node, byte))].child;
}

PrefixTree::Node PrefixTree::add_child(Node node, char byte) {
  if (2 * values_.size() > edges_.size()) {
    std::vector<Edge> larger(2 * edges_.size());
    larger.swap(edges_);
    for (const Edge& edge : larger)
      if (edge.key != 0) edges_[slot_of(edge.key)] = edge;
  }
  const std::uint64_t key = edge_key(node, byte);
  const auto child = static_cast<Node>(values_.size());
  edges_[slot_of(key)] = {key, child};
  values_.emplace_back();
  return child;
}

bool PrefixTree::insert(std::string_view key, std::int32_t value) {
  Node node = root;
  for (const char byte : key) {
    const Node child = child_of(node, byte);
    node = child != root ? child : add_child(node, byte);
  }
  if (values_[node]) return false;
  values_[node] = value;
  return true;
}

std::optional<PrefixTree::Node> PrefixTree::find_node(std::string_view key) const {
  Node node = root;
  for (const char byte : key) {
    node = child_of(node, byte);
    if (node == root) return std::nullopt;
  }
  return node;
}

std::optional<std::int32_t> PrefixTree::find(std::string_view key) const {
  const std::optional<Node> node = find_node(key);
  return node ? values_[*node] : std::nullopt;
}

std::optional<PrefixTree::Match> PrefixTree::longest_match(std::string_view text,
                                                           Node start) const {
  std::optional<Match> longest;
  Node node = start;
  for (std::size_t i = 0; i < text.size(); ++i) {
    node = child_of(node, text[i]);
    if (node == root) break;
    if (values_[node]) longest = Match{i + 1, *values_[node]};
  }
  return longest;
}

}  // namespace rankfold
