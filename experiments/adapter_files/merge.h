#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/adapter/registry.h"

namespace rankfold {

struct MergeResult {
  std::string method;
  std::size_t sites = 0;    ///< weights that changed
  std::size_t tensors = 0;  ///< in the file written
  std::uintmax_t bytes = 0;
  std::vector<std::string> left_out;  ///< see AdaptedModel::untrained: the head, where none is
};

/// Writes a plain model folder to `out`: every tensor of the checkpoint under its name, the sites'
/// weights as W + dW (float32), the trained head included, config.json with the task's labels (the
/// model's own without a head), the tokenizer's files copied. The tensor file's metadata note what
/// was merged, for unmerge. Throws Error where the method is no weight update (naming it), a weight
/// is not finite with it, where `out` exists and is not empty, or where model and adapter do not
/// belong together. Nothing is left behind when it fails.
MergeResult merge(const std::filesystem::path& model, const std::filesystem::path& adapter,
                  const std::filesystem::path& out, const Registry& registry);

struct UnmergeResult {
  std::string method;
  std::size_t sites = 0;             ///< weights that changed
  std::size_t tensors = 0;           ///< in the file written
  std::vector<std::string> dropped;  ///< tensors that the merge added: the head, where it was new
  std::vector<std::string> kept;  ///< trained tensors whose values before are lost: norms, a head
  std::vector<std::string> lost;  ///< tensors that the merge left out
  std::uintmax_t bytes = 0;
};

/// Writes the base model again from what merge wrote and the adapter that was merged: the sites'
/// weights as W' - dW (float32, to rounding), config.json as the base model had it, without the
/// tensors that merge added. Throws Error where `model` is not that adapter's merge (by the notes
/// in its metadata) or has changed since, where the update depends on the base weights, and where
/// `out` exists and is not empty. Nothing is left behind when it fails.
UnmergeResult unmerge(const std::filesystem::path& model, const std::filesystem::path& adapter,
                      const std::filesystem::path& out, const Registry& registry);

}  // namespace rankfold
