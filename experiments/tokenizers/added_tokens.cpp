#include "experiments/tokenizers/added_tokens.h"

#include <algorithm>

#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word_character(decode_last(text.substr(0, begin)))) return true;
  return end < text.size() && is_word_character(decode_next(text, end));
}

std::size_t without_trailing_whitespace(std::string_view text, std::size_t end) {
  while (end > 0) {
    const char32_t last = decode_last(text.substr(0, end));
    if (!is_whitespace(last)) break;
    end -= utf8_length(last);
  }
  return end;
}

std::size_t after_whitespace(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    std::size_t next = begin;
    if (!is_whitespace(decode_next(text, next))) break;
    begin = next;
  }
  return begin;
}

}  // namespace

void AddedTokenMatcher::add(std::string_view pattern, const AddedToken& token) {
  if (pattern.empty()) return;
  if (!patterns_.insert(pattern, static_cast<std::int32_t>(tokens_.size()))) return;
  tokens_.push_back(token);
  starts_pattern_[static_cast<unsigned char>(pattern.front())] = true;
}

std::vector<AddedTokenMatcher::Match> AddedTokenMatcher::find_all(std::string_view text) const {
  std::vector<Match> matches;
  if (tokens_.empty()) return matches;
  std::size_t free_from = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    if (!starts_pattern_[static_cast<unsigned char>(text[begin])]) {
      ++begin;
      continue;
    }
    const auto found = patterns_.longest_match(text.substr(begin));
    if (!found) {
      ++begin;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(found->value)];
    const std::size_t end = begin + found->length;
    if (!token.single_word || !touches_word(text, begin, end)) {
      Match match{begin, end, token.id};
      if (token.lstrip) match.begin = without_trailing_whitespace(text, begin);
      if (token.rstrip) match.end = after_whitespace(text, end);
      match.begin = std::max(match.begin, free_from);
      match.end = std::max(match.end, match.begin);
      matches.push_back(match);
      free_from = match.end;
    }
    begin = end;
  }
  return matches;
}

}  // namespace rankfold
