#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace rankfold {

/// Writes a tokenizer.json of the words w0, w1, ... with these ids, split at blanks, without
/// special tokens; w0 stands for any other word.
inline void write_word_tokenizer(const std::filesystem::path& folder, int words) {
  nlohmann::json vocabulary;
  for (int id = 0; id < words; ++id) vocabulary["w" + std::to_string(id)] = id;
  const nlohmann::json document = {{"version", "1.0"},
                                   {"added_tokens", nlohmann::json::array()},
                                   {"normalizer", nullptr},
                                   {"pre_tokenizer", {{"type", "WhitespaceSplit"}}},
                                   {"post_processor", nullptr},
                                   {"decoder", nullptr},
                                   {"model",
                                    {{"type", "WordPiece"},
                                     {"unk_token", "w0"},
                                     {"continuing_subword_prefix", "##"},
                                     {"max_input_chars_per_word", 100},
                                     {"vocab", vocabulary}}}};
  write_atomically(folder / "tokenizer.json", document.dump());
}

}  // namespace rankfold
