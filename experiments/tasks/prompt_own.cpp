#include "experiments/tasks/prompt_own.h"

#include <algorithm>
#include <set>
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

struct WrittenRows {
  std::vector<PromptExample> examples;
  std::vector<Example> texts;  // of the columns that are asked, in the order of their names
};

WrittenRows write_table(const PromptTask& task, const std::filesystem::path& file,
                        const std::vector<std::string>& columns) {
  const Table table = read_table(file, {.choices = {columns}});
  const PromptWriter writer(task);
  WrittenRows rows;
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
    rows.examples.push_back(writer.write(row));
    std::string& texts = rows.texts.emplace_back().text;
    for (const auto& [name, text] : row.fields)
      if (name != "label") texts += text + '\n';
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
      choice.prompt,
      choice.classes.empty()
          ? find_classes(choice.data, {label},
                         "without a prompt, a head with --metric pearson or spearman fits numbers")
          : choice.classes);
}

std::vector<std::string> asked_columns(const TaskChoice& choice) {
  std::set<std::string> columns;
  for (const std::string& field : PromptTemplate(choice.prompt, "--prompt").fields())
    if (field != "label") columns.insert(field);
  return {columns.begin(), columns.end()};
}

PromptDataset load_own_prompt_rows(const PromptTask& task, const TaskChoice& choice) {
  const std::vector<std::string> columns = prompt_columns(task, label_column(choice));
  PromptDataset rows;
  rows.train_file = choice.data;
  rows.dev_file = choice.dev.empty() ? choice.data : std::filesystem::path(choice.dev);
  WrittenRows written = write_table(task, choice.data, columns);
  if (!choice.dev.empty()) {
    rows.train = std::move(written.examples);
    rows.dev = write_table(task, choice.dev, columns).examples;
    return rows;
  }
  const std::vector<Split> splits = divide(written.texts, choice.data, rows.notes);
  for (std::size_t i = 0; i < splits.size(); ++i)
    rows_of(rows, splits[i]).push_back(std::move(written.examples[i]));
  return rows;
}

}  // namespace rankfold
