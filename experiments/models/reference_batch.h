#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "core/base/safetensors.h"
#include "experiments/models/host.h"

namespace rankfold {

/// Inputs of another program, packed.
struct ReferenceBatch {
  Batch batch;
  std::vector<std::size_t> real;  ///< rows of the padded layout that are tokens
};

/// input_ids [sequences, length], attention_mask (ones, then zeros, in each row; all ones where it
/// is missing), token_type_ids (zeros where missing) and labels (none where missing) of a file.
/// Throws Error naming file and tensor where one is not as described.
ReferenceBatch read_reference_batch(const SafetensorsFile& file);

/// What a model folder and the logits of a reference file (2 labels where there are none) say of
/// the host that computes them, without dropout. Throws Error naming the file: logits that are none
/// of a classifier, a problem_type whose loss is not computed here.
HostSettings reference_settings(const std::filesystem::path& folder, const SafetensorsFile* file);

}  // namespace rankfold
