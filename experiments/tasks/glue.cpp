#include <algorithm>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/sources.h"
#include "experiments/tasks/tsv.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::string glue_name(const Task& task) {
  if (task.name == "cola") return "CoLA";
  if (task.name == "sst2") return "SST-2";
  return "STS-B";
}

/// `data` itself where it holds train.tsv or dev.tsv, otherwise the task's folder in it.
fs::path find_folder(const Task& task, const fs::path& data) {
  std::error_code error;
  if (!fs::is_directory(data, error)) {
    throw Error("{}: found no such folder, expected the data of task '{}'",
                printable(data.string()), task.name);
  }
  if (fs::exists(data / "train.tsv", error) || fs::exists(data / "dev.tsv", error)) return data;

  const std::string glue = glue_name(task);
  std::vector<std::tuple<int, std::string>> candidates;  // exact names come first
  fs::directory_iterator entry(data, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code unknown_kind;
    if (!entry->is_directory(unknown_kind)) continue;
    const std::string name = entry->path().filename().string();
    const std::string lower = normalise_text(name);
    if (lower != normalise_text(glue) && lower != task.name) continue;
    candidates.emplace_back(name == glue ? 0 : name == task.name ? 1 : 2, name);
  }
  if (error) {
    throw Error("{}: cannot be listed: {}", printable(data.string()), error.message());
  }
  if (candidates.empty()) {
    throw Error("{}: found neither train.tsv, dev.tsv nor a folder {}, expected them for task '{}'",
                printable(data.string()), glue, task.name);
  }
  return data / std::get<1>(*std::min_element(candidates.begin(), candidates.end()));
}

struct Columns {
  std::size_t text = 0;
  std::optional<std::size_t> pair;
  std::size_t label = 0;
};

std::vector<Example> read_examples(const Task& task, const fs::path& file) {
  const bool header = task.name != "cola";
  std::vector<TsvRow> rows = read_tsv(file, header ? 0 : 4);
  Columns columns{3, std::nullopt, 1};
  if (header) {
    if (task.has_pair) {
      columns = {find_column(file, rows[0], "sentence1"), find_column(file, rows[0], "sentence2"),
                 find_column(file, rows[0], "score")};
    } else {
      columns = {find_column(file, rows[0], "sentence"), std::nullopt,
                 find_column(file, rows[0], "label")};
    }
    rows.erase(rows.begin());
    if (rows.empty())
      throw Error("{}: found a header and no rows, expected rows", printable(file.string()));
  }

  std::vector<Example> examples;
  examples.reserve(rows.size());
  for (TsvRow& row : rows) {
    Example example;
    example.text = take_sentence(file, row, columns.text);
    if (columns.pair) example.pair = take_sentence(file, row, *columns.pair);
    example.label = task.regression
                        ? static_cast<float>(take_number(file, row, columns.label, 0.0, 5.0))
                        : take_class(file, row, columns.label);
    example.line = row.line;
    examples.push_back(std::move(example));
  }
  return examples;
}

}  // namespace

Dataset load_glue(const Task& task, const fs::path& data, RowsNeeded needed) {
  const fs::path folder = find_folder(task, data);
  Dataset dataset;
  dataset.train_file = folder / "train.tsv";
  dataset.scored_file = folder / "dev.tsv";
  if (needed == RowsNeeded::all) dataset.train = read_examples(task, dataset.train_file);
  dataset.dev = read_examples(task, dataset.scored_file);
  return dataset;
}

}  // namespace rankfold
