#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// The rank of a method, read once from text: one number, one a mode ("8x8x4"), or none.
class Rank {
 public:
  /// None.
  Rank() = default;

  /// "8" or "8x8x4", "" for none; nothing where the text is anything else. A size may be 0, which
  /// no method takes.
  static std::optional<Rank> parse(std::string_view text);

  bool is_none() const { return sizes_.empty(); }
  bool is_per_mode() const { return sizes_.size() > 1; }
  /// One, or one a mode.
  const std::vector<std::size_t>& sizes() const { return sizes_; }
  /// As parse takes it: "8x8x4".
  std::string text() const;
  /// The number itself, of several their geometric mean, rounded so that 8x8x8 stands exactly where
  /// 8 stands; nothing for none and where a size is 0.
  std::optional<double> position() const;

 private:
  std::vector<std::size_t> sizes_;
};

}  // namespace rankfold
