#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace rankfold {

/// The loss of a language model that chooses among answers. losses[i] is -log p of labelled token
/// i; tokens answers[a] .. answers[a + 1] are those of answer a, answers options[g] ..
/// options[g + 1] the options of example g, and gold[g] the right one's place among them. With
/// score(a) = the mean of -losses over answer a, as LoRETTA and MeZO train "as classification":
///     loss = mean over g of -log softmax(scores of g's options)[gold[g]].
struct Answers {
  std::span<const std::size_t> answers, options;
  std::span<const float> gold;
};

/// scores[a] of every answer.
void score_answers(std::span<const double> losses, std::span<const std::size_t> answers,
                   std::vector<double>& scores);

/// The loss of those scores. Where it has room, scales[i] = dLoss/dlosses[i]:
/// (1 at the gold option - p(a)) / (tokens of answer a * examples), p = the softmax over options.
double option_loss(const Answers& of, std::span<const double> scores, std::span<float> scales);

}  // namespace rankfold
