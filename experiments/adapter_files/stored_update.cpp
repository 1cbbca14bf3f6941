#include "experiments/adapter_files/stored_update.h"

#include <cmath>

#include "core/adapter/added_bias.h"
#include "core/base/error.h"

namespace rankfold {

std::vector<std::size_t> stored_shape(const StoredMatrix& stored, const Site& site) {
  if (stored.transposed) return {site.in, stored.rows};
  return {stored.rows, site.in};
}

void add_update(const Adapter<float>& adapter, std::size_t index, const StoredMatrix& stored,
                float sign, std::span<float> weight) {
  const Site& site = adapter.stack().sites[index];
  std::vector<float> delta(site.out * site.in);
  adapter.reconstruct(index, MatrixView<float>(delta.data(), site.out, site.in));
  for (std::size_t i = 0; i < site.out; ++i)
    for (std::size_t j = 0; j < site.in; ++j) {
      const std::size_t row = stored.first_row + i;
      float& value = weight[stored.transposed ? j * stored.rows + row : row * site.in + j];
      value += sign * delta[i * site.in + j];
      if (!std::isfinite(value))
        throw Error("the weight {} is not finite with the update of method {}", site.name,
                    adapter.method());
    }
}

void add_bias_update(const Adapter<float>& adapter, std::size_t index, const StoredMatrix& stored,
                     float sign, std::span<float> bias) {
  const std::vector<float> added = added_bias(adapter, index);
  for (std::size_t i = 0; i < added.size(); ++i) bias[stored.first_row + i] += sign * added[i];
}

}  // namespace rankfold
