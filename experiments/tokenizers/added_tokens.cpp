#include "experiments/tokenizers/added_tokens.h"

#include <algorithm>

#include "experiments/tokenizers/unicode.h"

namespace rankfold {
namespace {

bool touches_word(std::string_view text, std::size_t begin, std::size_t end) {
  if (begin > 0 && is_word_character(decode_last(text.substr(0, begin)))) return true;
  return end < text.size() && is_word_character(decode_next(text, end));
}

}  // namespace

void AddedTokenMatcher::add(std::string_view pattern, const AddedToken& token) {
  if (pattern.empty()) return;
  if (const auto known = patterns_.find(pattern)) {
    tokens_[static_cast<std::size_t>(*known)] = token;
    return;
  }
  patterns_.insert(pattern, static_cast<std::int32_t>(tokens_.size()));
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
      if (token.lstrip)
        match.begin = std::max(free_from, without_trailing_whitespace(text.substr(0, begin)));
      if (token.rstrip) match.end = end + after_leading_whitespace(text.substr(end));
      // The white space of the match before may have taken all of it.
      if (match.begin < match.end) {
        matches.push_back(match);
        free_from = match.end;
      }
    }
    begin = end;
  }
  return matches;
}

}  // namespace rankfold
