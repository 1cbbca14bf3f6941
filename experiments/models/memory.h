#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "core/backend.h"

namespace rankfold {

/// Scratch that only grows: after its largest use it allocates no more.
class Memory {
 public:
  explicit Memory(std::shared_ptr<const Backend> backend) : backend_(std::move(backend)) {}

  /// At least `size` floats; their values are unspecified when it had to grow.
  float* reserve(std::size_t size) {
    if (size > buffer_.size()) {
      // Given back first, so that both never exist together.
      buffer_ = Buffer<float>();
      buffer_ = Buffer<float>(backend_, size);
    }
    return buffer_.data();
  }
  /// What reserve returned last.
  float* data() { return buffer_.data(); }
  MatrixView<float> matrix(std::size_t rows, std::size_t columns) {
    return {reserve(rows * columns), rows, columns};
  }

 private:
  std::shared_ptr<const Backend> backend_;
  Buffer<float> buffer_;
};

}  // namespace rankfold
