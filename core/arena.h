#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/backend.h"

namespace rankfold {

/// The working memory of a training step: taken piece by piece, given back in reverse order. What a
/// step needed beyond the first block comes in further blocks; the next `reset` joins them into
/// one, so from the second step of a size on nothing is allocated.
class Arena {
 public:
  explicit Arena(std::shared_ptr<const Backend> backend) : backend_(std::move(backend)) {}

  /// `size` floats, 64-byte aligned, of unspecified value; valid until a release below it.
  float* take(std::size_t size);
  MatrixView<float> take_matrix(std::size_t rows, std::size_t columns) {
    return {take(rows * columns), rows, columns};
  }

  /// A place to go back to: everything taken after `mark` is given back by `release`.
  struct Mark {
    std::size_t block = 0, used = 0;
  };
  Mark mark() const { return {block_, used_}; }
  void release(Mark mark);
  /// Gives everything back and makes the memory one block.
  void reset();

  /// Floats held in all blocks.
  std::size_t capacity() const;

 private:
  std::shared_ptr<const Backend> backend_;
  std::vector<Buffer<float>> blocks_;
  std::size_t block_ = 0, used_ = 0;
};

}  // namespace rankfold
