#pragma once

#include <filesystem>

#include "core/base/safetensors.h"
#include "experiments/models/reference_batch.h"

namespace rankfold {

/// The inputs of a golden model's io.safetensors, packed: padding left out.
inline Batch read_golden_batch(const std::filesystem::path& model) {
  return read_reference_batch(SafetensorsFile(model / "io.safetensors")).batch;
}

}  // namespace rankfold
