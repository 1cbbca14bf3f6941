#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "experiments/tokenizers/added_tokens.h"
#include "experiments/tokenizers/vocabulary.h"

namespace rankfold {

/// Added tokens with the ids that huggingface/tokenizers gives them: a token of the vocabulary
/// keeps its own; a new one gets the number of the vocabulary's tokens, or the largest id of an
/// added token + 1 where that is not smaller. Files state ids too, which must be these.
class AddedTokenList {
 public:
  /// Refers to the vocabulary, which must outlive it.
  explicit AddedTokenList(const Vocabulary& vocabulary) : vocabulary_(&vocabulary) {}

  /// Adds a token, or replaces the flags of the one with its content. Throws Error naming `file`
  /// where its id is not the one that the token gets.
  void add_with_id(const AddedToken& token, const std::filesystem::path& file);
  /// Adds a token unless one with its content is there; its id is chosen.
  void add_if_new(const AddedToken& token);

  bool contains(const std::string& content) const { return places_.contains(content); }
  std::optional<std::int32_t> find(const std::string& content) const;
  const std::vector<AddedToken>& tokens() const { return tokens_; }

 private:
  std::int64_t next_id(const std::string& content) const;

  const Vocabulary* vocabulary_;
  std::vector<AddedToken> tokens_;
  std::unordered_map<std::string, std::size_t> places_;
  std::int64_t largest_ = -1;
};

}  // namespace rankfold
