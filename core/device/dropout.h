#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/base/random.h"
#include "core/device/device.h"

namespace rankfold {

/// Inverted dropout at one place of a network in one step: an element is kept with probability
/// 1 - p and then divided by it. The masks are a function of (seed, place, step, row, column)
/// alone, so a backward draws them again instead of keeping them. p is rounded to a multiple of
/// 2^-16 (16 random bits an element; the scale is that of the rounded p).
class Dropout {
 public:
  /// No dropout: every factor is 1.
  Dropout();
  /// p in [0, 1).
  Dropout(double p, std::uint64_t seed, std::string_view place, std::uint64_t step);

  /// The same masks seen from row `first` on: row i of the result is row first + i of this.
  Dropout from_row(std::uint64_t first) const;

  bool active() const { return threshold_ > 0; }
  /// 1 / (1 - p).
  float scale() const { return scale_; }
  /// Factors of columns 0 .. width-1 of a row: 0 or scale(). `keep` holds padded_width(width).
  void factors(std::uint64_t row, std::size_t width, float* keep) const;
  static constexpr std::size_t padded_width(std::size_t width) { return (width + 7) / 8 * 8; }

 private:
  RandomStream stream_;
  std::uint64_t first_row_ = 0;
  std::uint32_t threshold_ = 0;
  float scale_ = 1;
};

/// x *= factors, row by row.
void apply_dropout(const Dropout& dropout, MatrixView<float> x, const Device& device);

}  // namespace rankfold
