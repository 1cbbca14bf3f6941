#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/safetensors.h"
#include "experiments/models/host.h"

namespace rankfold {

/// Inputs of another program, packed.
struct ReferenceBatch {
  Batch batch;
  std::size_t length = 0;         ///< of a row of the padded layout
  std::vector<std::size_t> real;  ///< tokens of the padded layout that are no padding
};

/// What stands before the names of each batch of a file: nothing where it has input_ids, "0.",
/// "1.",
/// ... where it has 0.input_ids and so on. Throws Error where it has neither.
std::vector<std::string> reference_prefixes(const SafetensorsFile& file);

/// input_ids [sequences, length], attention_mask (ones, then zeros, in each row; all ones where it
/// is missing), token_type_ids (zeros where missing) and labels (none where missing: one a
/// sequence, or one a token, -100 where left out) of a file. Throws Error naming file and tensor
/// where one is not as described.
ReferenceBatch read_reference_batch(const SafetensorsFile& file, const std::string& prefix = "");

/// What a model folder and the logits of a reference file ([sequences, labels] of a classifier,
/// [sequences, length, vocabulary] of a language model; null or none: as config.json says) say of
/// the host that computes them, without dropout. Throws Error naming the file: logits of another
/// shape, or of other labels than config.json tells; a problem_type whose loss is not computed
/// here.
HostSettings reference_settings(const std::filesystem::path& folder, const SafetensorsFile* file);

}  // namespace rankfold
