#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/bert_normalizer.h"
#include "experiments/tokenizers/models/word_pieces.h"
#include "experiments/tokenizers/token_model.h"

namespace rankfold {

struct WordPieceOptions : WordPiecesOptions {
  BertNormalizerOptions normalizer;
};

/// WordPiece as BERT uses it, normalised and split in one go: the text is split at white space, and
/// each punctuation character is a word of its own.
class WordPiece : public TokenModel {
 public:
  /// The unknown token must be in the vocabulary (std::logic_error otherwise).
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options);

  NormalizedText normalize(std::string_view text) const override;
  void append_ids(std::string_view normalized, bool is_beginning,
                  std::vector<std::int32_t>& ids) const override;
  const Vocabulary& vocabulary() const override { return words_.vocabulary(); }

 private:
  WordPieces words_;
  BertNormalizer normalizer_;
};

}  // namespace rankfold
