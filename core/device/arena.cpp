#include "core/device/arena.h"

#include <algorithm>
#include <numeric>

namespace rankfold {

float* Arena::take(std::size_t size) {
  size = whole_lines(size);
  while (place_.block < blocks_.size() && place_.used + size > blocks_[place_.block].size) {
    ++place_.block;
    place_.used = 0;
  }
  if (place_.block == blocks_.size()) add_block(std::max(size, whole_lines(capacity() / 4)));
  float* memory = blocks_[place_.block].data + place_.used;
  place_.used += size;
  place_.total += size;
  largest_ = std::max(largest_, place_.total);
  return memory;
}

void Arena::reset() {
  if (blocks_.size() > 1) {
    release_blocks();
    // Some room for batches to come: pages never written cost nothing.
    add_block(largest_ + whole_lines(largest_ / 8));
  }
  release({});
}

std::size_t Arena::capacity() const {
  return std::accumulate(blocks_.begin(), blocks_.end(), std::size_t{0},
                         [](std::size_t sum, const Block& block) { return sum + block.size; });
}

void Arena::add_block(std::size_t size) {
  blocks_.reserve(blocks_.size() + 1);
  blocks_.push_back({static_cast<float*>(device_->allocate(size * sizeof(float))), size});
}

void Arena::release_blocks() {
  for (const Block& block : blocks_) device_->release(block.data);
  blocks_.clear();
}

}  // namespace rankfold
