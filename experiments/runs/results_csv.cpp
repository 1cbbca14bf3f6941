#include "experiments/runs/results.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>

#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/setting_rules.h"
#include "experiments/runs/setting_spec.h"

namespace rankfold {
namespace {

/// Columns of a table of counts that are results.
const std::set<std::string> results_of_a_count = {
    "adapter",  "trainable", "matrices",  "total",   "head",          "parameters",
    "frozen",   "factors",   "effective", "seconds", "labels",        "degrees_of_freedom",
    "relative", "status",    "sites",     "reason",  "adapted_layers"};

/// A score; NaN and infinities, which diverged runs leave behind, are values too.
std::optional<double> parse_score(std::string text) {
  if (const auto number = parse_number<double>(text)) return number;
  if (is_missing_text(text)) return std::nan("");
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.erase(0, 1);
  if (text == "nan") return std::nan("");
  if (text == "inf" || text == "infinity") return negative ? -INFINITY : INFINITY;
  return std::nullopt;
}

/// The fields of one row by the names of their columns.
class Fields {
 public:
  Fields(const CsvTable& table, const CsvTable::Row& row) : table_(table), row_(row) {}

  std::string origin() const { return fmt::format("{}:{}", table_.file.string(), row_.line); }
  const std::string& text(const std::string& column) const {
    return row_.fields[table_.position(column)];
  }
  std::string text_or_empty(const std::string& column) const {
    return table_.has(column) ? text(column) : "";
  }
  [[noreturn]] void refuse(const std::string& column, std::string_view expected) const {
    throw Error("{}: column '{}': found '{}', expected {}", origin(), column,
                printable(text(column), 80), expected);
  }
  bool is_missing(const std::string& column) const {
    return is_missing_text(text_or_empty(column));
  }
  std::string name(const std::string& column) const {
    if (is_missing(column)) refuse(column, "a name");
    return text(column);
  }
  /// What stands in a column that tells runs apart.
  std::string setting(const std::string& column) const {
    const std::string name = setting_name(column);
    const SettingSpec* known = find_setting(name);
    if (known != nullptr && known->is_number() && text(column).find(',') != std::string::npos)
      refuse(column, "a number with a point, without separators");
    return setting_form(name, text(column));
  }
  std::int64_t count(const std::string& column) const {
    const auto value = parse_count(text(column));
    if (!value) refuse(column, "a whole number, 0 or more");
    return *value;
  }
  std::optional<std::int64_t> count_or_nothing(const std::string& column) const {
    if (is_missing(column)) return std::nullopt;
    return count(column);
  }
  std::optional<double> measure_or_nothing(const std::string& column) const {
    if (is_missing(column)) return std::nullopt;
    const auto value = parse_number<double>(text(column));
    if (!value || !(*value >= 0) || !std::isfinite(*value)) refuse(column, "a number, 0 or more");
    return value;
  }
  std::string rank() const {
    const auto value = normal_rank(setting_form("rank", text("rank")));
    if (!value) refuse("rank", "a number such as 8, or one per mode such as 8x8x4");
    return *value;
  }

 private:
  const CsvTable& table_;
  const CsvTable::Row& row_;
};

bool is_true(const std::string& text) {
  return text == "true" || text == "1";
}

/// Positions of the columns that are settings: neither with a member of ResultRow nor bookkeeping.
std::vector<std::size_t> setting_columns(const CsvTable& table, bool counts) {
  std::vector<std::size_t> found;
  std::map<std::string, std::string> names;
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const std::string& column = table.columns[i];
    const std::string name = setting_name(column);
    if (is_row_setting(name) || (counts && results_of_a_count.contains(column))) continue;
    const bool only_numbers = std::ranges::all_of(table.rows, [&](const CsvTable::Row& row) {
      return is_missing_text(row.fields[i]) || parse_score(row.fields[i]);
    });
    if (is_bookkeeping(column, only_numbers) || is_incidental_setting(name)) continue;
    const auto [known, is_new] = names.emplace(name, column);
    if (!is_new)
      throw Error("{}:1: columns '{}' and '{}' are one setting", table.file.string(),
                  printable(known->second, 80), printable(column, 80));
    found.push_back(i);
  }
  return found;
}

ResultRow common_row(const Fields& fields, const std::vector<std::string>& settings) {
  ResultRow row;
  row.origin = fields.origin();
  row.model = fields.text("model");
  row.method = fields.name("method");
  row.rank = fields.rank();
  row.layers = setting_form("layers", fields.text_or_empty("layers"));
  row.trainable = fields.count_or_nothing("trainable");
  row.adapted_layers = fields.count_or_nothing("adapted_layers");
  for (const std::string& column : settings)
    row.settings[setting_name(column)] = fields.setting(column);
  return row;
}

ResultRow result_row(const Fields& fields, const std::vector<std::string>& settings,
                     std::size_t& missing_scores) {
  ResultRow row = common_row(fields, settings);
  row.task = fields.name("task");
  row.seed = setting_form("seed", fields.text("seed"));
  row.parameters = fields.count("parameters");
  row.metric = fields.name("metric");
  const bool diverged = fields.text_or_empty("status") == "diverged";
  row.score = diverged ? std::nan("") : parse_score(fields.text("score"));
  if (!row.score) fields.refuse("score", "a fraction such as 0.91, or nan where the run diverged");
  const std::string& told = fields.text("score");
  if (!diverged && is_missing_text(told) && told != "nan" && told != "NaN") ++missing_scores;
  if (std::isfinite(*row.score) && !score_is_possible(row.metric, *row.score)) {
    fields.refuse("score",
                  fmt::format("a fraction between -1 and 1 for {}, not percent", row.metric));
  }
  row.train_seconds = fields.measure_or_nothing("train_seconds");
  row.tokens_per_second = fields.measure_or_nothing("tokens_per_second");
  row.peak_memory_mib = fields.measure_or_nothing("peak_memory_mib");
  row.constant_predictions =
      is_true(setting_form("", fields.text_or_empty("constant_predictions")));
  if (!fields.is_missing("majority_score")) {
    row.majority_score = parse_number<double>(fields.text("majority_score"));
    if (!row.majority_score) fields.refuse("majority_score", "a number");
  }
  for (const char* column : {"train_rows", "max-train", "max_train"}) {
    if (!row.train_rows) row.train_rows = fields.count_or_nothing(column);
  }
  if (row.train_rows == 0) row.train_rows.reset();
  return row;
}

ResultRow count_row(const Fields& fields, const std::vector<std::string>& settings, bool adapter) {
  ResultRow row = common_row(fields, settings);
  row.parameters = fields.count(adapter ? "adapter" : "parameters");
  return row;
}

/// Blanks around names and values mean nothing.
void trim_fields(CsvTable& table) {
  for (std::string& column : table.columns) column = trim(column);
  for (CsvTable::Row& row : table.rows)
    for (std::string& field : row.fields) field = trim(field);
  for (const std::string& column : table.columns)
    if (std::ranges::count(table.columns, column) > 1)
      throw Error("{}:1: the header names column '{}' twice", table.file.string(),
                  printable(column));
}

}  // namespace

Results read_results_csv(const std::filesystem::path& file) {
  CsvTable table = read_csv(file);
  trim_fields(table);
  const bool counts = !table.has("score") && table.has("adapter");
  std::vector<std::string> required = {"model", "method", "rank"};
  if (!counts)
    required = {"task", "model", "method", "rank", "seed", "parameters", "metric", "score"};
  for (const std::string& column : required) table.position(column);
  std::vector<std::string> settings;
  for (const std::size_t position : setting_columns(table, counts))
    settings.push_back(table.columns[position]);
  Results results;
  std::size_t missing_scores = 0;
  std::map<std::string, std::size_t> left_out;
  for (const CsvTable::Row& row : table.rows) {
    const Fields fields(table, row);
    const std::string status = fields.text_or_empty("status");
    if (!is_missing_text(status) && status != "done" && (counts || status != "diverged")) {
      ++left_out[status];
      continue;
    }
    results.rows.push_back(counts ? count_row(fields, settings, table.has("adapter"))
                                  : result_row(fields, settings, missing_scores));
  }
  note_left_out(file, left_out, results.notes);
  if (missing_scores > 0)
    results.notes.push_back(fmt::format(
        "{}: {} missing; runs without one count as diverged", printable(file.string(), 300),
        missing_scores == 1 ? std::string("a score is")
                            : fmt::format("{} scores are", missing_scores)));
  return results;
}

}  // namespace rankfold
