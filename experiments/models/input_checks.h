#pragma once

#include <filesystem>
#include <string>

namespace rankfold {

/// Throw Error in one wording where a run's model or data folder does not exist; where the model is
/// the name of a built-in shape, it says that a shape has no weights.
void check_model_folder(const std::filesystem::path& model);
void check_data_folder(const std::filesystem::path& data);

/// Throws Error in one wording where products of that precision ("f32", "bf16") cannot run here.
void check_precision(const std::string& precision);

}  // namespace rankfold
