#pragma once

#include <filesystem>
#include <memory>

#include "core/base/json_reader.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {

/// A vocabulary of 256,000 tokens with as many merges has some 20 MB and a million values.
inline constexpr JsonLimits tokenizer_limits{
    .bytes = std::size_t{1} << 26, .depth = 64, .values = 3'000'000};

// The two file formats behind `load_tokenizer`, which documents them.

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& file);

std::unique_ptr<Tokenizer> load_vocabulary_text(const std::filesystem::path& file);

}  // namespace rankfold
