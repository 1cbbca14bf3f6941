#include "experiments/models/blocks/option_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace rankfold {
namespace {

TEST(OptionLoss, IsTheCrossEntropyOfMeansAndHasTheirSlopes) {
  const std::vector<std::size_t> answers = {0, 1, 4, 5, 7, 9}, options = {0, 2, 5};
  const std::vector<float> gold = {1, 0};
  std::vector<double> losses = {0.5, 1.5, 0.25, 3, 2, 0.75, 1, 2.5, 0.125}, scores;
  const auto loss = [&] {
    const double means[] = {-0.5, -(losses[1] + losses[2] + losses[3]) / 3, -losses[4],
                            -(losses[5] + losses[6]) / 2, -(losses[7] + losses[8]) / 2};
    const double first = std::exp(-losses[0]) + std::exp(means[1]),
                 second = std::exp(means[2]) + std::exp(means[3]) + std::exp(means[4]);
    return (std::log(first) - means[1] + std::log(second) - means[2]) / 2;
  };
  score_answers(losses, answers, scores);
  ASSERT_EQ(scores.size(), 5u);
  EXPECT_DOUBLE_EQ(scores[1], -4.75 / 3);
  std::vector<float> scales(losses.size());
  const double expected = loss();
  EXPECT_DOUBLE_EQ(option_loss({answers, options, gold}, scores, scales), expected);
  EXPECT_DOUBLE_EQ(option_loss({answers, options, gold}, scores, {}), expected);
  for (std::size_t i = 0; i < losses.size(); ++i) {
    const double at = losses[i], h = 1e-5;
    losses[i] = at + h;
    const double above = loss();
    losses[i] = at - h;
    EXPECT_NEAR(scales[i], (above - loss()) / (2 * h), 1e-6) << i;
    losses[i] = at;
  }
  // Scores that no exponential holds.
  const std::vector<double> far = {-2000, -1000, -3000, -1, -4000};
  EXPECT_DOUBLE_EQ(option_loss({answers, options, gold}, far, scales), 2999.0 / 2);
}

}  // namespace
}  // namespace rankfold
