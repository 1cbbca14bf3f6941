#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "experiments/tokenizers/models/word_cache.h"
#include "experiments/tokenizers/models/word_model.h"

namespace rankfold {

struct BytePairOptions {
  std::optional<std::string> unknown_token;  ///< without one, what is unknown is left out
  std::string continuing_prefix;             ///< of every symbol of a piece but the first
  std::string end_suffix;                    ///< of the last symbol of a piece
  bool fuses_unknown = false;                ///< adjacent unknown characters are one token
  bool byte_fallback = false;                ///< unknown characters as the tokens of their bytes
  bool ignores_merges = false;               ///< a piece that is a token is that token
};

/// Byte-pair encoding (Sennrich et al., 2016): a piece starts as its characters; of all adjacent
/// pairs that merge, the one that comes first in the list of merges, from the left, becomes one
/// symbol, until none does. Time is n log n in the length of a piece.
class BytePairs : public WordModel {
 public:
  struct Merge {
    std::string left, right;
    std::uint32_t rank;  ///< smaller ones first, of equal ones the left one
  };

  /// The first merge that names what is no token, or the unknown token where it is none, is an
  /// Error, which names the merge by its number. Of a pair that is there twice the later one
  /// counts.
  BytePairs(Vocabulary vocabulary, const std::vector<Merge>& merges, BytePairOptions options);

  void append_ids(std::string_view piece, std::vector<std::int32_t>& ids) const override;
  const Vocabulary& vocabulary() const override { return vocabulary_; }

 private:
  struct Merged {
    std::uint32_t rank;
    std::int32_t id;
  };
  struct MergeSlot {
    std::uint64_t pair = 0;
    Merged merged = {};
    bool used = false;
  };

  void add_merge(std::int32_t left, std::int32_t right, Merged merged);
  const Merged* find_merge(std::int32_t left, std::int32_t right) const;
  std::size_t merge_slot(std::uint64_t pair) const;
  void append_symbols(std::string_view piece, std::vector<std::int32_t>& symbols) const;
  std::int32_t find_symbol(std::string_view symbol) const;
  void merge_short(std::vector<std::int32_t>& symbols, std::size_t begin) const;
  void merge_long(std::vector<std::int32_t>& symbols, std::size_t begin) const;

  Vocabulary vocabulary_;
  BytePairOptions options_;
  std::optional<std::int32_t> unknown_id_;
  std::array<std::int32_t, 128> ascii_ids_;  // -1: no token
  std::array<std::int32_t, 256> byte_ids_;   // of the fallback
  std::vector<MergeSlot> merges_;
  WordCache cache_;
};

}  // namespace rankfold
