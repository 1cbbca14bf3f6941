#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/device/buffer.h"
#include "core/device/device.h"

namespace rankfold {

/// Keys and values that the tokens of sequences so far have in each layer: what further tokens
/// attend to. In the device's memory.
class KeyValueCache {
 public:
  /// Room for rooms[s] tokens of sequence s, of `width` numbers a key, and a value.
  KeyValueCache(std::size_t layers, std::size_t width, std::span<const std::size_t> rooms,
                const std::shared_ptr<const Device>& device)
      : device_(device), width_(width), starts_(1, 0), tokens_(rooms.size()) {
    for (const std::size_t room : rooms) starts_.push_back(starts_.back() + room);
    for (std::size_t i = 0; i < 2 * layers; ++i)
      buffers_.emplace_back(device, starts_.back() * width);
  }

  const Device& device() const { return *device_; }
  std::size_t layers() const { return buffers_.size() / 2; }
  std::size_t width() const { return width_; }
  std::size_t sequences() const { return tokens_.size(); }
  /// Of a sequence: its first row, how many it may have, and has.
  std::size_t start(std::size_t sequence) const { return starts_[sequence]; }
  std::size_t room(std::size_t sequence = 0) const {
    return starts_[sequence + 1] - starts_[sequence];
  }
  std::size_t tokens(std::size_t sequence = 0) const { return tokens_[sequence]; }
  /// Says that every layer has so many more keys and values of it.
  void add_tokens(std::size_t sequence, std::size_t count) { tokens_[sequence] += count; }

  /// The rows of all sequences.
  MatrixView<float> keys(std::size_t layer) { return rows(2 * layer); }
  MatrixView<float> values(std::size_t layer) { return rows(2 * layer + 1); }

 private:
  MatrixView<float> rows(std::size_t buffer) {
    return {buffers_[buffer].data(), starts_.back(), width_};
  }

  std::shared_ptr<const Device> device_;
  std::size_t width_;
  std::vector<std::size_t> starts_, tokens_;
  std::vector<Buffer<float>> buffers_;
};

}  // namespace rankfold
