#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/models/word_model.h"
#include "experiments/tokenizers/prefix_tree.h"

namespace rankfold {

struct WordPiecesOptions {
  std::string unknown_token = "[UNK]";
  std::string continuing_prefix = "##";
  std::size_t max_characters_per_word = 100;
};

/// WordPiece (Schuster and Nakajima, 2012): from the left a word takes the longest token that it
/// begins with; tokens inside a word stand in the vocabulary with the continuing prefix. A word
/// that cannot be covered, or is too long, becomes the unknown token.
class WordPieces final : public WordModel {
 public:
  /// The unknown token must be in the vocabulary (std::logic_error otherwise).
  WordPieces(Vocabulary vocabulary, const WordPiecesOptions& options);

  void append_ids(std::string_view word, std::vector<std::int32_t>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  Vocabulary vocabulary_;
  PrefixTree tree_;
  std::optional<PrefixTree::Node> continuation_;
  std::int32_t unknown_id_;
  std::size_t max_characters_per_word_;
};

/// The options of model.type WordPiece in tokenizer.json, where only the vocabulary and the unknown
/// token's place in it are not looked at.
WordPiecesOptions read_word_pieces_options(const JsonField& field);

}  // namespace rankfold
