#include "experiments/models/blocks/rotary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/device/test_device.h"

namespace rankfold {
namespace {

using Scaling = RotarySettings::Scaling;

std::vector<double> frequencies(const RotarySettings& settings, std::size_t length = 1) {
  const std::vector<float> found = rotary_frequencies(settings, length);
  return {found.begin(), found.end()};
}

RotarySettings of_scaling(Scaling scaling, double factor, std::size_t trained_positions) {
  RotarySettings settings;
  settings.head_dim = 16;
  settings.scaling = scaling;
  settings.factor = factor;
  settings.trained_positions = trained_positions;
  return settings;
}

testing::Matcher<std::vector<double>> near(const std::vector<double>& expected) {
  std::vector<testing::Matcher<double>> each;
  for (const double value : expected) each.push_back(testing::DoubleNear(value, 2e-7 * value));
  return testing::ElementsAreArray(each);
}

// The numbers are those of transformers' formulas, evaluated apart.
TEST(Rotary, HasTheFrequenciesOfItsScaling) {
  const std::vector<double> plain = {1,    0.31622776601683794,  0.1,   0.03162277660168379,
                                     0.01, 0.003162277660168379, 0.001, 0.00031622776601683794};
  std::vector<double> halves;
  for (const double value : plain) halves.push_back(value / 2);
  EXPECT_THAT(frequencies(of_scaling(Scaling::none, 1, 64)), near(plain));
  EXPECT_THAT(frequencies(of_scaling(Scaling::linear, 2, 64)), near(halves));
  EXPECT_THAT(frequencies(of_scaling(Scaling::llama3, 8, 1024)),
              near({1, 0.31622776601683794, 0.1, 0.03162277660168379, 0.003086760967011274,
                    0.0003952847075210474, 0.000125, 3.952847075210474e-05}));
  RotarySettings yarn = of_scaling(Scaling::yarn, 4, 4096);
  EXPECT_THAT(frequencies(yarn), near({1, 0.31622776601683794, 0.1, 0.02569350598886808, 0.00625,
                                       0.0013834964763236657, 0.00025, 7.905694150420948e-05}));
  yarn.whole_pairs = false;
  EXPECT_THAT(frequencies(yarn),
              near({1, 0.31622776601683794, 0.1, 0.02861360881198889, 0.006556971521129435,
                    0.0012856320307266878, 0.00025, 7.905694150420948e-05}));
}

TEST(Rotary, StretchesByTheLengthBeyondTheTrainedPositions) {
  const RotarySettings dynamic = of_scaling(Scaling::dynamic, 2, 64);
  EXPECT_EQ(frequencies(dynamic, 64), frequencies(of_scaling(Scaling::none, 1, 64)));
  EXPECT_EQ(frequencies(dynamic, 3), frequencies(dynamic, 64));
  EXPECT_THAT(
      frequencies(dynamic, 100),
      near({1, 0.2839451388482507, 0.08062484187555236, 0.02289303192097197, 0.0065003651274578205,
            0.0018457470786803376, 0.0005240909105346416, 0.0001488130663608649}));
}

TEST(Rotary, TablesGrowWithTheLongestSequence) {
  for (const auto& device : {make_cpu_device(), make_test_device()})
    for (const Scaling scaling : {Scaling::none, Scaling::dynamic}) {
      RotarySettings settings = of_scaling(scaling, 2, 64);
      settings.magnitude = 1.5;
      RotaryTable table(settings, device);
      for (const std::size_t length : {3, 200, 100}) {
        const TurnTable found = table.of_length(length);
        ASSERT_EQ(found.half, 8u);
        const std::vector<float> angles = rotary_frequencies(settings, length);
        const HostRead<float> cosines(*device, found.cosines, length * 8),
            sines(*device, found.sines, length * 8);
        for (std::size_t i = 0; i < length * 8; ++i) {
          const double angle = static_cast<float>(i / 8) * angles[i % 8];
          EXPECT_NEAR(cosines[i], 1.5 * std::cos(angle), 1e-6);
          EXPECT_NEAR(sines[i], 1.5 * std::sin(angle), 1e-6);
        }
      }
    }
}

}  // namespace
}  // namespace rankfold
