#include "experiments/models/blocks/option_loss.h"

#include <algorithm>
#include <cmath>

namespace rankfold {

void score_answers(std::span<const double> losses, std::span<const std::size_t> answers,
                   std::vector<double>& scores) {
  scores.clear();
  for (std::size_t a = 0; a + 1 < answers.size(); ++a) {
    double sum = 0;
    for (std::size_t i = answers[a]; i < answers[a + 1]; ++i) sum -= losses[i];
    scores.push_back(sum / static_cast<double>(answers[a + 1] - answers[a]));
  }
}

double option_loss(const Answers& of, std::span<const double> scores, std::span<float> scales) {
  const std::size_t examples = of.options.size() - 1;
  double loss = 0;
  for (std::size_t g = 0; g < examples; ++g) {
    const std::size_t first = of.options[g], end = of.options[g + 1],
                      gold = first + static_cast<std::size_t>(of.gold[g]);
    const auto options = scores.subspan(first, end - first);
    const double largest = *std::ranges::max_element(options);
    double total = 0;
    for (const double score : options) total += std::exp(score - largest);
    loss += std::log(total) + largest - scores[gold];
    if (scales.empty()) continue;
    for (std::size_t a = first; a < end; ++a) {
      const double p = std::exp(scores[a] - largest) / total;
      const auto tokens = static_cast<double>(of.answers[a + 1] - of.answers[a]);
      const auto scale =
          static_cast<float>(((a == gold ? 1 : 0) - p) / (tokens * static_cast<double>(examples)));
      std::fill(scales.begin() + static_cast<std::ptrdiff_t>(of.answers[a]),
                scales.begin() + static_cast<std::ptrdiff_t>(of.answers[a + 1]), scale);
    }
  }
  return loss / static_cast<double>(examples);
}

}  // namespace rankfold
