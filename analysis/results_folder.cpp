#include <algorithm>
#include <cmath>
#include <cstdio>
#include <set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/results.h"
#include "analysis/run_file.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace rankfold {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/// Settings that have a member of ResultRow or say where and how, not what, was run.
const std::set<std::string> not_telling_runs_apart = {
    "task",  "model",   "method",    "rank",           "seed",      "layers",     "data",
    "out",   "threads", "jobs",      "json",           "adapter",   "kind",       "plugin",
    "slurm", "labels",  "max-train", "cache-features", "cache-dir", "cache-limit"};

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

std::optional<double> measure(const fs::path& file, const json& run, const std::string& key) {
  const json& value = member(file, run, key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number() || !(value.get<double>() >= 0)) refuse(file, key, value, "0 or more");
  return value.get<double>();
}

}  // namespace

std::vector<fs::path> files_below(const fs::path& folder, const std::string& name) {
  std::vector<fs::path> files;
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.path().filename() == name && entry.is_regular_file()) files.push_back(entry.path());
    }
  } catch (const fs::filesystem_error& failure) {
    throw Error("{}: cannot be searched: {}", folder.string(), failure.code().message());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path table_of(const fs::path& input, const std::vector<const char*>& tables) {
  std::error_code failure;
  if (fs::exists(input / "sweep.json", failure)) return input;
  for (const char* table : tables)
    if (fs::exists(input / table, failure)) return input / table;
  return input;
}

json read_document(const fs::path& file) {
  constexpr int deepest = 64;
  const auto limit = [&](int depth, json::parse_event_t, json&) {
    if (depth > deepest) throw Error("{}: is nested deeper than {} levels", file.string(), deepest);
    return true;
  };
  json document = json::parse(read_text(file), limit, false);
  if (document.is_discarded()) throw Error("{}: is not valid JSON", file.string());
  return document;
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
  row.seed = setting_text(member(file, settings, "seed"));
  row.layers = setting_text(member(file, settings, "layers"));
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
  if (setting_text(member(file, run, "status")) == "diverged") {
    row.score = std::nan("");
  } else {
    take_score(file, object(file, run, "scores"), row);
  }
  for (const auto& [key, value] : settings.items()) {
    if (!not_telling_runs_apart.contains(key)) row.settings[key] = setting_text(value);
  }
  return row;
}

void name_metrics_of_diverged(std::vector<ResultRow>& rows) {
  std::map<std::string, std::vector<std::string>> measured;
  for (const ResultRow& row : rows) {
    if (!row.metric.empty()) measured[row.task].push_back(row.metric);
  }
  for (ResultRow& row : rows) {
    if (!row.metric.empty()) continue;
    row.metric = main_metric(row.task, measured[row.task]);
    if (row.metric.empty()) row.metric = "score";
  }
}

std::vector<ResultRow> read_results_folder(const fs::path& folder) {
  std::vector<ResultRow> rows;
  std::map<std::string, int> left_out;
  for (const fs::path& file : files_below(folder, "run.json")) {
    const json run = read_document(file);
    const std::string status = setting_text(member(file, run, "status"));
    if (status == "done" || status == "diverged") {
      rows.push_back(result_of_run(file, run));
    } else {
      ++left_out[status.empty() ? "without a status" : status];
    }
  }
  for (const auto& [status, number] : left_out) {
    fmt::print(stderr, "{}: left out {} run{} ({})\n", folder.string(), number,
               number == 1 ? "" : "s", printable(status, 40));
  }
  if (rows.empty()) {
    throw Error("{}: found no run.json with status done below this folder", folder.string());
  }
  name_metrics_of_diverged(rows);
  return rows;
}

}  // namespace rankfold
