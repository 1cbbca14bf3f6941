#include "experiments/tasks/prompt_metrics.h"

#include <algorithm>
#include <map>
#include <vector>

#include "core/base/text.h"

namespace rankfold {
namespace {

bool is_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
         (c >= '{' && c <= '~');
}

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  std::string word;
  const auto end_word = [&] {
    if (!word.empty() && word != "a" && word != "an" && word != "the") words.push_back(word);
    word.clear();
  };
  for (const char c : text) {
    if (is_punctuation(c)) continue;
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      end_word();
    } else {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    }
  }
  end_word();
  return words;
}

double f1_of(const std::vector<std::string>& prediction, const std::vector<std::string>& answer) {
  std::map<std::string, std::size_t> left;
  for (const std::string& word : answer) ++left[word];
  std::size_t common = 0;
  for (const std::string& word : prediction)
    if (const auto found = left.find(word); found != left.end() && found->second > 0) {
      --found->second;
      ++common;
    }
  if (common == 0) return 0;
  return 2.0 * static_cast<double>(common) / static_cast<double>(prediction.size() + answer.size());
}

}  // namespace

std::string normalise_answer(std::string_view text) {
  return join(words_of(text), " ");
}

double token_f1(std::string_view prediction, std::span<const std::string> answers) {
  const std::vector<std::string> words = words_of(prediction);
  double best = 0;
  for (const std::string& answer : answers) best = std::max(best, f1_of(words, words_of(answer)));
  return best;
}

double exact_match(std::string_view prediction, std::span<const std::string> answers) {
  const std::string text = normalise_answer(prediction);
  return std::ranges::any_of(
             answers, [&](const std::string& answer) { return normalise_answer(answer) == text; })
             ? 1
             : 0;
}

}  // namespace rankfold
