#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device.h"

namespace rankfold {

/// How far a host model is from reference data.
struct ModelIoReport {
  /// Of each compared tensor: |computed - expected| / |expected| in the Euclidean norm (hidden
  /// states over real tokens only).
  std::map<std::string, double> errors;
  /// Reference tensors that were not compared: a host does not offer them (gradients of frozen
  /// biases), or the file has no labels for them.
  std::vector<std::string> skipped;
  /// What loading said.
  std::vector<std::string> notes;

  double worst() const;
};

/// Loads the model folder and compares it with `io`, a safetensors file with input_ids,
/// attention_mask (ones, then zeros, in each row), token_type_ids (optional), labels and any of
/// hidden.<k>, logits, loss, grad.<parameter>, all without dropout; several batches have 0., 1.,
/// ... before their names, and logits_last of the last token. Of a language model labels are one a
/// token
/// (-100: left out; without labels the tokens themselves), logits [sequences, length, vocabulary],
/// and greedy.ids the tokens that follow greedy.prompt, with it. Gradients of a site's dense weight
/// are those of the method `full`. Without `io` two sequences are run packed and one by one, and
/// their logits compared. Throws Error where a file or tensor is not as described, or nothing is
/// left to compare.
ModelIoReport check_model(const std::filesystem::path& folder,
                          const std::optional<std::filesystem::path>& io,
                          std::shared_ptr<const Device> device);

}  // namespace rankfold
