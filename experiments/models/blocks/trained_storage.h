#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/host.h"

namespace rankfold {

/// The memory of a host's own trained tensor.
struct TrainedStorage {
  TrainedStorage(std::string tensor, std::vector<std::size_t> sizes,
                 const std::shared_ptr<const Device>& device)
      : name(std::move(tensor)), shape(std::move(sizes)) {
    const std::size_t size =
        std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
    value = {device, size};
    gradient = {device, size};
  }
  TrainedTensor tensor() {
    return {name, shape, {value.data(), value.size()}, {gradient.data(), gradient.size()}};
  }

  std::string name;
  std::vector<std::size_t> shape;
  Buffer<float> value, gradient;
};

}  // namespace rankfold
