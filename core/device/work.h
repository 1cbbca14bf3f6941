#pragma once

#include <chrono>

#include "core/device/device.h"

namespace rankfold {

/// Reports the time until its end to `device.record` as one kind of work. For the calling thread
/// outside parallel regions; costs two readings of the clock where nobody listens.
class WorkTimer {
 public:
  WorkTimer(const Device& device, Work work)
      : device_(device), work_(work), start_(std::chrono::steady_clock::now()) {}
  ~WorkTimer() {
    device_.record(
        work_, std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }
  WorkTimer(const WorkTimer&) = delete;
  WorkTimer& operator=(const WorkTimer&) = delete;

 private:
  const Device& device_;
  Work work_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace rankfold
