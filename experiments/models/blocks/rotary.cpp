#include "experiments/models/blocks/rotary.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

namespace rankfold {
namespace {

constexpr double two_pi = 2 * std::numbers::pi;
constexpr std::size_t fewest_positions = 64;

std::vector<float> plain_frequencies(const RotarySettings& settings, double theta) {
  std::vector<float> frequencies;
  for (std::size_t pair = 0; pair < settings.head_dim / 2; ++pair)
    frequencies.push_back(static_cast<float>(std::pow(
        theta, -2.0 * static_cast<double>(pair) / static_cast<double>(settings.head_dim))));
  return frequencies;
}

/// Slow turns are stretched by the factor, fast ones are left, those between by parts.
float stretched_by_speed(const RotarySettings& settings, double frequency) {
  const auto positions = static_cast<double>(settings.trained_positions);
  const double turns = positions * frequency / two_pi;
  if (turns < settings.low_frequency) return static_cast<float>(frequency / settings.factor);
  if (turns > settings.high_frequency) return static_cast<float>(frequency);
  const double share =
      (turns - settings.low_frequency) / (settings.high_frequency - settings.low_frequency);
  return static_cast<float>((1 - share) * frequency / settings.factor + share * frequency);
}

/// The pair, as a fraction, that turns so often in the trained positions.
double pair_of_turns(const RotarySettings& settings, double turns) {
  return static_cast<double>(settings.head_dim) *
         std::log(static_cast<double>(settings.trained_positions) / (turns * two_pi)) /
         (2 * std::log(settings.theta));
}

void stretch_by_ramp(const RotarySettings& settings, std::vector<float>& frequencies) {
  double low = pair_of_turns(settings, settings.fast_turns),
         high = pair_of_turns(settings, settings.slow_turns);
  if (settings.whole_pairs) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(settings.head_dim - 1));
  if (low == high) high += 0.001;
  for (std::size_t pair = 0; pair < frequencies.size(); ++pair) {
    const double stretched = std::clamp((static_cast<double>(pair) - low) / (high - low), 0.0, 1.0);
    const double frequency = frequencies[pair];
    frequencies[pair] =
        static_cast<float>(frequency / settings.factor * stretched + frequency * (1 - stretched));
  }
}

}  // namespace

std::vector<float> rotary_frequencies(const RotarySettings& settings, std::size_t length) {
  using Scaling = RotarySettings::Scaling;
  double theta = settings.theta;
  if (settings.scaling == Scaling::dynamic) {
    const auto trained = static_cast<double>(settings.trained_positions);
    const double longest = std::max(static_cast<double>(length), trained);
    const auto width = static_cast<double>(settings.head_dim);
    theta *=
        std::pow(settings.factor * longest / trained - (settings.factor - 1), width / (width - 2));
  }
  std::vector<float> frequencies = plain_frequencies(settings, theta);
  if (settings.scaling == Scaling::linear)
    for (float& frequency : frequencies) frequency /= static_cast<float>(settings.factor);
  if (settings.scaling == Scaling::llama3)
    for (float& frequency : frequencies) frequency = stretched_by_speed(settings, frequency);
  if (settings.scaling == Scaling::yarn) stretch_by_ramp(settings, frequencies);
  return frequencies;
}

TurnTable RotaryTable::of_length(std::size_t length) {
  const std::size_t half = settings_.head_dim / 2;
  const std::size_t scaled_for = settings_.scaling == RotarySettings::Scaling::dynamic
                                     ? std::max(length, settings_.trained_positions)
                                     : 0;
  if (length > positions_ || scaled_for != scaled_for_ || positions_ == 0) {
    positions_ = std::bit_ceil(std::max({length, positions_, fewest_positions}));
    scaled_for_ = scaled_for;
    const std::vector<float> frequencies = rotary_frequencies(settings_, length);
    cosines_ = {device_, positions_ * half};
    sines_ = {device_, positions_ * half};
    const HostWrite<float> cosines(cosines_), sines(sines_);
    for (std::size_t position = 0; position < positions_; ++position)
      for (std::size_t pair = 0; pair < half; ++pair) {
        // An angle is a float, as the networks were trained with.
        const double angle = static_cast<float>(position) * frequencies[pair];
        const std::size_t index = position * half + pair;
        cosines.span()[index] = static_cast<float>(std::cos(angle) * settings_.magnitude);
        sines.span()[index] = static_cast<float>(std::sin(angle) * settings_.magnitude);
      }
  }
  return {cosines_.data(), sines_.data(), half};
}

}  // namespace rankfold
