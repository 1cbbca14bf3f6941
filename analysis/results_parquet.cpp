#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <limits>
#include <unordered_map>

#include <fmt/core.h>

#include "analysis/results.h"
#include "analysis/run_tags.h"
#include "analysis/scalar_table.h"
#include "core/error.h"
#include "core/text.h"

namespace rankfold {
namespace {

bool is_count(const std::string& tag) {
  return tag == adapter_count_tag || tag == trainable_count_tag;
}

/// The last value of a tag in a run.
struct Last {
  std::int64_t step = INT64_MIN;
  double value = 0;
};

/// A run: rows that agree in every column but tag, step and value.
struct Run {
  std::size_t row = 0;  ///< one of its rows
  std::unordered_map<std::int32_t, Last> last;
};

class Runs {
 public:
  explicit Runs(const ScalarTable& table) : table_(table) {
    const std::size_t tag = table.position("tag"), step = table.position("step"),
                      value = table.position("value");
    for (std::size_t column = 0; column < table.columns.size(); ++column)
      if (column != tag && column != step && column != value) settings_.push_back(column);
    for (std::size_t row = 0; row < table.rows; ++row) {
      if (table.is_missing(value, row)) continue;
      Last& last = run_of(row).last[table.values[tag].codes[row]];
      const std::int64_t at = table.values[step].integers[row];
      if (at >= last.step) last = {at, table.number(value, row)};
    }
  }
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<std::size_t>& settings() const { return settings_; }

 private:
  Run& run_of(std::size_t row) {
    key_.clear();
    for (const std::size_t column : settings_) {
      std::int64_t bits = INT64_MIN + 1;
      const ColumnValues& of = table_.values[column];
      if (!table_.is_missing(column, row)) {
        if (!of.integers.empty()) bits = of.integers[row];
        if (!of.codes.empty()) bits = of.codes[row];
        if (!of.numbers.empty()) std::memcpy(&bits, &of.numbers[row], sizeof bits);
      }
      key_.append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    const auto [found, is_new] = by_key_.emplace(key_, runs_.size());
    if (is_new) runs_.push_back({row, {}});
    return runs_[found->second];
  }

  const ScalarTable& table_;
  std::vector<std::size_t> settings_;
  std::string key_;
  std::unordered_map<std::string, std::size_t> by_key_;
  std::vector<Run> runs_;
};

/// The run's settings, put where ResultRow has a member for them.
ResultRow settings_of(const ScalarTable& table, const Runs& runs, const Run& run) {
  ResultRow row;
  row.origin = printable(table.file.string(), 300);
  std::string shown;
  for (const std::size_t column : runs.settings()) {
    std::string name = table.columns[column].name;
    const std::string text = table.text(column, run.row);
    shown += (shown.empty() ? "" : ", ") + name + " " + text;
    std::replace(name.begin(), name.end(), '_', '-');
    const auto count = [&]() -> std::optional<std::int64_t> {
      if (text.empty()) return std::nullopt;
      const auto value = parse_count(text);
      if (!value)
        throw Error("{}: column '{}': found '{}', expected a whole number, 0 or more", row.origin,
                    table.columns[column].name, printable(text, 80));
      return value;
    };
    if (name == "task")
      row.task = text;
    else if (name == "model")
      row.model = text;
    else if (name == "method")
      row.method = text;
    else if (name == "seed")
      row.seed = text;
    else if (name == "layers")
      row.layers = text;
    else if (name == "parameters")
      row.parameters = count().value_or(0);
    else if (name == "trainable")
      row.trainable = count();
    else if (name == "adapted-layers")
      row.adapted_layers = count();
    else if (name == "train-rows" || name == "max-train")
      row.train_rows = count();
    else if (name == "rank") {
      const auto rank = normal_rank(text);
      if (!rank)
        throw Error("{}: column 'rank': found '{}', expected a number such as 8, or one per mode",
                    row.origin, printable(text, 80));
      row.rank = *rank;
    } else
      row.settings[name] = text;
  }
  row.origin += " (" + printable(shown, 300) + ")";
  return row;
}

}  // namespace

std::vector<ResultRow> read_results_parquet(const std::filesystem::path& file) {
  const ScalarTable table = read_scalar_table(
      file, [](const std::string& tag) { return is_count(tag) || !metric_of_tag(tag).empty(); });
  for (const char* column : {"task", "model", "method"}) table.position(column);
  const std::vector<std::string>& tags = table.columns[table.position("tag")].dictionary;
  const bool counted_by_column = table.has("parameters");
  if (!counted_by_column && std::ranges::find(tags, adapter_count_tag) == tags.end())
    throw Error(
        "{}: found neither a column 'parameters' nor a tag parameters/adapter, expected one "
        "of them",
        printable(file.string(), 300));

  std::size_t without_score = 0;
  std::vector<ResultRow> rows;
  const Runs runs(table);
  for (const Run& run : runs.runs()) {
    ResultRow row = settings_of(table, runs, run);
    std::map<std::string, double> scores;
    bool counted = counted_by_column;
    for (const auto& [code, last] : run.last) {
      const std::string& tag = tags[static_cast<std::size_t>(code)];
      if (!is_count(tag)) {
        scores[metric_of_tag(tag)] = last.value;
        continue;
      }
      const auto count = static_cast<std::int64_t>(std::llround(last.value));
      if (tag == trainable_count_tag) {
        if (!row.trainable) row.trainable = count;
      } else if (!counted) {
        row.parameters = count;
        counted = true;
      }
    }
    std::vector<std::string> measured;
    for (const auto& [metric, value] : scores) measured.push_back(metric);
    row.metric = main_metric(row.task, measured);
    if (row.metric.empty()) {
      ++without_score;
      continue;
    }
    row.score = scores.at(row.metric);
    if (!std::isfinite(*row.score)) row.score = std::numeric_limits<double>::quiet_NaN();
    if (!counted)
      throw Error("{}: found no tag parameters/adapter, expected it as other runs have it",
                  row.origin);
    if (std::isfinite(*row.score) && !score_is_possible(row.metric, *row.score))
      throw Error("{}: {} is {}, expected a fraction between -1 and 1", row.origin, row.metric,
                  *row.score);
    rows.push_back(std::move(row));
  }
  if (without_score > 0)
    fmt::print(stderr, "{}: left out {} run{} without a score\n", printable(file.string(), 300),
               without_score, without_score == 1 ? "" : "s");
  if (rows.empty())
    throw Error("{}: found no run with a score (a tag such as eval/accuracy)",
                printable(file.string(), 300));
  return rows;
}

}  // namespace rankfold
