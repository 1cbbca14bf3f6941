#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// What differs between kinds of tokenizers (WordPiece, BPE, Unigram): normalising a text and
/// splitting the normalised text into the tokens of a vocabulary.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// The normalised text, as valid UTF-8 (U+FFFD for what was not).
  virtual std::string normalize(std::string_view text) const = 0;

  /// Appends to `ids` the tokens of a text that `normalize` returned, or of a part of it.
  virtual void append_ids(std::string_view normalized, std::vector<std::int32_t>& ids) const = 0;

  /// The id of a token of the vocabulary by its exact content.
  virtual std::optional<std::int32_t> find_token(std::string_view content) const = 0;

  /// Whether a token of the vocabulary has this id.
  virtual bool has_id(std::int32_t id) const = 0;

  /// The largest id + 1.
  virtual std::size_t vocabulary_size() const = 0;
};

}  // namespace rankfold
