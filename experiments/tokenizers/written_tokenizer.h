#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "experiments/tokenizers/sequence_template.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_config.h"
#include "experiments/tokenizers/vocabulary.h"
#include "experiments/tokenizers/wordpiece.h"

namespace rankfold {

/// A WordPiece tokenizer as one file has it, before the files beside it are heard. What a file
/// cannot say is empty: vocab.txt says nothing but the vocabulary.
struct WrittenTokenizer {
  struct Normalizer {
    bool clean_text = true, handle_chinese_chars = true, lowercase = true;
    std::optional<bool> strip_accents;  ///< empty: as lowercase
  };
  std::filesystem::path file;
  Vocabulary vocabulary;
  std::optional<Normalizer> normalizer;
  std::optional<std::string> unknown_token;
  std::string continuing_prefix = "##";
  std::size_t max_characters_per_word = 100;
  std::vector<AddedToken> added_tokens;
  std::optional<SequenceTemplates> templates;
  bool truncates_left = false;
  std::optional<std::string> padding_token;
};

/// The tokenizer that transformers makes of a file and those beside it. Throws Error naming the
/// file and the key where the files contradict each other.
std::unique_ptr<Tokenizer> make_tokenizer(WrittenTokenizer written, const TokenizerConfig& config);

}  // namespace rankfold
