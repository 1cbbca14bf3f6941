#pragma once

#include <span>
#include <string>
#include <string_view>

namespace rankfold {

// Scores of generated answers, as SQuAD's evaluation has them (arXiv 1606.05250), 0 to 1. The best
// of all right answers counts.

/// The text in lower case, without punctuation (ASCII), the words a, an and the, and blanks but
/// single ones between words. Letters beyond ASCII stay as they are.
std::string normalise_answer(std::string_view text);

/// 2 common / (words of both), common the words that both have, as often as both have them; 0 where
/// there are none.
double token_f1(std::string_view prediction, std::span<const std::string> answers);

/// 1 where the normalised texts are equal.
double exact_match(std::string_view prediction, std::span<const std::string> answers);

}  // namespace rankfold
