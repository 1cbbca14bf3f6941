#include "experiments/tokenizers/tokenizer.h"

#include <algorithm>
#include <string>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tokenizers/token_part.h"

namespace rankfold {
namespace {

using Kind = TemplatePart::Kind;

std::size_t count_parts(const SequenceTemplate& sequence, Kind kind) {
  return static_cast<std::size_t>(std::count_if(
      sequence.begin(), sequence.end(), [&](const TemplatePart& p) { return p.kind == kind; }));
}

void check_template(const SequenceTemplate& sequence, const char* name, std::size_t second_texts) {
  const std::size_t first = count_parts(sequence, Kind::first_text);
  const std::size_t second = count_parts(sequence, Kind::second_text);
  if (first == 1 && second == second_texts) return;
  throw Error(
      "template '{}' of the special tokens: found A {} times and B {} times, expected 1, {}", name,
      first, second, second_texts);
}

void truncate(std::vector<std::int32_t>& ids, std::size_t length, bool left) {
  if (ids.size() <= length) return;
  if (left)
    ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(length));
  else
    ids.resize(length);
}

/// Cuts the longer text down to the shorter one, then both to halves of the budget.
void truncate_longest_first(std::vector<std::int32_t>& first, std::vector<std::int32_t>& second,
                            std::size_t budget, bool left) {
  if (first.size() + second.size() <= budget) return;
  const bool first_is_longer = first.size() > second.size();
  std::vector<std::int32_t>& longer = first_is_longer ? first : second;
  std::vector<std::int32_t>& shorter = first_is_longer ? second : first;
  const std::size_t shorter_length = std::min(shorter.size(), budget / 2);
  truncate(shorter, shorter_length, left);
  truncate(longer, budget - shorter_length, left);
}

}  // namespace

Tokenizer::Tokenizer(std::unique_ptr<const TokenModel> model, std::vector<AddedToken> added_tokens,
                     SequenceTemplates templates, bool truncates_left,
                     std::unique_ptr<const TokenDecoder> decoder)
    : model_(std::move(model)),
      added_tokens_(std::move(added_tokens)),
      templates_(std::move(templates)),
      decoder_(std::move(decoder)),
      truncates_left_(truncates_left),
      vocabulary_size_(model_->vocabulary().size()) {
  check_template(templates_.single, "single", 0);
  check_template(templates_.pair, "pair", 1);
  const Vocabulary& vocabulary = model_->vocabulary();
  for (std::size_t i = 0; i < added_tokens_.size(); ++i) {
    const AddedToken& token = added_tokens_[i];
    added_places_.emplace(token.id, i);
    const auto known = vocabulary.find(token.content);
    if (known && *known != token.id)
      throw Error("added token '{}': found id {}, expected {} as in the vocabulary",
                  printable(token.content), token.id, *known);
    if (!known && vocabulary.has_id(token.id))
      throw Error("added token '{}': its id {} is another token's in the vocabulary",
                  printable(token.content), token.id);
    vocabulary_size_ = std::max(vocabulary_size_, static_cast<std::size_t>(token.id) + 1);
    added_texts_.push_back(token.normalized ? model_->normalize(token.content).text
                                            : token.content);
    if (added_texts_.back().empty() && !token.content.empty())
      throw Error("added token '{}': found nothing of it once normalised, expected a text to seek",
                  printable(token.content));
    (token.normalized ? normalized_matcher_ : raw_matcher_).add(added_texts_.back(), token);
    if (token.special) special_contents_.insert(token.content);
  }
}

Encoding Tokenizer::encode(std::string_view text, std::optional<std::string_view> pair,
                           std::size_t max_length) const {
  const SequenceTemplate& sequence = pair ? templates_.pair : templates_.single;
  const std::size_t special_tokens = count_parts(sequence, Kind::token);
  if (max_length > 0 && max_length < special_tokens)
    throw UsageError("max-length {}: expected at least {}, the number of special tokens",
                     max_length, special_tokens);

  check_text_length(text.size());
  if (pair) check_text_length(pair->size());
  std::vector<std::int32_t> first, second;
  first.reserve(text.size() / 4 + 8);
  append_ids(text, first);
  if (pair) append_ids(*pair, second);
  if (max_length > 0) {
    const std::size_t budget = max_length - special_tokens;
    if (pair) {
      truncate_longest_first(first, second, budget, truncates_left_);
    } else {
      truncate(first, budget, truncates_left_);
    }
  }

  Encoding encoding;
  const std::size_t length = first.size() + second.size() + special_tokens;
  encoding.ids.reserve(length);
  encoding.type_ids.reserve(length);
  for (const TemplatePart& part : sequence) {
    if (part.kind == Kind::token) {
      encoding.ids.push_back(part.token);
    } else {
      const auto& ids = part.kind == Kind::first_text ? first : second;
      encoding.ids.insert(encoding.ids.end(), ids.begin(), ids.end());
    }
    encoding.type_ids.resize(encoding.ids.size(), part.type_id);
  }
  return encoding;
}

void Tokenizer::append_ids(std::string_view text, std::vector<std::int32_t>& ids) const {
  std::size_t begin = 0;
  const auto append = [&](std::size_t end) {
    if (end <= begin) return;
    NormalizedText normalized = model_->normalize(text.substr(begin, end - begin));
    normalized.is_beginning = normalized.is_beginning && begin == 0;
    append_ids_of_normalized(normalized, ids);
  };
  for (const AddedTokenMatcher::Match& match : raw_matcher_.find_all(text)) {
    append(match.begin);
    ids.push_back(match.id);
    begin = match.end;
  }
  append(text.size());
}

void Tokenizer::append_ids_of_normalized(const NormalizedText& normalized,
                                         std::vector<std::int32_t>& ids) const {
  const std::string_view text = normalized.text;
  std::size_t begin = 0;
  for (const AddedTokenMatcher::Match& match : normalized_matcher_.find_all(text)) {
    if (match.begin > begin)
      model_->append_ids(text.substr(begin, match.begin - begin),
                         normalized.is_beginning && begin == 0, ids);
    ids.push_back(match.id);
    begin = match.end;
  }
  model_->append_ids(text.substr(begin), normalized.is_beginning && begin == 0, ids);
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids, bool skip_special) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const std::int32_t id : ids) {
    const auto added = added_places_.find(id);
    if (added != added_places_.end()) {
      const std::string& text = added_texts_[added->second];
      if (!skip_special || !special_contents_.contains(text)) tokens.push_back(text);
    } else if (const auto content = model_->vocabulary().content(id)) {
      tokens.emplace_back(*content);
    }
  }
  if (decoder_) {
    decoder_->decode(tokens);
    return join(tokens, "");
  }
  return join(tokens, " ");
}

std::optional<std::int32_t> Tokenizer::find_token(std::string_view content) const {
  for (const AddedToken& token : added_tokens_)
    if (token.content == content) return token.id;
  return model_->vocabulary().find(content);
}

}  // namespace rankfold
