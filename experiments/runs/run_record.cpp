#include "experiments/runs/run_record.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t longest_reason = 600;

/// As text, whatever stands there.
std::string loose_text(const JsonField& parent, const std::string& key) {
  const auto found = parent.find(key);
  return found ? found->any_text() : "";
}

std::optional<std::int64_t> loose_count(const JsonField& parent, const std::string& key) {
  const auto found = parent.find(key);
  const auto value = found ? found->integer_or_nothing() : std::nullopt;
  return value && *value >= 0 ? value : std::nullopt;
}

std::optional<double> loose_number(const JsonField& parent, const std::string& key) {
  const auto found = parent.find(key);
  return found ? found->number_or_nothing() : std::nullopt;
}

std::map<std::string, std::string> texts_of(const std::optional<JsonField>& object) {
  std::map<std::string, std::string> texts;
  if (!object) return texts;
  for (const auto& [key, value] : object->members()) texts[key] = value.any_text();
  return texts;
}

/// What settings tell of a run that is no result; of all runs, every setting that is told, numbers
/// and lists in one form.
void take_settings(RunRecord& record, const std::optional<JsonField>& settings) {
  record.settings = texts_of(settings);
  for (auto& [name, text] : record.settings) text = stored_form(name, text);
  if (!settings) return;
  ResultRow& row = record.row;
  row.task = loose_text(*settings, "task");
  row.model = model_name(loose_text(*settings, "model"));
  row.method = loose_text(*settings, "method");
  row.rank = loose_text(*settings, "rank");
  row.seed = setting_form("seed", loose_text(*settings, "seed"));
  row.layers = setting_form("layers", loose_text(*settings, "layers"));
}

/// A run.json that is not done: what it tells beside its settings.
void take_measures(RunRecord& record, const JsonField& run) {
  ResultRow& row = record.row;
  if (const auto parameters = run.find("parameters")) {
    row.parameters = loose_count(*parameters, "adapter").value_or(0);
    row.trainable = loose_count(*parameters, "trainable");
  }
  row.train_seconds = loose_number(run, "train_seconds");
  row.tokens_per_second = loose_number(run, "tokens_per_second");
  row.peak_memory_mib = loose_number(run, "peak_memory_mib");
}

std::string reason_of(const JsonField& run) {
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
    const JsonDocument document = read_document(file);
    const JsonField run = document.root();
    const std::string status = run.member_or_null("status").any_text();
    if (status.empty()) throw Error("{}: status: found none, expected done", file.string());
    take_settings(record, run.find("settings"));
    record.machine = loose_text(run, "machine");
    record.versions = texts_of(run.find("versions"));
    if (const auto parameters = run.find("parameters"))
      record.total = loose_count(*parameters, "total");
    record.status = printable(status, 40);
    if (record.is_result())
      record.row = result_of_run(run);
    else
      take_measures(record, run);
    if (record.status != "done") record.reason = reason_of(run);
  } catch (const Error& error) {
    record.status = "unreadable";
    record.reason = without_folder(error.what(), file);
  }
  return record;
}

/// What the log of a process that left no run.json ends with; why it cannot be read.
std::string end_of_log(const fs::path& log) {
  try {
    const std::string line = last_line(log);
    if (line.empty()) return "its log is empty";
    return "last line of its log: " + printable(line, longest_reason);
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
RunRecord missing_run(const fs::path& root, const fs::path& folder,
                      const std::optional<JsonField>& settings) {
  RunRecord record;
  record.row.origin = folder.string();
  take_settings(record, settings);
  const fs::path log = folder / "log.txt";
  std::error_code failure;
  const bool has_log = fs::exists(log, failure);
  record.reason = !has_log                 ? "not started"
                  : !lies_below(log, root) ? "its log lies elsewhere"
                                           : end_of_log(log);
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
  std::optional<JsonDocument> document;
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
  const auto listed = document->root().find("runs");
  if (!listed) return;
  for (const JsonField& run : listed->elements()) {
    const std::string folder = loose_text(run, "folder");
    if (folder.empty()) continue;
    if (leads_out(folder)) {
      records.notes.push_back(fmt::format("{}: the folder '{}' lies elsewhere; passed over",
                                          printable(sweep.string(), 300), printable(folder, 200)));
      continue;
    }
    const fs::path path = (sweep.parent_path() / folder).lexically_normal();
    if (!known.contains(path)) runs.push_back(missing_run(root, path, run.find("settings")));
  }
}

RunRecords read_folder(const fs::path& folder) {
  RunRecords records{.source = folder};
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
  RunRecords records{.source = table, .is_table = true, .notes = std::move(results.notes)};
  for (ResultRow& row : results.rows) {
    RunRecord record;
    const bool diverged = row.score && !std::isfinite(*row.score);
    record.status = diverged ? "diverged" : "done";
    if (diverged) record.reason = "the score is not finite";
    record.settings = row.settings;
    for (const RowSetting& own : row_settings())
      if (own.text != nullptr && !(row.*own.text).empty())
        record.settings[own.name] = row.*own.text;
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
  all.inputs = results.size();
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
  return all;
}

RunRecords read_run_records(const fs::path& results) {
  return read_run_records(std::vector{results});
}

}  // namespace rankfold
