#include <algorithm>
#include <cmath>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

JsonField object(const JsonField& parent, const std::string& key) {
  const JsonField value = parent.member_or_null(key);
  if (!value.is_object()) value.refuse("an object");
  return value;
}

/// Named by its own name alone.
std::optional<std::int64_t> count(const JsonField& parent, const std::string& key) {
  const JsonField value(parent.member_or_null(key).value(), parent.file(), key, JsonWording::found);
  if (value.is_null()) return std::nullopt;
  const auto number = parse_number<long long>(value.any_text());
  if (!number || *number < 0) value.refuse("a whole number, 0 or more");
  return *number;
}

std::string required_name(const JsonField& settings, const std::string& key) {
  const JsonField value = settings.member_or_null(key);
  std::string text = value.any_text();
  if (text.empty()) value.refuse("a name");
  return text;
}

void take_score(const JsonField& scores, ResultRow& row) {
  std::vector<std::string> measured;
  for (const auto& [metric, value] : scores.members())
    if (value.is_number()) measured.push_back(metric);
  if (measured.empty()) scores.refuse("at least one number");
  row.metric = main_metric(row.task, measured);
  const JsonField score = scores.member(row.metric);
  row.score = score.number();
  if (!std::isfinite(*row.score) || !score_is_possible(row.metric, *row.score))
    score.refuse("a fraction between -1 and 1");
}

/// What is told of the rows that were scored.
void take_scored(const JsonField& run, ResultRow& row) {
  const JsonField constant = run.member_or_null("constant_predictions");
  if (!constant.is_null() && !constant.is_boolean()) constant.refuse("true or false");
  row.constant_predictions = constant.boolean_or_nothing().value_or(false);
  const JsonField majority = run.member_or_null("majority_scores");
  if (majority.is_null()) return;
  const JsonField score = majority.member_or_null(row.metric);
  if (score.is_null()) return;
  if (!score.is_number() || !score_is_possible(row.metric, score.number()))
    score.refuse("a fraction between -1 and 1");
  row.majority_score = score.number();
}

void take_fingerprints(const JsonField& run, ResultRow& row) {
  const JsonField told = run.member_or_null("fingerprints");
  if (told.is_null()) return;
  const std::string model = told.member_or_null("model").any_text(),
                    train = told.member_or_null("train").any_text(),
                    scored = told.member_or_null("scored").any_text();
  row.scored_rows = scored;
  if (!model.empty()) row.settings[model_fingerprint_key] = model;
  if (!train.empty() || !scored.empty()) row.settings[data_fingerprint_key] = train + "/" + scored;
}

std::optional<double> measure(const JsonField& run, const std::string& key) {
  const JsonField value = run.member_or_null(key);
  if (value.is_null()) return std::nullopt;
  if (!value.is_number() || !(value.number() >= 0)) value.refuse("0 or more");
  return value.number();
}

}  // namespace

fs::path table_of(const fs::path& input, const std::vector<const char*>& tables) {
  std::error_code failure;
  if (fs::exists(input / "sweep.json", failure)) return input;
  for (const char* table : tables)
    if (fs::exists(input / table, failure)) return input / table;
  return input;
}

JsonDocument read_document(const fs::path& file) {
  // The longest that training writes: an epoch has some ten values.
  return JsonDocument(file, {std::size_t{1} << 26, 64, 5'000'000}, JsonWording::found);
}

std::string last_line(const fs::path& log) {
  const std::string text = read_text(log);
  const std::string_view lines = trim(text);
  return std::string(trim(lines.substr(lines.find_last_of("\r\n") + 1)));
}

std::string model_name(const std::string& model) {
  const fs::path path(model);
  const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
  return name.empty() ? model : name.string();
}

ResultRow result_of_run(const JsonField& run) {
  const JsonField settings = object(run, "settings"), parameters = object(run, "parameters");
  ResultRow row;
  row.origin = run.file().string();
  row.task = required_name(settings, "task");
  row.model = model_name(required_name(settings, "model"));
  row.method = required_name(settings, "method");
  const JsonField given_rank = settings.member_or_null("rank");
  const auto rank = normal_rank(given_rank.any_text());
  if (!rank) given_rank.refuse("a number or 8x8x4");
  row.rank = *rank;
  row.seed = setting_form("seed", settings.member_or_null("seed").any_text());
  row.model_path = settings.member_or_null("model").any_text();
  row.layers = setting_form("layers", settings.member_or_null("layers").any_text());
  row.train_rows = count(settings, "max-train");
  if (row.train_rows == 0) row.train_rows.reset();
  row.adapted_layers = count(run, "adapted_layers");
  const auto adapter = count(parameters, "adapter");
  if (!adapter) parameters.member_or_null("adapter").refuse("a whole number, 0 or more");
  row.parameters = *adapter;
  row.trainable = count(parameters, "trainable");
  row.train_seconds = measure(run, "train_seconds");
  row.tokens_per_second = measure(run, "tokens_per_second");
  row.peak_memory_mib = measure(run, "peak_memory_mib");
  take_fingerprints(run, row);
  if (run.member_or_null("status").any_text() == "diverged") {
    row.score = std::nan("");
  } else {
    take_score(object(run, "scores"), row);
    take_scored(run, row);
  }
  for (const auto& [key, value] : settings.members())
    if (!is_row_setting(key) && !is_incidental_setting(key))
      row.settings[key] = stored_form(key, value.any_text());
  return row;
}

Results read_results_folder(const fs::path& folder) {
  Results results;
  std::map<std::string, std::size_t> left_out;
  const FileSearch found = find_files(folder, "run.json");
  for (const fs::path& file : found.files) {
    const JsonDocument document = read_document(file);
    const JsonField run = document.root();
    const std::string status = run.member_or_null("status").any_text();
    if (status == "done" || status == "diverged") {
      results.rows.push_back(result_of_run(run));
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
