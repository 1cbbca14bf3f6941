#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/bert_normalizer.h"
#include "experiments/tokenizers/prefix_tree.h"
#include "experiments/tokenizers/token_model.h"
#include "experiments/tokenizers/vocabulary.h"

namespace rankfold {

struct WordPieceOptions {
  std::string unknown_token = "[UNK]";
  std::string continuing_prefix = "##";
  std::size_t max_characters_per_word = 100;
  BertNormalizerOptions normalizer;
};

/// WordPiece (Schuster and Nakajima, 2012) as BERT uses it. The normalised text is split at white
/// space, and each punctuation character is a word of its own. From the left a word takes the
/// longest token that it begins with; tokens inside a word stand in the vocabulary with the
/// continuing prefix. A word that cannot be covered, or is too long, becomes the unknown token.
class WordPiece : public TokenModel {
 public:
  /// The unknown token must be in the vocabulary (std::logic_error otherwise).
  WordPiece(Vocabulary vocabulary, const WordPieceOptions& options);

  std::string normalize(std::string_view text) const override;
  void append_ids(std::string_view normalized, std::vector<std::int32_t>& ids) const override;
  std::optional<std::int32_t> find_token(std::string_view content) const override;
  bool has_id(std::int32_t id) const override;
  std::size_t vocabulary_size() const override;

 private:
  void append_word(std::string_view word, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;
  BertNormalizer normalizer_;
  std::optional<PrefixTree::Node> continuation_;
  std::int32_t unknown_id_;
  std::size_t max_characters_per_word_;
};

}  // namespace rankfold
