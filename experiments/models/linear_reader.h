#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <vector>

#include "core/device/device.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/shapes.h"

namespace rankfold {

/// Reads the linear layers of a family's sites from where its checkpoints have them: see
/// stored_matrix and stored_bias.
class LinearReader {
 public:
  /// Products run in bfloat16 where asked for. The weights outlive what is read.
  LinearReader(const ModelShape& shape, FrozenWeights& weights,
               std::shared_ptr<const Device> device, bool bfloat16);

  /// All sites of a layer: in_proj, q, k, v, o, gate, up, down, as far as it has them. Of a fused
  /// weight and its parts only those are prepared that compute: see HostLinear. Throws Error as
  /// FrozenWeights::tensor does.
  std::vector<HostLinear> read_layer(std::size_t layer);
  /// The site of this type in a layer; none where the family has no such module.
  std::optional<HostLinear> read_module(MatrixType type, std::size_t layer);

 private:
  FrozenLinear<float> read_frozen(const Site& site);
  const float* read_bias(const Site& site);

  ModelShape shape_;
  SiteCatalogue catalogue_;
  FrozenWeights& weights_;
  std::shared_ptr<const Device> device_;
  bool bfloat16_;
};

}  // namespace rankfold
