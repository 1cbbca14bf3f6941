#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/text.h"
#include "experiments/runs/results.h"
#include "experiments/runs/run_tags.h"
#include "experiments/runs/scalar_table.h"
#include "experiments/runs/setting_rules.h"
#include "experiments/runs/setting_spec.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Of a run, but no score of it.
bool is_fact(const std::string& tag) {
  return tag == adapter_count_tag || tag == trainable_count_tag ||
         tag == constant_predictions_tag || tag == majority_score_tag;
}

/// Columns that are read: what tells runs apart, and what has a member of ResultRow.
bool is_read(const ParquetReader::Column& column) {
  const std::string name = setting_name(column.name);
  for (const char* member : {"parameters", "trainable", "adapted-layers", "train-rows"})
    if (name == member) return true;
  const bool is_number = column.type && *column.type != ColumnType::text;
  return !is_bookkeeping(column.name, is_number) && !is_incidental_setting(name);
}

/// The names of the index that pandas would make; none where its document is not as pandas writes
/// it, or the index holds a column that has a meaning here.
std::vector<std::string> plain_index(const ScalarTable& table) {
  std::vector<std::string> names;
  try {
    const JsonDocument document(table.file, table.pandas);
    if (const auto columns = document.root().find("index_columns"))
      for (const JsonField& column : columns->elements())
        if (const auto name = column.string_or_nothing()) names.push_back(*name);
  } catch (const Error&) {
    return {};
  }
  for (const std::string& name : names) {
    if (find_setting(setting_name(name)) != nullptr || name == "tag" || name == "step") return {};
  }
  return names;
}

/// Whether no two rows have the same value: rows are numbered, or named, by it.
bool numbers_rows(const ScalarTable& table, std::size_t column) {
  std::set<std::string> seen;
  for (std::size_t row = 0; row < table.rows; ++row)
    if (!seen.insert(table.text(column, row)).second) return false;
  return true;
}

/// The last value of a tag in a run.
struct Last {
  std::int64_t step = INT64_MIN;
  double value = 0;
  bool is_ambiguous = false;  ///< an earlier row has another value at that step
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
    const std::vector<std::string> index = plain_index(table);
    for (std::size_t column = 0; column < table.columns.size(); ++column) {
      if (column == tag || column == step || column == value) continue;
      const bool is_index = std::ranges::find(index, table.columns[column].name) != index.end();
      if (!is_index || !numbers_rows(table, column)) settings_.push_back(column);
    }
    expect_distinct_names();
    for (const std::size_t column : settings_) forms_.push_back(forms_of(column));
    for (std::size_t row = 0; row < table.rows; ++row) {
      if (table.is_missing(step, row))
        throw Error("{}: column 'step' has a missing value, expected whole numbers",
                    printable(table.file.string(), 300));
      Last& last = run_of(row).last[table.values[tag].codes[row]];
      const std::int64_t at = table.values[step].integers[row];
      if (at < last.step) continue;
      // pandas writes NaN as null.
      const double number = table.is_missing(value, row) ? std::nan("") : table.number(value, row);
      const bool is_same = number == last.value || (std::isnan(number) && std::isnan(last.value));
      last = {at, number, at == last.step && (last.is_ambiguous || !is_same)};
    }
  }
  const std::vector<Run>& runs() const { return runs_; }
  const std::vector<std::size_t>& settings() const { return settings_; }

 private:
  void expect_distinct_names() const {
    std::map<std::string, std::string> names;
    for (const std::size_t column : settings_) {
      const std::string& name = table_.columns[column].name;
      const auto [known, is_new] = names.emplace(setting_name(name), name);
      if (!is_new)
        throw Error("{}: columns '{}' and '{}' are one setting",
                    printable(table_.file.string(), 300), printable(known->second, 80),
                    printable(name, 80));
    }
  }

  /// Of a column of text: by code, one number for all texts of one meaning.
  std::vector<std::int64_t> forms_of(std::size_t column) const {
    std::vector<std::int64_t> forms;
    std::unordered_map<std::string, std::int64_t> numbers;
    const std::string name = setting_name(table_.columns[column].name);
    for (const std::string& text : table_.columns[column].dictionary) {
      const std::string form = setting_form(name, text);
      const auto number = static_cast<std::int64_t>(numbers.size());
      forms.push_back(form.empty() ? missing : numbers.emplace(form, number).first->second);
    }
    return forms;
  }

  Run& run_of(std::size_t row) {
    key_.clear();
    for (std::size_t i = 0; i < settings_.size(); ++i) {
      const std::size_t column = settings_[i];
      std::int64_t bits = missing;
      const ColumnValues& of = table_.values[column];
      if (!table_.is_missing(column, row)) {
        if (!of.integers.empty()) bits = of.integers[row];
        if (!of.codes.empty()) bits = forms_[i][static_cast<std::size_t>(of.codes[row])];
        if (!of.numbers.empty() && !std::isnan(of.numbers[row])) {
          const double number = of.numbers[row] + 0.0;  // -0 is 0
          std::memcpy(&bits, &number, sizeof bits);
        }
      }
      key_.append(reinterpret_cast<const char*>(&bits), sizeof bits);
    }
    const auto [found, is_new] = by_key_.emplace(key_, runs_.size());
    if (is_new) runs_.push_back({row, {}});
    return runs_[found->second];
  }

  static constexpr std::int64_t missing = INT64_MIN + 1;
  const ScalarTable& table_;
  std::vector<std::size_t> settings_;
  std::vector<std::vector<std::int64_t>> forms_;  // by setting, by code of its text
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
    const std::string name = setting_name(table.columns[column].name);
    const std::string text = setting_form(name, table.text(column, run.row));
    shown += (shown.empty() ? "" : ", ") + table.columns[column].name + " " + text;
    const auto count = [&]() -> std::optional<std::int64_t> {
      if (text.empty()) return std::nullopt;
      const auto value = parse_count(text);
      if (!value)
        throw Error("{}: column '{}': found '{}', expected a whole number, 0 or more", row.origin,
                    table.columns[column].name, printable(text, 80));
      return value;
    };
    if (name == "task")
      row.task = trim(table.text(column, run.row));
    else if (name == "model")
      row.model = trim(table.text(column, run.row));
    else if (name == "method")
      row.method = trim(table.text(column, run.row));
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
      row.train_rows = count().value_or(0) == 0 ? std::nullopt : count();  // 0: all
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

Results read_results_parquet(const fs::path& file) {
  const ScalarTable table = read_scalar_table(
      file, [](const std::string& tag) { return is_fact(tag) || !metric_of_tag(tag).empty(); },
      is_read);
  for (const char* column : {"task", "model", "method"}) table.position(column);
  const std::vector<std::string>& tags = table.columns[table.position("tag")].dictionary;
  const bool counted_by_column = table.has("parameters");
  if (!counted_by_column && std::ranges::find(tags, adapter_count_tag) == tags.end())
    throw Error(
        "{}: found neither a column 'parameters' nor a tag parameters/adapter, expected one "
        "of them",
        printable(file.string(), 300));

  std::size_t without_score = 0, ambiguous = 0;
  Results results;
  const Runs runs(table);
  for (const Run& run : runs.runs()) {
    ResultRow row = settings_of(table, runs, run);
    std::map<std::string, Last> scores;
    bool counted = counted_by_column;
    for (const auto& [code, last] : run.last) {
      const std::string& tag = tags[static_cast<std::size_t>(code)];
      if (!is_fact(tag)) {
        scores[metric_of_tag(tag)] = last;
      } else if (!std::isfinite(last.value)) {
        continue;
      } else if (tag == constant_predictions_tag) {
        row.constant_predictions = last.value != 0;
      } else if (tag == majority_score_tag) {
        row.majority_score = last.value;
      } else if (tag == trainable_count_tag) {
        if (!row.trainable) row.trainable = std::llround(last.value);
      } else if (!counted) {
        row.parameters = std::llround(last.value);
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
    row.score = scores.at(row.metric).value;
    ambiguous += scores.at(row.metric).is_ambiguous ? 1 : 0;
    if (!std::isfinite(*row.score)) row.score = std::numeric_limits<double>::quiet_NaN();
    if (!counted)
      throw Error("{}: found no tag parameters/adapter, expected it as other runs have it",
                  row.origin);
    if (std::isfinite(*row.score) && !score_is_possible(row.metric, *row.score))
      throw Error("{}: {} is {}, expected a fraction between -1 and 1", row.origin, row.metric,
                  *row.score);
    results.rows.push_back(std::move(row));
  }
  const auto note = [&](std::size_t number, const char* what) {
    if (number > 0)
      results.notes.push_back(fmt::format("{}: {} run{} {}", printable(file.string(), 300), number,
                                          number == 1 ? "" : "s", what));
  };
  note(without_score, "without a score left out");
  note(ambiguous, "with several scores at the last step; the one that stands last counts");
  if (results.rows.empty())
    throw Error("{}: found no run with a score (a tag such as eval/accuracy)",
                printable(file.string(), 300));
  return results;
}

}  // namespace rankfold
