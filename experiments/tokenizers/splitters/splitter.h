#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/json_field.h"
#include "experiments/tokenizers/token_part.h"

namespace rankfold {

/// A text in pieces, each of which the model splits by itself.
struct SplitText {
  struct Piece {
    std::size_t begin, end;  ///< bytes of the text; never empty
  };
  std::string text;
  std::vector<Piece> pieces;  ///< ascending; what lies between them is left out
  bool is_beginning = true;   ///< its first byte begins the raw text

  std::string_view view(const Piece& piece) const {
    return std::string_view(text).substr(piece.begin, piece.end - piece.begin);
  }
};

/// One step that cuts pieces into smaller ones, and may write them otherwise: what Hugging Face
/// calls a pre-tokenizer.
class Splitter {
 public:
  virtual ~Splitter() = default;
  /// May be called by several threads. Throws Error where the result would be too long.
  virtual void split(SplitText& text) const = 0;
};

/// The splitter that an object of tokenizer.json describes. Throws Error naming file and key.
std::unique_ptr<const Splitter> read_splitter(const JsonField& field);

// One file a kind.
std::unique_ptr<const Splitter> read_bert_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_byte_level_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_delimiter_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_digits_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_metaspace_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_pattern_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_punctuation_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_splitter_sequence(const JsonField& field);
std::unique_ptr<const Splitter> read_whitespace_splitter(const JsonField& field);
std::unique_ptr<const Splitter> read_word_splitter(const JsonField& field);

}  // namespace rankfold
