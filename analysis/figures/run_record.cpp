#include "analysis/figures/run_record.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>

#include "analysis/figures/method_style.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr std::size_t longest_reason = 600;

/// As text, whatever stands there.
std::string loose_text(const json& parent, const std::string& key) {
  const auto found = parent.find(key);
  return found == parent.end() ? "" : setting_text(*found);
}

std::optional<std::int64_t> loose_count(const json& parent, const std::string& key) {
  const auto found = parent.find(key);
  if (found == parent.end() || !found->is_number_integer()) return std::nullopt;
  const auto value = found->get<std::int64_t>();
  return value < 0 ? std::nullopt : std::optional(value);
}

std::map<std::string, std::string> texts_of(const json& object) {
  std::map<std::string, std::string> texts;
  if (!object.is_object()) return texts;
  for (const auto& [key, value] : object.items()) texts[key] = setting_text(value);
  return texts;
}

/// All settings that are told, numbers and lists in one form.
std::map<std::string, std::string> settings_of(const json& object) {
  std::map<std::string, std::string> settings = texts_of(object);
  for (auto& [name, text] : settings)
    if (name != "model" && name != "data" && name != "out") text = setting_form(name, text);
  return settings;
}

/// What settings tell of a run that is no result.
void take_settings(RunRecord& record, const json& settings) {
  record.settings = settings_of(settings);
  if (!settings.is_object()) return;
  ResultRow& row = record.row;
  row.task = loose_text(settings, "task");
  row.model = model_name(loose_text(settings, "model"));
  row.method = loose_text(settings, "method");
  row.rank = loose_text(settings, "rank");
  row.seed = setting_form("seed", loose_text(settings, "seed"));
  row.layers = setting_form("layers", loose_text(settings, "layers"));
}

/// A run.json that is not done: what it tells beside its settings.
void take_measures(RunRecord& record, const json& run) {
  ResultRow& row = record.row;
  const json parameters = run.value("parameters", json::object());
  if (parameters.is_object()) {
    row.parameters = loose_count(parameters, "adapter").value_or(0);
    row.trainable = loose_count(parameters, "trainable");
  }
  const auto measure = [&](const char* key) -> std::optional<double> {
    const auto found = run.find(key);
    if (found == run.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
  };
  row.train_seconds = measure("train_seconds");
  row.tokens_per_second = measure("tokens_per_second");
  row.peak_memory_mib = measure("peak_memory_mib");
}

std::string reason_of(const json& run) {
  std::string reason = loose_text(run, "error");
  const auto step = loose_count(run, "failed_step");
  if (step && *step > 0) reason += fmt::format("{}at step {}", reason.empty() ? "" : ", ", *step);
  return printable(reason, longest_reason);
}

/// The message about a file without the folder that it lies in, which the record tells.
std::string without_folder(std::string message, const fs::path& file) {
  const std::string folder = (file.parent_path() / "").string();
  if (message.starts_with(folder)) message.erase(0, folder.size());
  return printable(message, longest_reason);
}

RunRecord read_run_record(const fs::path& file) {
  RunRecord record;
  record.row.origin = file.string();
  try {
    const json run = read_document(file);
    const std::string status = setting_text(member(file, run, "status"));
    if (status.empty()) throw Error("{}: status: found none, expected done", file.string());
    take_settings(record, run.value("settings", json()));
    record.machine = loose_text(run, "machine");
    record.versions = texts_of(run.value("versions", json()));
    if (const json parameters = run.value("parameters", json()); parameters.is_object())
      record.total = loose_count(parameters, "total");
    record.status = printable(status, 40);
    if (record.is_result())
      record.row = result_of_run(file, run);
    else
      take_measures(record, run);
    if (record.status != "done") record.reason = reason_of(run);
  } catch (const std::exception& error) {  // Error, or a type that JSON does not convert
    record.status = "unreadable";
    record.reason = without_folder(error.what(), file);
  }
  return record;
}

/// The last line of the log of a process that left no run.json; why it cannot be read.
std::string last_line(const fs::path& log) {
  try {
    const std::string text = read_text(log);
    const std::size_t end = text.find_last_not_of(" \t\r\n");
    if (end == std::string::npos) return "its log is empty";
    const std::size_t begin = text.find_last_of("\r\n", end);
    return "last line of its log: " +
           printable(trim(std::string_view(text).substr(begin + 1, end - begin)), longest_reason);
  } catch (const Error& error) {
    return without_folder(error.what(), log);
  }
}

/// Whether a file lies below a folder, links followed.
bool lies_below(const fs::path& file, const fs::path& folder) {
  std::error_code failure, other;
  const fs::path whole = fs::canonical(file, failure), root = fs::canonical(folder, other);
  if (failure || other) return false;
  return std::mismatch(root.begin(), root.end(), whole.begin(), whole.end()).first == root.end();
}

/// A run that a sweep lists and that has left no run.json.
RunRecord missing_run(const fs::path& root, const fs::path& folder, const json& settings) {
  RunRecord record;
  record.row.origin = folder.string();
  take_settings(record, settings);
  const fs::path log = folder / "log.txt";
  std::error_code failure;
  const bool has_log = fs::exists(log, failure);
  record.reason = !has_log                 ? "not started"
                  : !lies_below(log, root) ? "its log lies elsewhere"
                                           : last_line(log);
  // What the program prints when it gives up.
  const bool failed = record.reason.starts_with("last line of its log: rankfold: ");
  record.status = failed ? "failed" : "unfinished";
  return record;
}

/// No path of a file that may have come from elsewhere leads out of the folder it lies in.
bool leads_out(const fs::path& folder) {
  const fs::path normal = folder.lexically_normal();
  return normal.is_absolute() || (!normal.empty() && *normal.begin() == "..");
}

void add_missing_runs(const fs::path& root, const fs::path& sweep, const std::set<fs::path>& known,
                      RunRecords& records) {
  std::vector<RunRecord>& runs = records.runs;
  json document;
  try {
    document = read_document(sweep);
  } catch (const Error& error) {
    RunRecord record;
    record.row.origin = sweep.string();
    record.status = "unreadable";
    record.reason = without_folder(error.what(), sweep);
    runs.push_back(std::move(record));
    return;
  }
  if (!document.is_object() || !document.contains("runs") || !document["runs"].is_array()) return;
  for (const json& run : document["runs"]) {
    if (!run.is_object()) continue;
    const std::string folder = loose_text(run, "folder");
    if (folder.empty()) continue;
    if (leads_out(folder)) {
      records.notes.push_back(fmt::format("{}: the folder '{}' lies elsewhere; passed over",
                                          printable(sweep.string(), 300), printable(folder, 200)));
      continue;
    }
    const fs::path path = (sweep.parent_path() / folder).lexically_normal();
    if (!known.contains(path))
      runs.push_back(missing_run(root, path, run.value("settings", json())));
  }
}

RunRecords read_folder(const fs::path& folder) {
  RunRecords records{folder, false, {}, {}};
  std::set<fs::path> known;
  const FileSearch found = find_files(
      folder, [](const std::string& name) { return name == "run.json" || name == "sweep.json"; });
  for (const std::string& place : found.passed_over)
    records.notes.push_back(fmt::format("{}; passed over", place));
  for (const fs::path& file : found.files) {
    if (file.filename() != "run.json") continue;
    records.runs.push_back(read_run_record(file));
    known.insert(file.parent_path().lexically_normal());
  }
  for (const fs::path& file : found.files)
    if (file.filename() == "sweep.json") add_missing_runs(folder, file, known, records);
  if (records.runs.empty()) {
    throw Error(
        "{}: found no run.json below this folder, and no sweep.json, counts.csv or fits.csv",
        folder.string());
  }
  for (RunRecord& record : records.runs) {
    const fs::path origin = record.row.origin;
    const bool is_file = origin.filename() == "run.json" || origin.filename() == "sweep.json";
    record.folder =
        (is_file ? origin.parent_path() : origin).lexically_relative(folder).generic_string();
    if (record.folder.empty()) record.folder = ".";
  }
  return records;
}

RunRecords read_table(const fs::path& table) {
  Results results = read_results(table);
  RunRecords records{table, true, {}, std::move(results.notes)};
  for (ResultRow& row : results.rows) {
    RunRecord record;
    const bool diverged = row.score && !std::isfinite(*row.score);
    record.status = diverged ? "diverged" : "done";
    if (diverged) record.reason = "the score is not finite";
    record.settings = row.settings;
    for (const auto& [key, value] : {std::pair("task", row.task),
                                     {"model", row.model},
                                     {"method", row.method},
                                     {"rank", row.rank},
                                     {"seed", row.seed},
                                     {"layers", row.layers}}) {
      if (!value.empty()) record.settings[key] = value;
    }
    if (row.train_rows) record.settings["max-train"] = std::to_string(*row.train_rows);
    const std::string parent = (table.parent_path() / "").string();
    record.folder = row.origin.substr(row.origin.starts_with(parent) ? parent.size() : 0);
    record.row = std::move(row);
    records.runs.push_back(std::move(record));
  }
  if (records.runs.empty()) throw Error("{}: holds no results", table.string());
  return records;
}

RunRecords read_input(const fs::path& results) {
  std::error_code failure;
  const fs::file_status status = fs::status(results, failure);
  if (!fs::exists(status)) {
    throw Error("{}: not found: expected a folder of runs or a table of results", results.string());
  }
  if (!fs::is_directory(status)) return read_table(results);
  const fs::path table = table_of(results, {"fits.csv", "counts.csv"});
  return table != results ? read_table(table) : read_folder(results);
}

}  // namespace

std::vector<ResultRow> RunRecords::results() const {
  std::vector<ResultRow> rows;
  for (const RunRecord& run : runs) {
    if (run.is_result()) rows.push_back(run.row);
  }
  return rows;
}

RunRecords read_run_records(const std::vector<fs::path>& results, const RunSelection& selection) {
  RunRecords all;
  all.source = results.at(0);
  all.is_table = true;
  for (const fs::path& input : results) {
    RunRecords records = read_input(input);
    all.is_table = all.is_table && records.is_table;
    std::ranges::move(records.notes, std::back_inserter(all.notes));
    for (RunRecord& record : records.runs) {
      if (results.size() > 1 && !records.is_table)
        record.folder = (fs::path(model_name(input.string())) / record.folder).generic_string();
      all.runs.push_back(std::move(record));
    }
  }
  std::vector<RunView> views;
  for (RunRecord& record : all.runs)
    views.push_back({&record.row, &record.settings, record.is_result()});
  std::vector<RunRecord> kept;
  for (const std::size_t position : settle_runs(views, selection, all.notes))
    kept.push_back(std::move(all.runs[position]));
  all.runs = std::move(kept);
  if (all.is_table && results.size() == 1) return all;
  std::ranges::stable_sort(all.runs, {}, [](const RunRecord& run) {
    return std::tuple(run.row.task, run.row.model, method_order(run.row.method),
                      rank_position(run.row.rank).value_or(0), run.folder);
  });
  return all;
}

RunRecords read_run_records(const fs::path& results) {
  return read_run_records(std::vector{results});
}

}  // namespace rankfold
