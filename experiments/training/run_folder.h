#pragma once

#include <filesystem>
#include <string>

#include "experiments/training/settings.h"

namespace rankfold {

/// Throw Error in one wording where a run's model or data folder does not exist; where the model is
/// the name of a built-in shape, it says that a shape has no weights.
void check_model_folder(const std::filesystem::path& model);
void check_data_folder(const std::filesystem::path& data);

/// Throws Error in one wording where products of that precision ("f32", "bf16") cannot run here.
void check_precision(const std::string& precision);

/// The first setting in which two identities differ, in the order of run_settings, as
/// "lr is 1e-3 there and 5e-4 here"; "" where they are the same.
std::string first_difference(const RunSettings& there, const RunSettings& here);

/// Makes a run's folder ready for a new attempt: it exists, can be written to, and holds no event
/// file, adapter or run.json of an earlier one. Throws Error naming it.
void prepare_run_folder(const std::filesystem::path& out);

}  // namespace rankfold
