#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "experiments/tokenizers/models/word_cache.h"
#include "experiments/tokenizers/models/word_model.h"
#include "experiments/tokenizers/prefix_tree.h"

namespace rankfold {

/// A unigram language model of tokens (Kudo, 2018): a piece becomes the tokens whose scores (log
/// probabilities) have the largest sum. A character that is no token is unknown, at 10 below the
/// smallest score; adjacent unknown characters are one token, or those of their bytes where
/// `byte_fallback` and the vocabulary has them all. Of equal sums the one found first counts, from
/// left to right and from short tokens to long ones, as in huggingface/tokenizers.
class Unigram : public WordModel {
 public:
  /// scores[i] is that of the token with id i; ids are 0, 1, ... and the vocabulary is sealed
  /// (std::logic_error otherwise).
  Unigram(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::int32_t> unknown_id,
          bool byte_fallback);

  /// Throws Error for what is unknown where there is no unknown token.
  void append_ids(std::string_view piece, std::vector<std::int32_t>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  struct BestPath {
    double score;
    std::int32_t id;
    std::uint32_t begin;  // none: no path ends here
  };
  static constexpr std::uint32_t none = 0xFFFFFFFF;

  void find_paths(std::string_view piece, BestPath* paths) const;
  void append_stretch(std::string_view stretch, std::vector<std::int32_t>& ids) const;

  Vocabulary vocabulary_;
  std::vector<double> scores_;
  std::optional<std::int32_t> unknown_id_;
  bool byte_fallback_;
  double unknown_score_;
  PrefixTree tree_;
  std::array<std::int32_t, 256> byte_ids_;  // -1: no token
  WordCache cache_;
};

}  // namespace rankfold
