#pragma once

#include <memory>
#include <string>
#include <vector>

#include "core/base/json_field.h"
#include "experiments/tokenizers/token_part.h"

namespace rankfold {

/// A text on its way from the raw one to what is split.
struct NormalizedText {
  std::string text;  ///< valid UTF-8
  /// It begins with what the raw text begins with: nothing was cut off before it.
  bool is_beginning = true;
};

/// One step that changes a text before it is split into tokens.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// May be called by several threads. Throws Error where the result would be too long.
  virtual void normalize(NormalizedText& text) const = 0;
};

/// The normalizer that an object of tokenizer.json describes. Throws Error naming file and key.
std::unique_ptr<const Normalizer> read_normalizer(const JsonField& field);

/// One after the other.
std::unique_ptr<const Normalizer> make_normalizer_sequence(
    std::vector<std::unique_ptr<const Normalizer>> steps);

// One file a kind.
std::unique_ptr<const Normalizer> read_bert_normalizer(const JsonField& field);
std::unique_ptr<const Normalizer> read_byte_level_normalizer(const JsonField& field);
std::unique_ptr<const Normalizer> read_lowercase(const JsonField& field);
std::unique_ptr<const Normalizer> read_nfc(const JsonField& field);
std::unique_ptr<const Normalizer> read_nfd(const JsonField& field);
std::unique_ptr<const Normalizer> read_nfkc(const JsonField& field);
std::unique_ptr<const Normalizer> read_nfkd(const JsonField& field);
std::unique_ptr<const Normalizer> read_precompiled(const JsonField& field);
std::unique_ptr<const Normalizer> read_prepend(const JsonField& field);
std::unique_ptr<const Normalizer> read_replace(const JsonField& field);
std::unique_ptr<const Normalizer> read_normalizer_sequence(const JsonField& field);
std::unique_ptr<const Normalizer> read_strip(const JsonField& field);
std::unique_ptr<const Normalizer> read_strip_accents(const JsonField& field);

}  // namespace rankfold
