#include "analysis/results.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <fstream>
#include <set>

#include "analysis/csv.h"
#include "analysis/score_metric.h"
#include "core/error.h"
#include "core/text.h"

namespace rankfold {
namespace {

/// Columns of a table of results that tell runs apart, beside those with a member of ResultRow.
const std::set<std::string> setting_columns = {
    "alpha",      "batch",        "dropout", "epochs",    "init",    "kind", "layout",
    "lr",         "max-length",   "preset",  "optimizer", "rslora",  "set",  "schedule",
    "scale",      "stack",        "targets", "train",     "warmup",  "norm", "head-axis",
    "bottleneck", "weight-decay", "beta1",   "beta2",     "epsilon", "clip", "score-on"};
/// Columns of a table of counts that are results, or have a member of ResultRow.
const std::set<std::string> not_settings_of_a_count = {
    "task",     "model",     "method",    "rank",    "seed",          "layers",
    "adapter",  "trainable", "matrices",  "total",   "head",          "parameters",
    "frozen",   "factors",   "effective", "seconds", "labels",        "degrees_of_freedom",
    "relative", "status",    "sites",     "reason",  "adapted_layers"};

bool is_parquet(const std::filesystem::path& file) {
  if (file.extension() == ".parquet") return true;
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure)) return false;  // a pipe is read once
  std::array<char, 4> start{};
  std::ifstream(file, std::ios::binary).read(start.data(), start.size());
  return std::string_view(start.data(), start.size()) == "PAR1";
}

/// A score; NaN and infinities, which diverged runs leave behind, are values too.
std::optional<double> parse_score(std::string text) {
  if (const auto number = parse_number<double>(text)) return number;
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
  std::string name(const std::string& column) const {
    if (text(column).empty()) refuse(column, "a name");
    return text(column);
  }
  std::int64_t count(const std::string& column) const {
    const auto value = parse_count(text(column));
    if (!value) refuse(column, "a whole number, 0 or more");
    return *value;
  }
  std::optional<std::int64_t> count_or_nothing(const std::string& column) const {
    if (text_or_empty(column).empty()) return std::nullopt;
    return count(column);
  }
  std::optional<double> measure_or_nothing(const std::string& column) const {
    if (text_or_empty(column).empty()) return std::nullopt;
    const auto value = parse_number<double>(text(column));
    if (!value || !(*value >= 0) || !std::isfinite(*value)) refuse(column, "a number, 0 or more");
    return value;
  }
  std::string rank() const {
    const auto value = normal_rank(text("rank"));
    if (!value) refuse("rank", "a number such as 8, or one per mode such as 8x8x4");
    return *value;
  }

 private:
  const CsvTable& table_;
  const CsvTable::Row& row_;
};

ResultRow common_row(const Fields& fields) {
  ResultRow row;
  row.origin = fields.origin();
  row.model = fields.text("model");
  row.method = fields.name("method");
  row.rank = fields.rank();
  row.layers = fields.text_or_empty("layers");
  row.trainable = fields.count_or_nothing("trainable");
  row.adapted_layers = fields.count_or_nothing("adapted_layers");
  return row;
}

ResultRow result_row(const Fields& fields, const CsvTable& table) {
  ResultRow row = common_row(fields);
  row.task = fields.name("task");
  row.seed = fields.text("seed");
  row.parameters = fields.count("parameters");
  row.metric = fields.name("metric");
  row.score = fields.text_or_empty("status") == "diverged" ? std::nan("")
                                                           : parse_score(fields.text("score"));
  if (!row.score) fields.refuse("score", "a number, or nan where the run diverged");
  if (std::isfinite(*row.score) && !score_is_possible(row.metric, *row.score)) {
    fields.refuse("score", fmt::format("a fraction between -1 and 1 for {}", row.metric));
  }
  row.train_seconds = fields.measure_or_nothing("train_seconds");
  row.tokens_per_second = fields.measure_or_nothing("tokens_per_second");
  row.peak_memory_mib = fields.measure_or_nothing("peak_memory_mib");
  for (const char* column : {"train_rows", "max-train", "max_train"}) {
    if (!row.train_rows) row.train_rows = fields.count_or_nothing(column);
  }
  if (row.train_rows == 0) row.train_rows.reset();
  for (const std::string& column : table.columns) {
    std::string name = column;
    std::replace(name.begin(), name.end(), '_', '-');
    const bool of_a_method = name.find('.') != std::string::npos;
    if (setting_columns.contains(name) || of_a_method) row.settings[name] = fields.text(column);
  }
  return row;
}

ResultRow count_row(const Fields& fields, const CsvTable& table) {
  ResultRow row = common_row(fields);
  row.parameters = fields.count(table.has("adapter") ? "adapter" : "parameters");
  for (const std::string& column : table.columns) {
    if (!not_settings_of_a_count.contains(column)) row.settings[column] = fields.text(column);
  }
  return row;
}

}  // namespace

std::optional<std::int64_t> parse_count(const std::string& text) {
  const std::optional<double> value = parse_number<double>(text);
  if (!value || *value < 0 || *value != std::floor(*value) || *value > 9e15) return std::nullopt;
  return static_cast<std::int64_t>(*value);
}

std::optional<std::string> normal_rank(const std::string& text) {
  if (text.empty() || text == "none" || text == "-") return "";
  if (const auto count = parse_count(text)) return std::to_string(*count);
  for (const std::string& part : split(text, 'x')) {
    const bool digits = part.find_first_not_of("0123456789") == std::string::npos;
    if (part.empty() || !digits || !parse_count(part)) return std::nullopt;
  }
  return text;
}

bool score_is_possible(const std::string& metric, double score) {
  const Bounds range = score_metric(metric).range;
  return score >= range.low - 1e-6 && score <= range.high + 1e-6;
}

std::vector<ResultRow> read_results_csv(const std::filesystem::path& file) {
  const CsvTable table = read_csv(file);
  const bool counts = !table.has("score") && table.has("adapter");
  std::vector<std::string> required = {"model", "method", "rank"};
  if (!counts)
    required = {"task", "model", "method", "rank", "seed", "parameters", "metric", "score"};
  for (const std::string& column : required) table.position(column);
  std::vector<ResultRow> rows;
  for (const CsvTable::Row& row : table.rows) {
    const Fields fields(table, row);
    const std::string status = fields.text_or_empty("status");
    if (!status.empty() && status != "done" && (counts || status != "diverged")) continue;
    rows.push_back(counts ? count_row(fields, table) : result_row(fields, table));
  }
  return rows;
}

std::vector<ResultRow> read_results(const std::filesystem::path& file_or_folder) {
  if (std::filesystem::is_directory(file_or_folder)) return read_results_folder(file_or_folder);
  if (is_parquet(file_or_folder)) return read_results_parquet(file_or_folder);
  return read_results_csv(file_or_folder);
}

std::string main_metric(const std::string& task, const std::vector<std::string>& measured) {
  static const std::set<std::string> classifications = {
      "sst2", "mrpc",   "qqp",      "mnli",   "qnli",       "rte",
      "wnli", "movies", "products", "tweets", "editorials", "mnli-mm"};
  std::vector<std::string> order;
  if (classifications.contains(task)) order = {"accuracy"};
  if (task == "stsb") order = {"pearson"};
  for (const char* metric : {"matthews_correlation", "accuracy", "pearson", "f1", "spearman"}) {
    order.push_back(metric);
  }
  for (const std::string& metric : order) {
    if (std::find(measured.begin(), measured.end(), metric) != measured.end()) return metric;
  }
  const auto first = std::min_element(measured.begin(), measured.end());
  return first == measured.end() ? "" : *first;
}

std::optional<std::int64_t> adapted_layer_count(const ResultRow& row) {
  if (row.adapted_layers) return row.adapted_layers;
  const std::string& layers = row.layers;
  for (const std::string prefix : {"first:", "last:"}) {
    if (layers.starts_with(prefix)) return parse_count(layers.substr(prefix.size()));
  }
  if (layers.empty() || layers == "all") return std::nullopt;
  std::int64_t total = 0;
  for (const std::string& part : split(layers, ',')) {
    const std::vector<std::string> ends = split(part, '-');
    const auto first = parse_count(ends.front());
    const auto last = parse_count(ends.back());
    if (ends.size() > 2 || !first || !last || *last < *first) return std::nullopt;
    total += *last - *first + 1;
  }
  return total;
}

std::optional<double> rank_position(const std::string& rank) {
  if (rank.empty()) return std::nullopt;
  const std::vector<std::string> modes = split(rank, 'x');
  double logarithm = 0;
  for (const std::string& mode : modes) {
    const auto value = parse_count(mode);
    if (!value || *value == 0) return std::nullopt;
    logarithm += std::log(static_cast<double>(*value));
  }
  // Rounded, so that 8x8x8 stands exactly where 8 stands.
  return std::round(std::exp(logarithm / static_cast<double>(modes.size())) * 1e9) / 1e9;
}

}  // namespace rankfold
