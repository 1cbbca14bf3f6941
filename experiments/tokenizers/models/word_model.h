#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/json_field.h"
#include "experiments/tokenizers/token_part.h"
#include "experiments/tokenizers/vocabulary.h"

namespace rankfold {

/// Splits a piece of text into tokens of its vocabulary.
class WordModel {
 public:
  virtual ~WordModel() = default;
  /// Appends the ids of a piece of valid UTF-8 that is not empty. May be called by several threads.
  virtual void append_ids(std::string_view piece, std::vector<std::int32_t>& ids) const = 0;
  virtual const Vocabulary& vocabulary() const = 0;
};

/// The model that an object of tokenizer.json describes. Throws Error naming file and key.
std::unique_ptr<const WordModel> read_word_model(const JsonField& field);

/// {"token": id, ...} with ids below 2^31 - 1, each once.
Vocabulary read_vocabulary_object(const JsonField& field);

/// An id of a JSON file.
std::int32_t read_token_id(const JsonField& field);

/// "<0x0A>", the token of a byte that no other token covers.
std::string byte_token(char byte);

// One file a kind.
std::unique_ptr<const WordModel> read_byte_pairs(const JsonField& field);
std::unique_ptr<const WordModel> read_unigram(const JsonField& field);
std::unique_ptr<const WordModel> read_word_pieces(const JsonField& field);

}  // namespace rankfold
