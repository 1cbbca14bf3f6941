#include "experiments/models/frozen_weights.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/random.h"
#include "core/device/row_kernels.h"

namespace rankfold {
namespace {

std::string replaced_end(std::string_view name, std::string_view end, std::string_view other) {
  return name.ends_with(end) ? std::string(name.substr(0, name.size() - end.size())).append(other)
                             : std::string();
}

void check_finite(const float* values, std::size_t size, const std::string& culprit) {
  constexpr std::size_t chunk = 1 << 16;
  bool finite = true;
#pragma omp parallel for schedule(static) reduction(&& : finite)
  for (std::size_t begin = 0; begin < size; begin += chunk)
    finite = is_finite_row(std::min(chunk, size - begin), values + begin) && finite;
  if (finite) return;
  const auto found =
      std::find_if_not(values, values + size, [](float x) { return std::isfinite(x); });
  throw Error("{}: element {} is {}, expected finite numbers", culprit, found - values, *found);
}

}  // namespace

FrozenWeights::FrozenWeights(const std::filesystem::path& folder, std::string prefix)
    : folder_(folder), prefix_(std::move(prefix)) {}

FrozenWeights::FrozenWeights(std::uint64_t random_seed) : random_(random_period) {
  RandomStream(random_seed, "random weights").fill_normal(std::span(random_), 0.0, 0.02);
}

const TensorEntry* FrozenWeights::find(std::string_view name) {
  if (!folder_) return nullptr;
  const auto looked_up = [&](std::string_view spelling) {
    const TensorEntry* entry = folder_->find(spelling);
    if (entry) asked_for_.insert(entry->name);
    return entry;
  };
  for (const std::string& spelling :
       {std::string(name), replaced_end(name, "LayerNorm.weight", "LayerNorm.gamma"),
        replaced_end(name, "LayerNorm.bias", "LayerNorm.beta")}) {
    if (spelling.empty()) continue;
    if (const TensorEntry* entry = looked_up(spelling)) return entry;
    if (!spelling.starts_with(prefix_)) continue;
    if (const TensorEntry* entry = looked_up(std::string_view(spelling).substr(prefix_.size())))
      return entry;
  }
  return nullptr;
}

std::vector<std::string> FrozenWeights::unused() const {
  std::vector<std::string> names;
  if (folder_)
    for (std::string& name : folder_->names())
      if (!asked_for_.contains(name)) names.push_back(std::move(name));
  return names;
}

const float* FrozenWeights::tensor(std::string_view name, const std::vector<std::size_t>& shape) {
  if (!folder_)
    return draw(name,
                std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>()));
  const TensorEntry* entry = find(name);
  if (!entry)
    throw Error("{}: tensor {} is missing, expected shape [{}]", folder_->path().string(), name,
                fmt::join(shape, ", "));
  const std::string culprit = fmt::format("{}: tensor {}", folder_->path().string(), entry->name);
  if (entry->shape != shape)
    throw Error("{}: shape is [{}], expected [{}]", culprit, fmt::join(entry->shape, ", "),
                fmt::join(shape, ", "));
  const float* values = folder_->f32_data(entry->name);
  if (!values) values = converted_.emplace_back(folder_->read<float>(entry->name)).data();
  check_finite(values, entry->elements(), culprit);
  elements_ += entry->elements();
  return values;
}

const float* FrozenWeights::draw(std::string_view name, std::size_t size) {
  elements_ += size;
  std::vector<float>& values = converted_.emplace_back(size);
  if (name.ends_with("LayerNorm.weight")) {
    std::ranges::fill(values, 1.0f);
  } else if (!name.ends_with(".bias")) {
    const std::size_t shift = fnv1a(name) % random_period;
#pragma omp parallel for schedule(static)
    for (std::size_t begin = 0; begin < size; begin += random_period)
      for (std::size_t i = 0; i < std::min(random_period, size - begin); ++i)
        values[begin + i] = random_[(shift + i) % random_period];
  }
  return values.data();
}

}  // namespace rankfold
