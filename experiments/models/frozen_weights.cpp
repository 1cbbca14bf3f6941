#include "experiments/models/frozen_weights.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/memory_error.h"
#include "core/base/random.h"
#include "core/base/text.h"
#include "core/device/row_kernels.h"

namespace rankfold {
namespace {

/// Of end ".weight": "...LayerNorm.weight", "...input_layernorm.weight", "...ln_1.weight".
bool is_of_a_norm(std::string_view name, std::string_view end) {
  if (!name.ends_with(end)) return false;
  name.remove_suffix(end.size());
  const std::string_view module = name.substr(name.rfind('.') + 1);
  return module.ends_with("norm") || module.ends_with("Norm") || module.starts_with("ln_");
}

}  // namespace

std::string older_name(std::string_view name) {
  const auto replaced = [&](std::string_view end, std::string_view other) {
    return std::string(name.substr(0, name.size() - end.size())).append(other);
  };
  if (is_of_a_norm(name, ".weight")) return replaced(".weight", ".gamma");
  if (is_of_a_norm(name, ".bias")) return replaced(".bias", ".beta");
  return "";
}

FrozenWeights::FrozenWeights(const std::filesystem::path& folder, std::string prefix,
                             std::shared_ptr<const Device> device,
                             std::shared_ptr<ReplacedTensors> replaced)
    : device_(std::move(device)),
      folder_(folder),
      prefix_(std::move(prefix)),
      replaced_(std::move(replaced)) {}

FrozenWeights::FrozenWeights(std::uint64_t random_seed, std::shared_ptr<const Device> device)
    : device_(std::move(device)), random_(random_period) {
  RandomStream(random_seed, "random weights").fill_normal(std::span(random_), 0.0, 0.02);
}

const TensorEntry* FrozenWeights::find(std::string_view name) {
  const TensorEntry* const stored = find_stored(name);
  const ReplacedTensors::Tensor* const replaced = find_replaced(name);
  return replaced ? &replaced->entry : stored;
}

const TensorEntry* FrozenWeights::find_stored(std::string_view name) {
  if (!folder_) return nullptr;
  const auto looked_up = [&](std::string_view spelling) {
    const TensorEntry* entry = folder_->find(spelling);
    if (entry) asked_for_.insert(entry->name);
    return entry;
  };
  for (const std::string& spelling : {std::string(name), older_name(name)}) {
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

std::span<const float> FrozenWeights::read(std::string_view name,
                                           const std::vector<std::size_t>& shape) {
  const TensorEntry* entry = find(name);
  if (!entry)
    throw Error("{}: tensor {} is missing, expected shape [{}]", folder_->path().string(), name,
                fmt::join(shape, ", "));
  const ReplacedTensors::Tensor* const replaced = find_replaced(name);
  const std::string culprit =
      fmt::format("{}: tensor {}", replaced ? replaced_->source() : folder_->path().string(),
                  printable(entry->name, 200));
  if (entry->shape != shape)
    throw Error("{}: shape is [{}], expected [{}]", culprit, fmt::join(entry->shape, ", "),
                fmt::join(shape, ", "));
  const float* values = replaced ? replaced->values.data() : folder_->f32_data(entry->name);
  if (!values) {
    with_memory_for(culprit, entry->elements() * sizeof(float),
                    [&] { converted_.push_back(folder_->read<float>(entry->name)); });
    values = converted_.back().data();
    folder_->release(entry->name);
  }
  const std::span<const float> all(values, entry->elements());
  check_finite(all, culprit);
  elements_ += all.size();
  return all;
}

const float* FrozenWeights::frozen(std::string_view name, const std::vector<std::size_t>& shape) {
  if (!folder_)
    return keep(drawn(
        name, std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>())));
  return place_on_device(device_, read(name, shape), placed_);
}

const float* FrozenWeights::tensor(std::string_view name, const std::vector<std::size_t>& shape) {
  if (!trained_) return frozen(name, shape);
  if (const float* const known = trained_->find(name)) return known;
  const std::size_t converted = converted_.size(), placed = placed_.size();
  const float* const values = trained_->add(name, shape, frozen(name, shape));
  forget_since(converted, placed, name);
  return values;
}

const float* FrozenWeights::frozen(std::string_view name, const std::vector<std::size_t>& shape,
                                   std::span<const std::size_t> rows) {
  const float* const values = frozen(name, shape);
  if (rows.empty()) return values;
  if (rows.size() != shape.at(0) ||
      std::ranges::any_of(rows, [&](std::size_t row) { return row >= shape[0]; }))
    throw Error("tensor {}: asked for rows [{}], expected {} below {}", name, fmt::join(rows, ", "),
                shape[0], shape[0]);
  const std::size_t width =
      std::accumulate(shape.begin() + 1, shape.end(), std::size_t{1}, std::multiplies<>());
  return gather({values, shape[0], width}, rows);
}

const float* FrozenWeights::transposed(std::string_view name, std::size_t rows,
                                       std::size_t columns) {
  if (const auto known = transposed_.find(name); known != transposed_.end()) return known->second;
  const std::size_t converted = converted_.size(), placed = placed_.size();
  const float* values = keep(folder_ ? turned(name, rows, columns) : drawn(name, rows * columns));
  if (trained_) {
    values = trained_->add(name, {columns, rows}, values, true);
    forget_since(converted, placed, name);
  }
  transposed_.emplace(name, values);
  return values;
}

std::vector<float> FrozenWeights::turned(std::string_view name, std::size_t rows,
                                         std::size_t columns) {
  const std::size_t before = converted_.size();
  const std::span<const float> stored = read(name, {columns, rows});
  std::vector<float> values = with_memory_for(
      fmt::format("{}: tensor {}", folder_->path().string(), name), stored.size() * sizeof(float),
      [&] { return std::vector<float>(stored.size()); });
  // Tiles, whose lines stay in the cache.
  constexpr std::size_t tile = 32;
  by_parts(rows, tile, [&](std::size_t first, std::size_t count) {
    for (std::size_t begin = 0; begin < columns; begin += tile)
      for (std::size_t i = first; i < first + count; ++i)
        for (std::size_t j = begin; j < std::min(begin + tile, columns); ++j)
          values[i * columns + j] = stored[j * rows + i];
  });
  forget_since(before, placed_.size(), name);
  return values;
}

/// Nobody reads the stored values of this tensor again, nor what was made of them since.
void FrozenWeights::forget_since(std::size_t converted, std::size_t placed,
                                 std::string_view name) {
  if (folder_ && converted_.size() == converted) release(name);
  converted_.resize(converted);
  placed_.resize(placed);
}

const float* FrozenWeights::put_together(std::size_t size, std::vector<VectorPart> parts) {
  if (trained_) return trained_->put_together(size, std::move(parts));
  std::vector<float> whole(size);
  for (const VectorPart& part : parts) {
    const HostRead<float> values(*device_, part.values, part.rows.size());
    for (std::size_t i = 0; i < part.rows.size(); ++i) whole[part.rows[i]] = values[i];
  }
  return keep(std::move(whole));
}

const float* FrozenWeights::keep(std::vector<float> values) {
  const std::vector<float>& kept = converted_.emplace_back(std::move(values));
  return place_on_device(device_, std::span<const float>(kept), placed_);
}

const float* FrozenWeights::gather(MatrixView<const float> values,
                                   std::span<const std::size_t> rows) {
  Buffer<float>& kept = placed_.emplace_back(device_, rows.size() * values.columns);
  device_->gather_rows(values, rows, {kept.data(), rows.size(), values.columns});
  return kept.data();
}

void FrozenWeights::release(std::string_view name) {
  if (is_replaced(name)) return;
  if (const TensorEntry* entry = find(name)) folder_->release(entry->name);
}

bool FrozenWeights::differ(std::string_view first, std::string_view second) {
  if (!folder_) return false;
  const TensorEntry *a = find(first), *b = find(second);
  if (!a || !b) return false;
  if (a->shape != b->shape) return true;
  // Copies are the rule: no numbers are formed to see that.
  const bool are_copies =
      a->type == b->type && std::ranges::equal(folder_->bytes(a->name), folder_->bytes(b->name));
  return !are_copies && folder_->read<float>(a->name) != folder_->read<float>(b->name);
}

std::string FrozenWeights::unused_note(
    const std::string& model, const std::function<bool(std::string_view name)>& is_expected) const {
  std::vector<std::string> names = unused();
  std::erase_if(names, is_expected);
  if (names.empty()) return "";
  return fmt::format("{}: the checkpoint has {} that no part of the model reads: {}", model,
                     names.size() == 1 ? "a tensor" : fmt::format("{} tensors", names.size()),
                     printable(join(names, ", "), 300));
}

/// work(first, count) for parts of 0 .. size - 1, by all lanes of the device.
void FrozenWeights::by_parts(std::size_t size, std::size_t part,
                             const std::function<void(std::size_t, std::size_t)>& work) const {
  const std::size_t lanes = device_->lanes();
  device_->run_lanes(lanes, [&](std::size_t lane) {
    for (std::size_t begin = lane * part; begin < size; begin += lanes * part)
      work(begin, std::min(part, size - begin));
  });
}

void FrozenWeights::check_finite(std::span<const float> values, const std::string& culprit) const {
  std::atomic<bool> finite = true;
  by_parts(values.size(), 1 << 16, [&](std::size_t begin, std::size_t count) {
    if (!is_finite_row(count, values.data() + begin)) finite = false;
  });
  if (finite) return;
  const auto found = std::ranges::find_if_not(values, [](float x) { return std::isfinite(x); });
  throw Error("{}: element {} is {}, expected finite numbers", culprit, found - values.begin(),
              *found);
}

std::vector<float> FrozenWeights::drawn(std::string_view name, std::size_t size) {
  elements_ += size;
  std::vector<float> values(size);
  if (is_of_a_norm(name, ".weight")) {
    std::ranges::fill(values, 1.0f);
  } else if (!name.ends_with(".bias")) {
    const std::size_t shift = fnv1a(name) % random_period;
    by_parts(size, random_period, [&](std::size_t begin, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i)
        values[begin + i] = random_[(shift + i) % random_period];
    });
  }
  return values;
}

}  // namespace rankfold
