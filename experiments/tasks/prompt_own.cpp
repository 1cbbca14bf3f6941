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

/// The fields of the prompt, and the label's column behind them.
std::vector<std::string> prompt_columns(const OwnPrompt& own, const PromptTask& task) {
  std::vector<std::string> columns;
  for (const std::string& field : PromptTemplate(task.prompt, "--prompt").fields())
    if (std::ranges::find(columns, field) == columns.end()) columns.push_back(field);
  if (std::ranges::find(columns, own.label) != columns.end())
    throw UsageError("--prompt: '{}' asks with the label's column '{}', expected {{label}} alone",
                     printable(own.prompt, 200), printable(own.label, 80));
  columns.push_back(own.label);
  return columns;
}

std::vector<PromptExample> write_table(const PromptTask& task, const std::filesystem::path& file,
                                       const std::vector<std::string>& columns) {
  const Table table = read_table(file, {.choices = {columns}});
  const PromptWriter writer(task);
  std::vector<PromptExample> examples;
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
    examples.push_back(writer.write(row));
  }
  return examples;
}

}  // namespace

OwnPromptDataset load_own_prompt_dataset(const OwnPrompt& own) {
  const std::vector<std::string> classes =
      own.classes.empty() ? find_classes(own.data, {own.label}) : own.classes;
  OwnPromptDataset loaded{own_prompt_task(own.prompt, classes), {}};
  const std::vector<std::string> columns = prompt_columns(own, loaded.task);
  PromptDataset& rows = loaded.rows;
  rows.train_file = own.data;
  rows.dev_file = own.dev.empty() ? own.data : own.dev;
  if (!own.dev.empty()) {
    rows.train = write_table(loaded.task, own.data, columns);
    rows.dev = write_table(loaded.task, own.dev, columns);
    return loaded;
  }
  for (PromptExample& example : write_table(loaded.task, own.data, columns)) {
    Example by_text;
    by_text.text = example.prompt;
    const Split part = table_split(by_text);
    auto& examples = part == Split::train      ? rows.train
                     : part == Split::held_out ? rows.held_out
                                               : rows.dev;
    examples.push_back(std::move(example));
  }
  if (rows.train.empty() || rows.dev.empty())
    throw Error(
        "{}: a hash of the prompts puts {} of its rows in train and {} in dev, expected both; give "
        "--dev FILE",
        printable(own.data.string()), rows.train.size(), rows.dev.size());
  return loaded;
}

}  // namespace rankfold
