#pragma once

#include <algorithm>
#include <cstddef>

#include "core/device/cpu_scratch.h"
#include "core/device/dropout.h"

// Rows that the loops of the CPU's layers read beside a matrix.

namespace rankfold::cpu {

/// Scratch of the thread that calls an operation, and of those that share its rows.
inline constexpr std::size_t zero_slot = 0, one_slot = 1, drawn_slot = 2, sum_slot = 3;

inline const float* row_of(std::size_t slot, std::size_t width, float value) {
  float* row = thread_scratch(slot, width);
  std::fill_n(row, width, value);
  return row;
}

/// The factors of one row after another; of ones where nothing is dropped.
class RowFactors {
 public:
  RowFactors(const Dropout& dropout, std::size_t width)
      : dropout_(dropout),
        width_(width),
        ones_(dropout.active() ? nullptr : row_of(one_slot, width, 1.0f)) {}
  const float* of_row(std::size_t i) const {
    if (ones_) return ones_;
    float* drawn = thread_scratch(drawn_slot, Dropout::padded_width(width_));
    dropout_.factors(i, width_, drawn);
    return drawn;
  }

 private:
  const Dropout& dropout_;
  std::size_t width_;
  const float* ones_;
};

}  // namespace rankfold::cpu
