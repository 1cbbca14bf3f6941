#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/sources.h"
#include "experiments/tasks/task_files.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Names = std::vector<std::string>;

/// A task of GLUE as data: its files, columns and classes.
struct GlueSource {
  std::string folder;  ///< GLUE's name
  TableLayout layout;  ///< each choice of columns: the texts, behind them the label
  LabelReading labels = {.by_number = true};
  /// Of each part of dev what stands behind "dev" in its file's name.
  Names dev_endings = {""};
};

constexpr std::string_view glue_forms[] = {".tsv", ".jsonl"};

TaskFiles files_of(const Task& task, const GlueSource& source) {
  TaskFiles files{task.name, source.folder, train_names(glue_forms)};
  for (const std::string& ending : source.dev_endings)
    for (std::string& name : dev_names(glue_forms, ending)) files.names.push_back(std::move(name));
  return files;
}

Dataset read_glue(const Task& task, const GlueSource& source, const fs::path& data,
                  RowsNeeded needed) {
  const fs::path folder = find_task_folder(files_of(task, source), data);
  Dataset dataset;
  const auto read = [&](const fs::path& file) {
    Table table = read_table(file, source.layout);
    dataset.broken_removed += table.broken;
    if (table.broken > 0)
      dataset.notes.push_back(fmt::format(
          "{}: left out {} rows that lack a column, a text or a label, as GLUE's loaders do",
          printable(file.string()), table.broken));
    return examples_of(task, std::move(table), source.labels);
  };
  if (needed == RowsNeeded::all) {
    dataset.train_file = find_task_file(folder, train_names(glue_forms));
    dataset.train = read(dataset.train_file);
  }
  for (std::size_t part = 0; part < source.dev_endings.size(); ++part) {
    const Names names = dev_names(glue_forms, source.dev_endings[part]);
    if (part > 0 && first_there(folder, names).empty()) {
      dataset.notes.push_back(fmt::format("{}: found none of {}; there are no {} scores",
                                          printable(folder.string()), join(names, ", "),
                                          task.parts[part]));
      continue;
    }
    dataset.scored_files.resize(part + 1);
    dataset.scored_files[part] = find_task_file(folder, names);
    for (Example& example : read(dataset.scored_files[part])) {
      example.part = part;
      dataset.dev.push_back(std::move(example));
    }
  }
  return dataset;
}

struct GlueTask {
  Task task;
  std::shared_ptr<const GlueSource> source;
};

GlueTask glue_task(Task task, GlueSource source) {
  task.has_pair = source.layout.choices.front().size() == 3;
  task.labels = task.regression ? 1 : task.classes.size();
  if (source.dev_endings.size() > 1) task.parts = {"", "mismatched"};
  const auto shared = std::make_shared<const GlueSource>(std::move(source));
  task.read = [shared](const Task& self, const fs::path& data, RowsNeeded needed) {
    return read_glue(self, *shared, data, needed);
  };
  return {std::move(task), shared};
}

// The columns of each file as GLUE ships it come first, then those of the GLUE data set on the
// Hub, then SuperGLUE's. The order of the classes is the Hub's.
std::vector<GlueTask> make_glue_tasks() {
  const Names entailment = {"entailment", "not_entailment"};
  const Names premise = {"premise", "hypothesis", "label"};
  const Names sentences = {"sentence1", "sentence2", "label"};
  return {
      glue_task({.name = "cola",
                 .metrics = {"matthews_correlation"},
                 .classes = {"unacceptable", "acceptable"}},
                {.folder = "CoLA",
                 .layout = {{{"sentence", "label"}}, {"source", "label", "mark", "sentence"}}}),
      glue_task({.name = "sst2", .metrics = {"accuracy"}, .classes = {"negative", "positive"}},
                {.folder = "SST-2", .layout = {{{"sentence", "label"}, {"text", "label"}}}}),
      glue_task({.name = "stsb", .regression = true, .metrics = {"pearson", "spearman"}},
                {.folder = "STS-B",
                 .layout = {{{"sentence1", "sentence2", "score"}, sentences}},
                 .labels = {.range = {0, 5}}}),
      glue_task({.name = "mrpc",
                 .metrics = {"accuracy", "f1"},
                 .classes = {"not_equivalent", "equivalent"}},
                {.folder = "MRPC", .layout = {{{"#1 String", "#2 String", "Quality"}, sentences}}}),
      glue_task(
          {.name = "qqp", .metrics = {"accuracy", "f1"}, .classes = {"not_duplicate", "duplicate"}},
          {.folder = "QQP",
           .layout = {.choices = {{"question1", "question2", "is_duplicate"},
                                  {"question1", "question2", "label"}},
                      .leaves_out_broken = true}}),
      glue_task({.name = "mnli",
                 .metrics = {"accuracy"},
                 .classes = {"entailment", "neutral", "contradiction"}},
                {.folder = "MNLI",
                 .layout = {{{"sentence1", "sentence2", "gold_label"}, premise}},
                 .dev_endings = {"_matched", "_mismatched"}}),
      glue_task({.name = "qnli", .metrics = {"accuracy"}, .classes = entailment},
                {.folder = "QNLI", .layout = {{{"question", "sentence", "label"}}}}),
      glue_task({.name = "rte", .metrics = {"accuracy"}, .classes = entailment},
                {.folder = "RTE", .layout = {{sentences, premise}}}),
      glue_task(
          {.name = "wnli", .metrics = {"accuracy"}, .classes = {"not_entailment", "entailment"}},
          {.folder = "WNLI", .layout = {{sentences}}}),
  };
}

const std::vector<GlueTask>& all_glue() {
  static const std::vector<GlueTask> all = make_glue_tasks();
  return all;
}

}  // namespace

std::vector<Task> glue_tasks() {
  std::vector<Task> tasks;
  for (const GlueTask& glue : all_glue()) tasks.push_back(glue.task);
  return tasks;
}

Table read_glue_table(std::string_view name, const fs::path& file,
                      std::vector<std::size_t>& labels) {
  for (const auto& [task, source] : all_glue()) {
    if (task.name != name) continue;
    Table table = read_table(file, source->layout);
    const std::size_t label = table.columns.size() - 1;
    for (const TableRow& row : table.rows)
      labels.push_back(take_class(table, row, label, task.classes, source->labels.by_number));
    return table;
  }
  throw Error("'{}' is no task of GLUE", printable(name));
}

}  // namespace rankfold
