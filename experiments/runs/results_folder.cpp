#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_reader.h"
#include "core/base/text.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Settings that have a member of ResultRow.
const std::set<std::string> members = {"task", "model",  "method",   "rank",
                                       "seed", "layers", "max-train"};

[[noreturn]] void refuse(const fs::path& file, std::string_view key, const json& found,
                         std::string_view expected) {
  throw Error("{}: {}: found {}, expected {}", file.string(), key,
              printable(found.dump(-1, ' ', true, json::error_handler_t::replace), 80), expected);
}

const json& object(const fs::path& file, const json& parent, const std::string& key) {
  const json& value = member(file, parent, key);
  if (!value.is_object()) refuse(file, key, value, "an object");
  return value;
}

std::optional<std::int64_t> count(const fs::path& file, const json& parent,
                                  const std::string& key) {
  const json& value = member(file, parent, key);
  if (value.is_null()) return std::nullopt;
  const auto number = parse_number<long long>(setting_text(value));
  if (!number || *number < 0) refuse(file, key, value, "a whole number, 0 or more");
  return *number;
}

std::string required_name(const fs::path& file, const json& settings, const std::string& key) {
  const std::string text = setting_text(member(file, settings, key));
  if (text.empty()) refuse(file, "settings." + key, member(file, settings, key), "a name");
  return text;
}

void take_score(const fs::path& file, const json& scores, ResultRow& row) {
  std::vector<std::string> measured;
  for (const auto& [metric, value] : scores.items()) {
    if (value.is_number()) measured.push_back(metric);
  }
  if (measured.empty()) refuse(file, "scores", scores, "at least one number");
  row.metric = main_metric(row.task, measured);
  row.score = scores.at(row.metric).get<double>();
  if (!std::isfinite(*row.score) || !score_is_possible(row.metric, *row.score)) {
    refuse(file, "scores." + row.metric, scores.at(row.metric), "a fraction between -1 and 1");
  }
}

/// What is told of the rows that were scored.
void take_scored(const fs::path& file, const json& run, ResultRow& row) {
  const json& constant = member(file, run, "constant_predictions");
  if (!constant.is_null() && !constant.is_boolean())
    refuse(file, "constant_predictions", constant, "true or false");
  row.constant_predictions = constant.is_boolean() && constant.get<bool>();
  const json& majority = member(file, run, "majority_scores");
  if (majority.is_null()) return;
  const json& score = member(file, majority, row.metric);
  if (score.is_null()) return;
  if (!score.is_number() || !score_is_possible(row.metric, score.get<double>()))
    refuse(file, "majority_scores." + row.metric, score, "a fraction between -1 and 1");
  row.majority_score = score.get<double>();
}

void take_fingerprints(const fs::path& file, const json& run, ResultRow& row) {
  const json& told = member(file, run, "fingerprints");
  if (told.is_null()) return;
  const std::string model = setting_text(member(file, told, "model"));
  if (!model.empty()) row.settings[model_fingerprint_key] = model;
  const std::string train = setting_text(member(file, told, "train")),
                    scored = setting_text(member(file, told, "scored"));
  if (!train.empty() || !scored.empty()) row.settings[data_fingerprint_key] = train + "/" + scored;
}

std::optional<double> measure(const fs::path& file, const json& run, const std::string& key) {
  const json& value = member(file, run, key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number() || !(value.get<double>() >= 0)) refuse(file, key, value, "0 or more");
  return value.get<double>();
}

}  // namespace

fs::path table_of(const fs::path& input, const std::vector<const char*>& tables) {
  std::error_code failure;
  if (fs::exists(input / "sweep.json", failure)) return input;
  for (const char* table : tables)
    if (fs::exists(input / table, failure)) return input / table;
  return input;
}

json read_document(const fs::path& file) {
  // The longest that training writes: an epoch has some ten values.
  return read_json<json>(file, {std::size_t{1} << 26, 64, 5'000'000});
}

const json& member(const fs::path& file, const json& parent, const std::string& key) {
  static const json nothing;
  if (!parent.is_object()) refuse(file, key, parent, "an object that holds it");
  const auto found = parent.find(key);
  return found == parent.end() ? nothing : *found;
}

std::string setting_text(const json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::vector<std::string> parts;
    for (const json& part : value) parts.push_back(setting_text(part));
    return join(parts, ",");
  }
  return value.dump(-1, ' ', true, json::error_handler_t::replace);
}

std::string model_name(const std::string& model) {
  const fs::path path(model);
  const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
  return name.empty() ? model : name.string();
}

ResultRow result_of_run(const fs::path& file, const json& run) {
  const json& settings = object(file, run, "settings");
  const json& parameters = object(file, run, "parameters");
  ResultRow row;
  row.origin = file.string();
  row.task = required_name(file, settings, "task");
  row.model = model_name(required_name(file, settings, "model"));
  row.method = required_name(file, settings, "method");
  const auto rank = normal_rank(setting_text(member(file, settings, "rank")));
  if (!rank) refuse(file, "settings.rank", settings.at("rank"), "a number or 8x8x4");
  row.rank = *rank;
  row.seed = setting_form("seed", setting_text(member(file, settings, "seed")));
  row.model_path = setting_text(member(file, settings, "model"));
  row.layers = setting_form("layers", setting_text(member(file, settings, "layers")));
  row.train_rows = count(file, settings, "max-train");
  if (row.train_rows == 0) row.train_rows.reset();
  row.adapted_layers = count(file, run, "adapted_layers");
  const auto adapter = count(file, parameters, "adapter");
  if (!adapter) refuse(file, "parameters.adapter", nullptr, "a whole number, 0 or more");
  row.parameters = *adapter;
  row.trainable = count(file, parameters, "trainable");
  row.train_seconds = measure(file, run, "train_seconds");
  row.tokens_per_second = measure(file, run, "tokens_per_second");
  row.peak_memory_mib = measure(file, run, "peak_memory_mib");
  take_fingerprints(file, run, row);
  if (setting_text(member(file, run, "status")) == "diverged") {
    row.score = std::nan("");
  } else {
    take_score(file, object(file, run, "scores"), row);
    take_scored(file, run, row);
  }
  for (const auto& [key, value] : settings.items()) {
    if (members.contains(key) || is_incidental_setting(key)) continue;
    row.settings[key] =
        key == "data" ? setting_text(value) : setting_form(key, setting_text(value));
  }
  return row;
}

Results read_results_folder(const fs::path& folder) {
  Results results;
  std::map<std::string, std::size_t> left_out;
  const FileSearch found = find_files(folder, "run.json");
  for (const fs::path& file : found.files) {
    const json run = read_document(file);
    const std::string status = setting_text(member(file, run, "status"));
    if (status == "done" || status == "diverged") {
      results.rows.push_back(result_of_run(file, run));
    } else {
      ++left_out[status.empty() ? "without a status" : status];
    }
  }
  for (const std::string& place : found.passed_over)
    results.notes.push_back(fmt::format("{}; passed over", place));
  note_left_out(folder, left_out, results.notes);
  if (results.rows.empty()) {
    throw Error("{}: found no run.json with status done below this folder{}", folder.string(),
                found.passed_over.empty()
                    ? ""
                    : fmt::format(" ({}; passed over)", found.passed_over.front()));
  }
  return results;
}

}  // namespace rankfold
