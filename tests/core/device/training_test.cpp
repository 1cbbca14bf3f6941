#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/device/training_operations.h"
#include "every_device.h"

namespace rankfold {
namespace {

class TrainingOnEveryDevice : public EveryDevice {};

INSTANTIATE_TEST_SUITE_P(Devices, TrainingOnEveryDevice, testing::Values("cpu", "test"),
                         [](const auto& name) { return name.param; });

TEST_P(TrainingOnEveryDevice, StepsByAdamW) {
  constexpr std::size_t n = 77;
  const auto gradient = random<float>(n, "gradient");
  auto first = random<float>(n, "first"), second = random<float>(n, "second"),
       value = random<float>(n, "value");
  for (float& square : second) square *= square;
  Buffer<float> g = put(gradient), m = put(first), v = put(second), p = put(value);
  const AdamStep step = {0.99f, 0.9f, 0.98f, 0.05f, 0.7f, 1e-3f, 0.5f};
  device->adamw(step, n, g.data(), m.data(), v.data(), p.data());
  for (std::size_t i = 0; i < n; ++i) {
    const double scaled = 0.5 * double(gradient[i]);
    first[i] = float(0.9 * double(first[i]) + 0.1 * scaled);
    second[i] = float(0.98 * double(second[i]) + 0.02 * scaled * scaled);
    value[i] = float(0.99 * double(value[i]) -
                     0.05 * double(first[i]) / (std::sqrt(double(second[i])) / 0.7 + 1e-3));
  }
  expect_close(get(m), first);
  expect_close(get(v), second);
  expect_close(get(p), value);
}

TEST_P(TrainingOnEveryDevice, StepsByAdamWithDecayInTheGradient) {
  Buffer<float> g = put<float>({0.5f, -2}), m = put<float>({0, 0}), v = put<float>({0, 0}),
                p = put<float>({4, 1});
  const AdamStep step = {1, 0.5f, 0.75f, 0.1f, 1, 1e-3f, 2, 0.25f};
  device->adamw(step, 2, g.data(), m.data(), v.data(), p.data());
  // g = 2 * 0.5 + 0.25 * 4 = 2, and 2 * -2 + 0.25 * 1 = -3.75.
  expect_close(get(m), {1, -1.875f});
  expect_close(get(v), {1, 3.515625f});
  expect_close(get(p), {4 - 0.1f * 1 / 1.001f, 1 + 0.1f * 1.875f / 1.876f});
}

TEST_P(TrainingOnEveryDevice, AddsNormalsOfAStream) {
  constexpr std::size_t n = 9003;
  const auto from = random<float>(n, "from");
  const RandomStream stream(7, "normals", 3);
  Buffer<float> x = put(from), y(device, n);
  device->add_normals(stream, 0.5f, 0.25f, n, x.data(), y.data());
  std::vector<float> expected(n);
  double sum = 0, squares = 0, products = 0, last = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const auto words = stream.block(i / 4);
    const std::size_t pair = i % 4 / 2 * 2;
    const double pi = 3.14159265358979323846;
    const double radius = std::sqrt(-2 * std::log(double((words[pair] >> 8) + 1) * 0x1p-24)),
                 angle = 2 * pi * double(words[pair + 1] >> 8) * 0x1p-24 - pi / 4;
    const double z = radius * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
    expected[i] = float(0.5 * double(from[i]) + 0.25 * z);
    sum += z;
    squares += z * z;
    products += z * last;
    last = z;
  }
  expect_close(get(y), expected);
  EXPECT_NEAR(sum / n, 0, 0.04);
  EXPECT_NEAR(squares / n, 1, 0.05);
  EXPECT_NEAR(products / n, 0, 0.04);

  // Nothing is added where the scale is 0, and a matrix may be written over.
  device->add_normals(stream, 1, 0, n, x.data(), y.data());
  EXPECT_EQ(get(y), from);
  device->add_normals(stream, 0.5f, 0.25f, n, x.data(), x.data());
  expect_close(get(x), expected);
}

TEST_P(TrainingOnEveryDevice, StepsBySgd) {
  const auto gradient = random<float>(33, "gradient");
  auto value = random<float>(33, "value");
  const Buffer<float> g = put(gradient);
  Buffer<float> p = put(value);
  device->sgd(0.25f, 0.125f, 2.0f, 33, g.data(), p.data());
  for (std::size_t i = 0; i < 33; ++i) value[i] -= 0.25f * (2 * gradient[i] + 0.125f * value[i]);
  expect_close(get(p), value);
}

TEST_P(TrainingOnEveryDevice, AddsSquares) {
  const auto values = random<float>(1001, "values");
  double expected = 3;
  for (const float x : values) expected += double(x) * double(x);
  const Buffer<float> x = put(values);
  EXPECT_NEAR(device->add_squares(1001, x.data(), 3), expected, 1e-10 * expected);
  EXPECT_EQ(device->add_squares(0, x.data(), 3), 3);
}

}  // namespace
}  // namespace rankfold
