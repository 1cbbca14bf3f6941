#pragma once

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "source_paths.h"

namespace rankfold {

/// Values of scipy, statsmodels and numpy (tests/golden/analysis/ORIGIN.md).
inline const nlohmann::json& statistics_golden() {
  static const auto golden =
      nlohmann::json::parse(std::ifstream(RANKFOLD_GOLDEN_DIR "/analysis/statistics.json"));
  return golden;
}

inline constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

/// The largest difference of found from expected values: relative, or absolute for 0.
class Largest {
 public:
  explicit Largest(std::string name) : name_(std::move(name)) {}
  void add(double found, double expected) {
    ++count_;
    const double difference =
        expected == 0 ? std::abs(found) : std::abs(found - expected) / std::abs(expected);
    largest_ = std::isnan(difference) ? INFINITY : std::max(largest_, difference);
  }
  void expect_below(double bound) const {
    EXPECT_GT(count_, 0) << name_;
    EXPECT_LT(largest_, bound) << name_;
    ::testing::Test::RecordProperty(name_, nlohmann::json(largest_).dump());
  }

 private:
  std::string name_;
  int count_ = 0;
  double largest_ = 0;
};

}  // namespace rankfold
