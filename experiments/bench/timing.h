#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// The wall time of one call.
double seconds_of(const std::function<void()>& work);

/// The middle value, or the mean of the two middle ones. Throws Error where there is none.
double median(std::vector<double> values);

/// The square single-precision product of 2048 that a machine's rate is read from. It is far beyond
/// every cache and as near to the peak as BLAS comes.
class LargeProduct {
 public:
  explicit LargeProduct(std::shared_ptr<const Device> device);

  /// One product; returns its rate in FLOPs a second.
  double measure();

 private:
  static constexpr std::size_t size = 2048;
  std::shared_ptr<const Device> device_;
  Buffer<float> a_, b_, c_;
};

}  // namespace rankfold
