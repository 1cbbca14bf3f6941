#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace rankfold {

/// Byte strings with a number each, found by the longest one that a text begins with. The edges of
/// all nodes stand in one hash table, so a step costs one probe and a lookup allocates nothing.
class PrefixTree {
 public:
  using Node = std::uint32_t;
  static constexpr Node root = 0;

  struct Match {
    std::size_t length;
    std::int32_t value;
  };

  PrefixTree();

  /// False, and nothing is changed, where `key` is there already.
  bool insert(std::string_view key, std::int32_t value);

  std::optional<std::int32_t> find(std::string_view key) const;

  /// The node that `key` leads to from the root, where any key begins with it.
  std::optional<Node> find_node(std::string_view key) const;

  /// The longest non-empty key that `text` begins with, keys read from `start` on.
  std::optional<Match> longest_match(std::string_view text, Node start = root) const;

  /// Tells `visit` length and value of every non-empty key that `text` begins with, short ones
  /// first.
  template <class Visit>
  void for_each_prefix(std::string_view text, const Visit& visit) const {
    Node node = root;
    for (std::size_t i = 0; i < text.size(); ++i) {
      node = child_of(node, text[i]);
      if (node == root) return;
      if (values_[node]) visit(i + 1, *values_[node]);
    }
  }

 private:
  struct Edge {
    std::uint64_t key = 0;  // 0: empty slot
    Node child = 0;
  };

  std::size_t slot_of(std::uint64_t key) const;
  Node child_of(Node node, char byte) const;
  Node add_child(Node node, char byte);

  std::vector<Edge> edges_;
  std::vector<std::optional<std::int32_t>> values_;
};

}  // namespace rankfold
