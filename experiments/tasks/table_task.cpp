#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/metrics.h"
#include "experiments/tasks/sources.h"
#include "experiments/tasks/text_lines.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// More are no classes, but something else: ids, texts, numbers.
constexpr std::size_t most_classes = 1000;

/// The texts' columns, and behind them the label's.
Names columns_of(const TaskChoice& choice) {
  Names columns;
  for (const std::string& part : split(choice.text.empty() ? "text" : choice.text, ','))
    columns.emplace_back(trim(part));
  columns.push_back(choice.label.empty() ? "label" : choice.label);
  const std::set<std::string> distinct(columns.begin(), columns.end());
  if (columns.size() > 3 || distinct.contains("") || distinct.size() < columns.size())
    throw UsageError(
        "--text is '{}' and --label '{}'; expected one or two columns of text, and another one",
        printable(choice.text, 80), printable(columns.back(), 80));
  return columns;
}

std::string file_text(const fs::path& file) {
  return printable(file.string());
}

std::optional<long long> whole_number(const std::string& text) {
  return parse_number<long long>(text);
}

/// By value where all are whole numbers, else by bytes.
Names in_order(const std::set<std::string>& labels) {
  Names classes(labels.begin(), labels.end());
  if (std::ranges::all_of(classes, [](const auto& name) { return whole_number(name).has_value(); }))
    std::ranges::stable_sort(classes, {}, [](const auto& name) { return *whole_number(name); });
  return classes;
}

}  // namespace

Names text_columns(const TaskChoice& choice) {
  Names columns = columns_of(choice);
  columns.pop_back();
  return columns;
}

std::vector<std::string> find_classes(const fs::path& file, const Names& columns,
                                      std::string_view of_numbers) {
  const Table table = read_table(file, {.choices = {columns}});
  std::set<std::string> labels;
  for (const TableRow& row : table.rows) {
    const std::string& label = row.cells.back();
    if (trim(label).empty())
      throw Error("{}: found no label in column {}, expected a class", place_of(file, row.line),
                  in_quotes(table.columns.back()));
    labels.insert(label);
  }
  const Names classes = in_order(labels);
  const auto is_number = [](const auto& name) { return parse_number<double>(name).has_value(); };
  const auto fraction = std::ranges::find_if_not(
      classes, [](const auto& name) { return whole_number(name).has_value(); });
  if (std::ranges::all_of(classes, is_number) && fraction != classes.end())
    throw UsageError("{}: the labels in column {} are numbers such as {}, which are no classes; {}",
                     file_text(file), in_quotes(table.columns.back()), in_quotes(*fraction),
                     of_numbers);
  if (classes.size() < 2)
    throw Error("{}: found one class in column {} ({}), expected two or more", file_text(file),
                in_quotes(table.columns.back()), in_quotes(classes.front()));
  if (classes.size() > most_classes)
    throw Error(
        "{}: found {} different labels in column {} ({}, ...), expected at most {} classes; {}",
        file_text(file), classes.size(), in_quotes(table.columns.back()),
        in_quotes(classes.front()), most_classes, of_numbers);
  return classes;
}

namespace {

std::string classes_note(const Task& task, const fs::path& file) {
  constexpr std::size_t most = 20;
  std::string text;
  for (std::size_t i = 0; i < std::min(most, task.labels); ++i)
    text += fmt::format("{}{} {}", i == 0 ? "" : ", ", i, printable(task.classes[i], 40));
  if (task.labels > most) text += ", ...";
  return fmt::format("{}: {} classes, numbered {}", file_text(file), task.labels, text);
}

Dataset read_own(const Task& task, const Names& columns, const fs::path& dev, const fs::path& data,
                 RowsNeeded needed) {
  const auto read = [&](const fs::path& file) {
    return examples_of(task, read_table(file, {.choices = {columns}}), {});
  };
  Dataset dataset;
  dataset.train_file = data;
  dataset.scored_files = {dev.empty() ? data : dev};
  if (!task.regression) dataset.notes.push_back(classes_note(task, data));
  if (dev.empty()) {
    std::vector<Example> rows = read(data);
    const std::vector<Split> splits = divide(rows, data, dataset.notes);
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows_of(dataset, splits[i]).push_back(std::move(rows[i]));
  } else {
    if (needed == RowsNeeded::all) dataset.train = read(data);
    dataset.dev = read(dev);
  }
  return dataset;
}

}  // namespace

Task table_task(const TaskChoice& choice) {
  const Names columns = columns_of(choice);
  Task task;
  task.name = choice.task;
  task.has_pair = columns.size() == 3;
  task.metrics = {choice.metric.empty() ? "accuracy" : choice.metric};
  task.regression = is_correlation_metric(task.metrics.front());
  if (task.regression) {
    task.labels = 1;
  } else {
    task.classes = choice.classes.empty() ? find_classes(choice.data, columns) : choice.classes;
    task.labels = task.classes.size();
    if (task.labels != 2 && needs_two_classes(task.metrics.front()))
      throw UsageError("--metric {} is for two classes; {} has {}; expected accuracy",
                       task.metrics.front(), file_text(choice.data), task.labels);
  }
  if (!choice.dev.empty() && !is_table_file(choice.dev))
    throw UsageError("--dev {}: expected a file .tsv, .csv or .jsonl", printable(choice.dev, 300));
  task.read = [columns, dev = fs::path(choice.dev)](const Task& self, const fs::path& data,
                                                    RowsNeeded needed) {
    return read_own(self, columns, dev, data, needed);
  };
  return task;
}

}  // namespace rankfold
