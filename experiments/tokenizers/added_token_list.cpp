#include "experiments/tokenizers/added_token_list.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Finding a token costs its length at every place of a text.
constexpr std::size_t longest_content = 1000;

}  // namespace

std::int64_t AddedTokenList::next_id(const std::string& content) const {
  if (const auto known = vocabulary_->find(content)) return *known;
  const auto size = static_cast<std::int64_t>(vocabulary_->ids().size());
  return largest_ >= size ? largest_ + 1 : size;
}

void AddedTokenList::add_with_id(const AddedToken& token, const std::filesystem::path& file) {
  if (token.content.empty()) return;
  if (token.content.size() > longest_content)
    throw Error("{}: added token '{}...' has {} bytes, expected at most {}",
                printable(file.string()), printable(token.content, 40), token.content.size(),
                longest_content);
  const auto found = places_.find(token.content);
  const std::int64_t id =
      found != places_.end() ? tokens_[found->second].id : next_id(token.content);
  if (token.id != id)
    throw Error("{}: added token '{}': found id {}, expected {}{}", printable(file.string()),
                printable(token.content, 80), token.id, id,
                vocabulary_->find(token.content) ? " as in the vocabulary"
                                                 : ", which the tokenizers library gives it");
  if (found != places_.end()) {
    tokens_[found->second] = token;
    return;
  }
  places_.emplace(token.content, tokens_.size());
  tokens_.push_back(token);
  largest_ = std::max(largest_, id);
}

void AddedTokenList::add_if_new(const AddedToken& token) {
  if (contains(token.content)) return;
  AddedToken added = token;
  added.id = static_cast<std::int32_t>(next_id(token.content));
  add_with_id(added, {});
}

std::optional<std::int32_t> AddedTokenList::find(const std::string& content) const {
  const auto found = places_.find(content);
  if (found == places_.end()) return std::nullopt;
  return tokens_[found->second].id;
}

}  // namespace rankfold
