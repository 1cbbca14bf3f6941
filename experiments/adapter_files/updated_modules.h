#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/base/safetensors.h"
#include "experiments/models/shapes.h"

namespace rankfold {

/// The tensors of a checkpoint that an adapter's updates change, in the checkpoint's own layout:
/// sites may be rows of a fused module, and modules may lie transposed (see stored_matrix).
class UpdatedModules {
 public:
  /// The numbers of a tensor of that name and shape, before the update.
  using Read = std::function<std::vector<float>(const std::string& name,
                                                const std::vector<std::size_t>& shape)>;
  UpdatedModules(const ModelShape& shape, Read read)
      : shape_(shape), catalogue_(catalogue(shape)), read_(std::move(read)) {}

  /// W + sign * dW of a site, and bias + sign * the bias that the adapter adds, in float32. Throws
  /// Error naming the site where the model has none of its name and shape, a number is not finite,
  /// or a bias has no place.
  void add(const Adapter<float>& adapter, std::size_t index, float sign);

  /// The tensors so far; their values live as long as this object.
  std::vector<TensorToWrite> list() const;

 private:
  struct Values {
    std::vector<std::size_t> shape;
    std::vector<float> values;
  };
  const Site& find_site(const Site& site) const;
  std::vector<float>& values_of(const std::string& name, const std::vector<std::size_t>& shape);

  const ModelShape& shape_;
  SiteCatalogue catalogue_;
  Read read_;
  std::map<std::string, Values> tensors_;
};

/// Throws UsageError naming method and site where an adapter trains a bias for an output that has
/// none in the model (DeBERTa's keys, Llama): no checkpoint could hold it.
void expect_places_for_biases(const Adapter<float>& adapter, const ModelShape& shape);

}  // namespace rankfold
