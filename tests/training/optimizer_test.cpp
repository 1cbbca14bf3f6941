#include "experiments/training/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "core/base/error.h"

namespace rankfold {
namespace {

std::vector<float> run(const OptimizerSettings& settings, float start,
                       const std::vector<float>& gradients, double rate) {
  std::vector<float> value{start}, gradient{0}, path;
  Optimizer optimizer(settings, {{"p", value, gradient}}, make_cpu_device());
  for (float g : gradients) {
    gradient[0] = g;
    optimizer.step(rate);
    path.push_back(value[0]);
  }
  return path;
}

TEST(AdamW, FollowsItsFormulaWithDecoupledDecay) {
  OptimizerSettings settings;
  settings.weight_decay = 0.01;
  // The header's formula in double precision.
  const std::vector<double> expected{0.989900000200, 0.987137639871, 0.980332449689};
  const std::vector<float> path = run(settings, 1.0F, {0.5F, -0.25F, 2.0F}, 1e-2);
  for (std::size_t i = 0; i < path.size(); ++i) EXPECT_NEAR(path[i], expected[i], 2e-7) << i;

  settings.beta2 = 0.98;
  settings.epsilon = 1e-6;
  settings.weight_decay = 0.1;
  const std::vector<double> expected2{-0.759240009990, -0.765888353100, -0.770876345958};
  const std::vector<float> path2 = run(settings, -0.75F, {1e-3F, 4.0F, 0.0F}, 1e-2);
  for (std::size_t i = 0; i < path2.size(); ++i) EXPECT_NEAR(path2[i], expected2[i], 2e-7) << i;
}

TEST(AdamW, TakesAStepOfTheRateAtFirstWhateverTheGradient) {
  for (float gradient : {1e-4F, 1.0F, 1e4F}) {
    EXPECT_NEAR(run({}, 0.0F, {gradient}, 1e-3)[0], -1e-3, 2e-7) << gradient;
  }
}

TEST(Sgd, SubtractsTheScaledGradientAndDecay) {
  OptimizerSettings settings;
  settings.kind = OptimizerKind::sgd;
  settings.weight_decay = 0.5;
  // p - lr (g + decay p): 1 - 0.1 (2 + 0.5) = 0.75; 0.75 - 0.1 (-1 + 0.375) = 0.8125.
  const std::vector<float> path = run(settings, 1.0F, {2.0F, -1.0F}, 0.1);
  EXPECT_FLOAT_EQ(path[0], 0.75F);
  EXPECT_FLOAT_EQ(path[1], 0.8125F);
}

TEST(Optimizer, GivesTheSameBitsForLargeTensorsAsForSmallOnes) {
  const std::size_t size = 100'000;
  std::vector<float> large(size), gradient(size);
  for (std::size_t i = 0; i < size; ++i) gradient[i] = std::sin(static_cast<float>(i));
  Optimizer whole({}, {{"large", large, gradient}}, make_cpu_device());
  whole.step(1e-2);
  whole.step(1e-3);
  std::vector<float> pieces(size);
  std::vector<TrainedSpan> spans;
  for (std::size_t i = 0; i < size; i += 1000) {
    spans.push_back(
        {"piece", std::span(pieces).subspan(i, 1000), std::span(gradient).subspan(i, 1000)});
  }
  Optimizer parts({}, spans, make_cpu_device());
  parts.step(1e-2);
  parts.step(1e-3);
  EXPECT_EQ(large, pieces);
}

TEST(Optimizer, RefusesSettingsOutOfRange) {
  OptimizerSettings settings;
  settings.beta1 = 1;
  EXPECT_THROW(Optimizer(settings, {}, make_cpu_device()), UsageError);
  settings = {};
  settings.epsilon = 0;
  EXPECT_THROW(Optimizer(settings, {}, make_cpu_device()), UsageError);
  settings = {};
  settings.weight_decay = -1;
  EXPECT_THROW(Optimizer(settings, {}, make_cpu_device()), UsageError);
}

TEST(GradientClipping, ScalesAllGradientsToTheNorm) {
  std::vector<float> value(11), first{3, 0}, second(9);
  second[8] = 4;
  const std::vector<TrainedSpan> tensors{{"a", std::span(value).first(2), first},
                                         {"b", std::span(value).last(9), second}};
  EXPECT_DOUBLE_EQ(gradient_norm(*make_cpu_device(), tensors), 5);
  EXPECT_DOUBLE_EQ(clip_scale(5, 1), 1 / (5 + 1e-6));
  EXPECT_DOUBLE_EQ(clip_scale(0.5, 1), 1);
  EXPECT_DOUBLE_EQ(clip_scale(5, 0), 1);

  OptimizerSettings sgd;
  sgd.kind = OptimizerKind::sgd;
  Optimizer(sgd, tensors, make_cpu_device()).step(1, clip_scale(5, 1));
  EXPECT_NEAR(value[0], -0.6, 1e-6);
  EXPECT_NEAR(value[10], -0.8, 1e-6);
}

TEST(GradientClipping, NormShowsAGradientThatIsNotFinite) {
  std::vector<float> value(20), gradient(20);
  for (std::size_t position : {0, 7, 19}) {
    gradient.assign(20, 1.0F);
    gradient[position] = std::numeric_limits<float>::quiet_NaN();
    const std::vector<TrainedSpan> tensors{{"a", value, gradient}};
    EXPECT_FALSE(std::isfinite(gradient_norm(*make_cpu_device(), tensors))) << position;
  }
}

}  // namespace
}  // namespace rankfold
