#pragma once

#include <filesystem>
#include <memory>

#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {

// The two file formats behind `load_tokenizer`, which documents them.

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& file);

std::unique_ptr<Tokenizer> load_vocabulary_text(const std::filesystem::path& file);

}  // namespace rankfold
