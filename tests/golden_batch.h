#pragma once

#include <filesystem>

#include "core/base/safetensors.h"
#include "experiments/models/host.h"

namespace rankfold {

/// The inputs of a golden model's io.safetensors, packed: padding left out.
inline Batch read_golden_batch(const std::filesystem::path& model) {
  const SafetensorsFile file(model / "io.safetensors");
  const auto ids = file.read<std::int64_t>("input_ids");
  std::vector<std::int64_t> types(ids.size());
  if (file.find("token_type_ids")) types = file.read<std::int64_t>("token_type_ids");
  const auto mask = file.read<std::int64_t>("attention_mask");
  const auto labels = file.read<std::int64_t>("labels");
  // Of a language model, one a token.
  const bool of_tokens = labels.size() == ids.size();
  const std::size_t columns = file.at("input_ids").shape.at(1);
  Batch batch;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (i % columns == 0) batch.starts.push_back(batch.ids.size());
    if (mask[i] == 0) continue;
    batch.ids.push_back(static_cast<std::int32_t>(ids[i]));
    batch.type_ids.push_back(static_cast<std::int32_t>(types[i]));
    if (of_tokens) batch.targets.push_back(static_cast<std::int32_t>(labels[i]));
  }
  batch.starts.push_back(batch.ids.size());
  if (of_tokens) return batch;
  for (const std::int64_t label : labels) batch.labels.push_back(static_cast<float>(label));
  return batch;
}

}  // namespace rankfold
