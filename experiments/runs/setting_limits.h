#pragma once

#include <cmath>

#include "experiments/runs/setting_spec.h"

// What numbers and counts of settings may be.

namespace rankfold::setting_limits {

/// More than any run has, and few enough that a product of two of them is a count.
constexpr double most = 1e9;

/// The distance of floats around 1 is 2^-23: what moves such a parameter by less than half of it
/// does not move it, and what changes a loss around 1 by less does not change it.
constexpr double half_float_step = 0x1p-24;

constexpr SettingLimit positive{[](double value) { return value > 0; }, "a positive number"};
constexpr SettingLimit not_negative{[](double value) { return value >= 0; }, "0 or more"};
constexpr SettingLimit below_one{[](double value) { return value >= 0 && value < 1; },
                                 "0 or more, below 1"};
constexpr SettingLimit any_count{[](double value) { return value <= most; },
                                 "at most 1,000,000,000"};
constexpr SettingLimit one_or_more{[](double value) { return value > 0 && value <= most; },
                                   "1 or more, at most 1,000,000,000"};
constexpr SettingLimit share_or_steps{
    [](double value) { return value >= 0 && (value < 1 || value == std::floor(value)); },
    "a share of the steps below 1, or a whole number of steps"};
constexpr SettingLimit thread_count{[](double value) { return value > 0 && value <= 4096; },
                                    "1 to 4096"};
constexpr SettingLimit probe_distance{[](double value) { return value >= half_float_step; },
                                      "at least 6e-8 (2^-24), by which a float of size 1 moves"};

}  // namespace rankfold::setting_limits
