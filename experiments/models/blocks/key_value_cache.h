#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "core/device/buffer.h"
#include "core/device/device.h"

namespace rankfold {

/// Keys and values that a sequence's tokens so far have in each layer: what further tokens attend
/// to. In the device's memory.
class KeyValueCache {
 public:
  /// Room for `room` tokens of `width` numbers a key, and a value.
  KeyValueCache(std::size_t layers, std::size_t width, std::size_t room,
                const std::shared_ptr<const Device>& device)
      : device_(device), width_(width), room_(room) {
    for (std::size_t i = 0; i < 2 * layers; ++i) buffers_.emplace_back(device, room * width);
  }

  const Device& device() const { return *device_; }
  std::size_t layers() const { return buffers_.size() / 2; }
  std::size_t width() const { return width_; }
  std::size_t room() const { return room_; }
  std::size_t tokens() const { return tokens_; }
  /// Says that every layer has so many more keys and values.
  void add_tokens(std::size_t count) { tokens_ += count; }

  /// The rows of the first `count` tokens.
  MatrixView<float> keys(std::size_t layer, std::size_t count) {
    return {buffers_[2 * layer].data(), count, width_};
  }
  MatrixView<float> values(std::size_t layer, std::size_t count) {
    return {buffers_[2 * layer + 1].data(), count, width_};
  }

 private:
  std::shared_ptr<const Device> device_;
  std::size_t width_, room_, tokens_ = 0;
  std::vector<Buffer<float>> buffers_;
};

}  // namespace rankfold
