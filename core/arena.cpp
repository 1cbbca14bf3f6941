#include "core/arena.h"

#include <algorithm>
#include <numeric>

namespace rankfold {
namespace {

constexpr std::size_t alignment = 16;  // floats in a cache line

std::size_t rounded(std::size_t size) {
  return (size + alignment - 1) / alignment * alignment;
}

}  // namespace

float* Arena::take(std::size_t size) {
  size = rounded(size);
  while (block_ < blocks_.size() && used_ + size > blocks_[block_].size()) {
    ++block_;
    used_ = 0;
  }
  if (block_ == blocks_.size())
    blocks_.emplace_back(backend_, std::max(size, rounded(capacity() / 4)));
  float* memory = blocks_[block_].data() + used_;
  used_ += size;
  return memory;
}

void Arena::release(Mark mark) {
  block_ = mark.block;
  used_ = mark.used;
}

void Arena::reset() {
  if (blocks_.size() > 1) {
    const std::size_t all = capacity();
    blocks_.clear();
    blocks_.emplace_back(backend_, all);
  }
  release({});
}

std::size_t Arena::capacity() const {
  return std::accumulate(
      blocks_.begin(), blocks_.end(), std::size_t{0},
      [](std::size_t sum, const Buffer<float>& block) { return sum + block.size(); });
}

}  // namespace rankfold
