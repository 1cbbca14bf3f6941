#pragma once

#include <omp.h>

#include <cstddef>

#include "core/device/arena.h"

namespace rankfold {

/// `size` floats of scratch for each thread of a parallel region, from an arena; no two threads
/// share a cache line.
class ThreadRows {
 public:
  ThreadRows(Arena& arena, std::size_t size)
      : size_(whole_lines(size)),
        data_(arena.take(size_ * static_cast<std::size_t>(omp_get_max_threads()))) {}

  /// That of the calling thread.
  float* mine() const { return data_ + size_ * static_cast<std::size_t>(omp_get_thread_num()); }

 private:
  std::size_t size_;
  float* data_;
};

}  // namespace rankfold
