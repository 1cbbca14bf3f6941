#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/prefix_tree.h"

namespace rankfold {

/// A token that is found in the text as it is written, before the model splits the rest.
struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  ///< only where no word character touches it
  bool lstrip = false;       ///< takes the white space before it along
  bool rstrip = false;       ///< takes the white space after it along
  bool normalized = false;   ///< sought, normalised, in the normalised text
  bool special = false;      ///< no text: left out where ids become text again
};

/// Finds added tokens from left to right, at each place the longest, without overlap but for white
/// space: what one took along may be part of the next.
class AddedTokenMatcher {
 public:
  struct Match {
    std::size_t begin, end;  ///< bytes of the text, stripped white space included
    std::int32_t id;
  };

  /// Seeks `pattern` (the content, or the normalised content) with the token's id and flags: of two
  /// with one pattern the later. An empty pattern is ignored.
  void add(std::string_view pattern, const AddedToken& token);

  std::vector<Match> find_all(std::string_view text) const;

 private:
  PrefixTree patterns_;
  std::vector<AddedToken> tokens_;
  std::array<bool, 256> starts_pattern_ = {};
};

}  // namespace rankfold
