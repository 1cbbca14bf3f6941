#include "experiments/models/blocks/classification_loss.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace rankfold {

double classification_loss(std::span<const float> logits, std::span<const float> labels,
                           bool regression, std::span<float> d_logits) {
  const std::size_t sequences = labels.size(), classes = logits.size() / sequences;
  double loss = 0;
  if (regression) {
    const auto count = static_cast<double>(logits.size());
    for (std::size_t i = 0; i < logits.size(); ++i) {
      const double difference = double{logits[i]} - double{labels[i / classes]};
      loss += difference * difference / count;
      d_logits[i] = static_cast<float>(2.0 * difference / count);
    }
    return loss;
  }
  const auto count = static_cast<double>(sequences);
  for (std::size_t s = 0; s < sequences; ++s) {
    const std::span<const float> row = logits.subspan(s * classes, classes);
    const auto label = static_cast<std::size_t>(labels[s]);
    const double largest = *std::ranges::max_element(row);
    double sum = 0;
    for (const float logit : row) sum += std::exp(logit - largest);
    loss += (std::log(sum) + largest - row[label]) / count;
    for (std::size_t c = 0; c < classes; ++c)
      d_logits[s * classes + c] =
          static_cast<float>((std::exp(row[c] - largest) / sum - (c == label ? 1.0 : 0.0)) / count);
  }
  return loss;
}

}  // namespace rankfold
