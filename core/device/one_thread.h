#pragma once

#include <omp.h>

#include "core/device/device.h"

namespace rankfold {

/// OpenMP and OpenBLAS on one thread for as long as it lives.
class OneThread {
 public:
  OneThread() : threads_(omp_get_max_threads()) { set_threads(1); }
  ~OneThread() { set_threads(threads_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;
  int threads() const { return threads_; }  ///< before and afterwards

 private:
  int threads_;
};

}  // namespace rankfold
