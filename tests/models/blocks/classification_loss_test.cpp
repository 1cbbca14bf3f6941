#include "experiments/models/blocks/classification_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "models/double_reference.h"

namespace rankfold {
namespace {

double loss_of(const std::vector<float>& logits, const std::vector<float>& labels, bool regression,
               std::vector<float>& gradient) {
  const std::size_t rows = labels.size(), columns = logits.size() / rows;
  return classification_loss({logits.data(), rows, columns}, labels, {.regression = regression},
                             {gradient.data(), rows, columns}, *make_cpu_device());
}

TEST(ClassificationLoss, IsTheMeanCrossEntropy) {
  const std::vector<float> logits = {1, 3, 200, -200}, labels = {0, 0};
  std::vector<float> gradient(4);
  const double loss = loss_of(logits, labels, false, gradient);
  EXPECT_NEAR(loss, std::log(1 + std::exp(2.0)) / 2, 1e-7);
  const double p = 1 / (1 + std::exp(-2.0));
  EXPECT_NEAR(gradient[0], -p / 2, 1e-7);
  EXPECT_NEAR(gradient[1], p / 2, 1e-7);
  EXPECT_NEAR(gradient[2], 0, 1e-7);
}

TEST(ClassificationLoss, IsTheMeanSquaredError) {
  const std::vector<float> logits = {1, 3}, labels = {2, 0.5f};
  std::vector<float> gradient(2);
  EXPECT_NEAR(loss_of(logits, labels, true, gradient), (1 + 6.25) / 2, 1e-7);
  EXPECT_NEAR(gradient[0], -1, 1e-7);
  EXPECT_NEAR(gradient[1], 2.5, 1e-7);
}

TEST(ClassificationLoss, HasTheSlopesOfTheFormula) {
  for (const bool regression : {false, true}) {
    constexpr std::size_t rows = 5, classes = 3;
    const std::vector<float> logits = reference::normal(rows * classes, "logits", 2.0);
    const std::vector<float> labels = {2, 0, 1, 1, 0};
    std::vector<float> gradient(logits.size());
    const double loss = loss_of(logits, labels, regression, gradient);
    reference::Rows formula(MatrixView<const float>(logits.data(), rows, classes));
    const auto expected = [&] { return reference::loss(formula, labels, regression); };
    EXPECT_NEAR(loss, expected(), 1e-12);
    EXPECT_LT(reference::relative_error(gradient,
                                        reference::central_differences(formula.values, expected)),
              1e-6);
  }
}

}  // namespace
}  // namespace rankfold
