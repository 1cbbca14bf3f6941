#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {

/// One text or pair of texts and what another tokenizer made of it.
struct TokenizerCase {
  std::string text;
  std::optional<std::string> pair;
  std::size_t max_length = 0;  ///< 0: no truncation
  std::vector<std::int32_t> ids;
  std::optional<std::vector<std::int32_t>> type_ids;  ///< not compared where absent
};

/// Reads a JSON array of {"text", "ids"} with optional "pair", "max_length" and "type_ids". Throws
/// Error naming the file and key.
std::vector<TokenizerCase> load_tokenizer_cases(const std::filesystem::path& file);

struct TokenizerComparison {
  std::size_t cases = 0;
  std::size_t mismatches = 0;  ///< cases with other ids or type ids
  std::string first_mismatch;  ///< one line; empty where there is none
};

/// Encodes every case and compares exactly.
TokenizerComparison compare(const Tokenizer& tokenizer, std::span<const TokenizerCase> cases);

}  // namespace rankfold
