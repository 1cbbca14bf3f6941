#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "core/adapter/adapter.h"
#include "experiments/models/shapes.h"

namespace rankfold {

/// The shape of the weight that holds a site's, as the checkpoint has it.
std::vector<std::size_t> stored_shape(const StoredMatrix& stored, const Site& site);

/// weight += sign * dW of site `index`, in its part of the stored weight. Throws Error naming the
/// site and the method where that is not finite.
void add_update(const Adapter<float>& adapter, std::size_t index, const StoredMatrix& stored,
                float sign, std::span<float> weight);
/// bias += sign * the bias that the adapter adds, in the site's part of the stored one.
void add_bias_update(const Adapter<float>& adapter, std::size_t index, const StoredMatrix& stored,
                     float sign, std::span<float> bias);

}  // namespace rankfold
