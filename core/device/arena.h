#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// The working memory of a training step: taken piece by piece, given back in reverse order. What a
/// step needed beyond the first block comes in further blocks; the next `reset` makes them one
/// with room for the most that was in use, so from the second step of a size on nothing is
/// allocated.
class Arena {
 public:
  explicit Arena(std::shared_ptr<const Device> device) : device_(std::move(device)) {}
  ~Arena() { release_blocks(); }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// `size` floats, 64-byte aligned, of unspecified value; valid until a release below it.
  float* take(std::size_t size);
  MatrixView<float> take_matrix(std::size_t rows, std::size_t columns) {
    return {take(rows * columns), rows, columns};
  }

  /// A place to go back to: everything taken after `mark` is given back by `release`.
  struct Mark {
    std::size_t block = 0, used = 0, total = 0;
  };
  Mark mark() const { return place_; }
  void release(Mark mark) { place_ = mark; }
  /// Gives everything back and makes the memory one block.
  void reset();

  const Device& device() const { return *device_; }
  /// Floats held in all blocks.
  std::size_t capacity() const;

 private:
  struct Block {
    float* data;
    std::size_t size;
  };
  void add_block(std::size_t size);
  void release_blocks();

  std::shared_ptr<const Device> device_;
  std::vector<Block> blocks_;
  Mark place_;
  std::size_t largest_ = 0;  ///< total in use
};

/// Gives back at its end what was taken meanwhile.
class ArenaScope {
 public:
  explicit ArenaScope(Arena& arena) : arena_(arena), mark_(arena.mark()) {}
  ~ArenaScope() { arena_.release(mark_); }
  ArenaScope(const ArenaScope&) = delete;
  ArenaScope& operator=(const ArenaScope&) = delete;

 private:
  Arena& arena_;
  Arena::Mark mark_;
};

}  // namespace rankfold
