#pragma once

#include <chrono>

#include "core/backend.h"

namespace rankfold {

/// Reports the time until its end to `backend.record` as one kind of work. For the calling thread
/// outside parallel regions; costs two readings of the clock where nobody listens.
class WorkTimer {
 public:
  WorkTimer(const Backend& backend, Work work)
      : backend_(backend), work_(work), start_(std::chrono::steady_clock::now()) {}
  ~WorkTimer() {
    backend_.record(
        work_, std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count());
  }
  WorkTimer(const WorkTimer&) = delete;
  WorkTimer& operator=(const WorkTimer&) = delete;

 private:
  const Backend& backend_;
  Work work_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace rankfold
