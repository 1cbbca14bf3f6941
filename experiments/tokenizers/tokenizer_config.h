#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "experiments/tokenizers/added_tokens.h"
#include "experiments/tokenizers/tokenizer_class.h"

namespace rankfold {

/// What the files beside a tokenizer's vocabulary say of it, as transformers 5 reads them:
/// config.json (the class of the model's tokenizer), tokenizer_config.json, and, where that has no
/// added_tokens_decoder, special_tokens_map.json and added_tokens.json.
struct TokenizerConfig {
  /// How the class makes its tokenizer (TokenizerClass::Kind).
  enum class Kind { unknown, as_written, bert, built };
  Kind kind = Kind::unknown;  ///< unknown: no file names a class
  const TokenizerClass* known_class = nullptr;
  std::string class_name;
  std::filesystem::path folder;

  std::optional<bool> lowercase, strip_accents, handle_chinese_chars, adds_prefix_space,
      keeps_accents, splits_at_punctuation, legacy;
  std::optional<bool> adds_begin, adds_end;  ///< add_bos_token, add_eos_token
  std::map<std::string, AddedToken> names;   ///< special tokens by role ("unk_token"); no ids
  std::set<std::string> unnamed;             ///< roles that a file says to have no token
  std::vector<AddedToken> extra_tokens;      ///< further special tokens; no ids
  std::vector<AddedToken> added_tokens;      ///< with the ids that the files state, ascending
  bool lists_all_added_tokens = false;       ///< added_tokens_decoder: no other file's count
  std::optional<bool> truncates_left;
  bool names_inputs = false;  ///< model_input_names, which outvotes the class
  bool single_type = false;   ///< the model is given no token types: all are 0
};

/// Reads the files beside the tokenizer; those that do not exist say nothing. Throws Error naming
/// the file and key: of another kind of tokenizer, of an option that is not supported, of what no
/// version of transformers writes.
TokenizerConfig read_tokenizer_config(const std::filesystem::path& folder);

}  // namespace rankfold
