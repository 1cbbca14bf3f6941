#include "experiments/tasks/prompt_own.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/sources.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/text_lines.h"

namespace rankfold {
namespace {

std::string label_column(const TaskChoice& choice) {
  return choice.label.empty() ? "label" : choice.label;
}

/// The fields of the prompt, and the label's column behind them.
std::vector<std::string> prompt_columns(const PromptTask& task, const std::string& label) {
  std::vector<std::string> columns;
  for (const std::string& field : PromptTemplate(task.prompt, "--prompt").fields())
    if (std::ranges::find(columns, field) == columns.end()) columns.push_back(field);
  if (std::ranges::find(columns, label) != columns.end())
    throw UsageError("--prompt: asks with the label's column '{}', expected {{label}} alone",
                     printable(label, 80));
  if (columns.empty())
    throw UsageError("--prompt: names no column; expected one in braces, such as {{text}}");
  columns.push_back(label);
  return columns;
}

struct WrittenRow {
  PromptExample example;
  Example texts;  // of the columns that are asked, in the order of their names
};

std::vector<WrittenRow> write_table(const PromptTask& task, const std::filesystem::path& file,
                                    const std::vector<std::string>& columns) {
  const Table table = read_table(file, {.choices = {columns}});
  const PromptWriter writer(task);
  std::vector<WrittenRow> rows;
  for (const TableRow& cells : table.rows) {
    PromptRow row;
    row.line = cells.line;
    row.place = place_of(file, cells.line);
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if (trim(cells.cells[i]).empty())
        throw Error("{}: found no text in column {}, expected one", row.place,
                    in_quotes(columns[i]));
      row.fields[i + 1 < columns.size() ? columns[i] : "label"] = cells.cells[i];
    }
    WrittenRow& written = rows.emplace_back(writer.write(row));
    for (const auto& [name, text] : row.fields)
      if (name != "label") written.texts.text += text + '\n';
  }
  return rows;
}

}  // namespace

PromptTask own_prompt(const TaskChoice& choice) {
  for (const auto& [option, value] : {std::pair("text", &choice.text), {"metric", &choice.metric}})
    if (!value->empty() && *value != "accuracy")
      throw UsageError(
          "--{} is '{}'; a prompt names its columns and is scored by accuracy, expected none",
          option, printable(*value, 80));
  if (!choice.dev.empty() && !is_table_file(choice.dev))
    throw UsageError("--dev {}: expected a file .tsv, .csv or .jsonl", printable(choice.dev, 300));
  const std::string label = label_column(choice);
  return own_prompt_task(
      choice.prompt, choice.classes.empty() ? find_classes(choice.data, {label}) : choice.classes);
}

PromptDataset load_own_prompt_rows(const PromptTask& task, const TaskChoice& choice) {
  const std::vector<std::string> columns = prompt_columns(task, label_column(choice));
  PromptDataset rows;
  rows.train_file = choice.data;
  rows.dev_file = choice.dev.empty() ? choice.data : std::filesystem::path(choice.dev);
  if (!choice.dev.empty()) {
    for (WrittenRow& row : write_table(task, choice.data, columns))
      rows.train.push_back(std::move(row.example));
    for (WrittenRow& row : write_table(task, choice.dev, columns))
      rows.dev.push_back(std::move(row.example));
    return rows;
  }
  for (WrittenRow& row : write_table(task, choice.data, columns)) {
    const Split part = table_split(row.texts);
    auto& examples = part == Split::train      ? rows.train
                     : part == Split::held_out ? rows.held_out
                                               : rows.dev;
    examples.push_back(std::move(row.example));
  }
  const std::string file = printable(choice.data.string());
  if (rows.train.empty() || rows.dev.empty())
    throw Error(
        "{}: a hash of the texts puts {} of its rows in train and {} in dev, expected both; give "
        "--dev FILE",
        file, rows.train.size(), rows.dev.size());
  rows.notes.push_back(
      fmt::format("{}: a hash of the texts puts {} rows in train, {} in held-out, {} in dev", file,
                  rows.train.size(), rows.held_out.size(), rows.dev.size()));
  return rows;
}

}  // namespace rankfold
