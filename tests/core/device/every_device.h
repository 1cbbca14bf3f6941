#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/device/device.h"
#include "core/device/test_device.h"

namespace rankfold {

/// Runs a test on every implementation of Device that this machine has: what an operation leaves is
/// compared with loops of the test's own.
class EveryDevice : public testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<const Device> device =
      GetParam() == "test" ? make_test_device() : make_cpu_device();

  template <class T>
  Buffer<T> put(const std::vector<T>& values) const {
    return Buffer<T>(device, std::span<const T>(values));
  }
  template <class T>
  static std::vector<T> get(const Buffer<T>& buffer) {
    const HostRead<T> values(buffer);
    return {values.begin(), values.end()};
  }
  template <class T>
  static std::vector<T> random(std::size_t size, const std::string& purpose) {
    std::vector<T> values(size);
    RandomStream(5, purpose).fill_normal(std::span<T>(values), 0.0, 1.0);
    return values;
  }
  /// To rounding of sums of a few hundred numbers.
  template <class T>
  static void expect_close(const std::vector<T>& got, const std::vector<T>& expected) {
    ASSERT_EQ(got.size(), expected.size());
    const T tolerance = sizeof(T) == 4 ? T(2e-5) : T(1e-13);
    for (std::size_t i = 0; i < got.size(); ++i)
      ASSERT_NEAR(got[i], expected[i], tolerance * (1 + std::abs(expected[i]))) << "at " << i;
  }
  /// Runs `check` with a zero of each precision.
  template <class Check>
  static void in_both_precisions(const Check& check) {
    check(0.0f);
    check(0.0);
  }
};

/// The activation at x, in double.
inline double function_of(HiddenActivation activation, double x) {
  switch (activation) {
    case HiddenActivation::gelu:
      return 0.5 * x * std::erfc(-x / std::sqrt(2.0));
    case HiddenActivation::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case HiddenActivation::relu:
      return std::max(x, 0.0);
    case HiddenActivation::silu:
      return x / (1 + std::exp(-x));
    case HiddenActivation::tanh:
      return std::tanh(x);
  }
  return NAN;
}

}  // namespace rankfold
