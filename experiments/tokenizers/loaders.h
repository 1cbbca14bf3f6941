#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {

/// A vocabulary of 256,000 tokens with as many merges has some 20 MB and a million values.
inline constexpr JsonLimits tokenizer_limits{
    .bytes = std::size_t{1} << 26, .depth = 64, .values = 3'000'000};

// The file formats behind `load_tokenizer`, which documents them.

std::unique_ptr<Tokenizer> load_tokenizer_json(const std::filesystem::path& file);

std::unique_ptr<Tokenizer> load_vocabulary_text(const std::filesystem::path& file);

/// From vocab.json and merges.txt, or a SentencePiece model, by the class that the files beside it
/// name. `file` is one of them, for messages.
std::unique_ptr<Tokenizer> load_class_files(const std::filesystem::path& file);

/// The templates of tokenizer.json's post_processor; texts alone where there is none. Throws Error
/// naming file and key.
SequenceTemplates read_templates(const std::optional<JsonField>& processor);

}  // namespace rankfold
