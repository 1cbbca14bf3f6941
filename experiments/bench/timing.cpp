#include "experiments/bench/timing.h"

#include <algorithm>
#include <utility>

#include "core/base/elapsed.h"
#include "core/base/error.h"

namespace rankfold {

double seconds_of(const std::function<void()>& work) {
  const auto start = Clock::now();
  work();
  return seconds_since(start);
}

double median(std::vector<double> values) {
  if (values.empty()) throw Error("median: got no values, expected at least 1");
  const std::size_t middle = values.size() / 2;
  std::ranges::sort(values);
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

LargeProduct::LargeProduct(std::shared_ptr<const Device> device)
    : device_(std::move(device)),
      a_(device_, size * size),
      b_(device_, size * size),
      c_(device_, size * size) {
  for (std::size_t i = 0; i < size * size; ++i) {
    a_.data()[i] = static_cast<float>(i % 1009) / 1009.0f - 0.5f;
    b_.data()[i] = static_cast<float>(i % 1013) / 1013.0f - 0.5f;
  }
  measure();
}

double LargeProduct::measure() {
  const double seconds = seconds_of([&] {
    device_->gemm(false, false, size, size, size, 1.0f, a_.data(), size, b_.data(), size, 0.0f,
                  c_.data(), size);
  });
  return 2.0 * size * size * size / seconds;
}

}  // namespace rankfold
