#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "core/method.h"

namespace rankfold {

struct MergeResult {
  std::string method;
  std::size_t sites = 0;    ///< weights that changed
  std::size_t tensors = 0;  ///< in the file written
  std::uintmax_t bytes = 0;
};

/// Writes a plain model folder to `out`: every tensor of the checkpoint under its name, the sites'
/// weights as W + dW (float32), the trained head included, config.json with the task's labels, the
/// tokenizer's files copied. Throws Error where the method is no weight update (naming it), where
/// `out` exists and is not empty, or where model and adapter do not belong together. Nothing is
/// left behind when it fails.
MergeResult merge(const std::filesystem::path& model, const std::filesystem::path& adapter,
                  const std::filesystem::path& out, const Registry& registry);

}  // namespace rankfold
