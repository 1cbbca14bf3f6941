#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "core/base/json_field.h"
#include "experiments/models/host.h"

namespace rankfold {

/// What transformers reads of how to generate: config.json where there is no file of its own.
std::filesystem::path generation_file(const std::filesystem::path& model);

/// The tokens that end a text, by that file's eos_token_id; -1, which no token is, ends none.
/// Throws Error naming file and key: an id that the vocabulary has not.
std::vector<std::int32_t> end_tokens(const JsonDocument& document, std::size_t vocabulary);

/// The ids of each prompt and those that a language model continues them with, each the likeliest
/// one (the first of equals): at most `most_new`, ending with one of `ends`. Keys and values of
/// what came before are kept, so each further token costs one row; all prompts go on together.
/// (Where rotary positions follow the longest text, "dynamic", they follow that of all.) Throws
/// Error where a prompt is empty or leaves less room than `most_new` - 1 in the model's positions
/// (the last new token is not read), or where the host is no language model.
std::vector<std::vector<std::int32_t>> generate_greedily(
    Host& host, std::span<const std::vector<std::int32_t>> prompts, std::size_t most_new,
    std::span<const std::int32_t> ends = {});
/// The same of one.
std::vector<std::int32_t> generate_greedily(Host& host, std::span<const std::int32_t> prompt,
                                            std::size_t most_new,
                                            std::span<const std::int32_t> ends = {});

}  // namespace rankfold
