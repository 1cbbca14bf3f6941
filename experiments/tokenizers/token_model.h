#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/vocabulary.h"

namespace rankfold {

/// What differs between kinds of tokenizers (WordPiece, BPE, Unigram): normalising a text and
/// splitting the normalised text into the tokens of a vocabulary. May be used by several threads.
class TokenModel {
 public:
  virtual ~TokenModel() = default;

  /// The normalised text, as valid UTF-8 (U+FFFD for what was not).
  virtual NormalizedText normalize(std::string_view text) const = 0;

  /// Appends to `ids` the tokens of a text that `normalize` returned, or of a part of it, which
  /// `is_beginning` where the raw text begins with it.
  virtual void append_ids(std::string_view normalized, bool is_beginning,
                          std::vector<std::int32_t>& ids) const = 0;

  virtual const Vocabulary& vocabulary() const = 0;
};

}  // namespace rankfold
