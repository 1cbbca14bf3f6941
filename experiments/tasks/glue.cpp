#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/sources.h"

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

Names train_names() {
  return {"train.tsv", "train.jsonl"};
}

/// dev.tsv, ...: what GLUE, SuperGLUE and the Hub call the rows to score.
Names dev_names(const std::string& ending) {
  Names names;
  for (const char* form : {".tsv", ".jsonl"})
    for (const char* word : {"dev", "val", "validation"}) names.push_back(word + ending + form);
  return names;
}

Names all_names(const GlueSource& source) {
  Names names = train_names();
  for (const std::string& ending : source.dev_endings)
    for (std::string& name : dev_names(ending)) names.push_back(std::move(name));
  return names;
}

/// The first of the names that lies in the folder, or "".
std::string first_there(const fs::path& folder, const Names& names) {
  std::error_code error;
  const auto found = std::ranges::find_if(
      names, [&](const std::string& name) { return fs::exists(folder / name, error); });
  return found == names.end() ? "" : *found;
}

/// `data` itself where it holds one of the task's files, otherwise the task's folder in it.
fs::path find_folder(const Task& task, const GlueSource& source, const fs::path& data) {
  std::error_code error;
  if (!fs::is_directory(data, error)) {
    throw Error("{}: found no such folder, expected the data of task '{}'",
                printable(data.string()), task.name);
  }
  if (!first_there(data, all_names(source)).empty()) return data;

  std::vector<std::tuple<int, std::string>> candidates;  // exact names come first
  fs::directory_iterator entry(data, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code unknown_kind;
    if (!entry->is_directory(unknown_kind)) continue;
    const std::string name = entry->path().filename().string();
    const std::string lower = normalise_text(name);
    if (lower != normalise_text(source.folder) && lower != task.name) continue;
    candidates.emplace_back(name == source.folder ? 0 : name == task.name ? 1 : 2, name);
  }
  if (error) {
    throw Error("{}: cannot be listed: {}", printable(data.string()), error.message());
  }
  if (candidates.empty()) {
    throw Error("{}: found neither {} nor a folder {}, expected them for task '{}'",
                printable(data.string()), join(all_names(source), ", "), source.folder, task.name);
  }
  return data / std::get<1>(*std::min_element(candidates.begin(), candidates.end()));
}

fs::path find_file(const fs::path& folder, const Names& names) {
  const std::string name = first_there(folder, names);
  if (name.empty())
    throw Error("{}: found none of {}, expected one", printable(folder.string()),
                join(names, ", "));
  return folder / name;
}

Dataset read_glue(const Task& task, const GlueSource& source, const fs::path& data,
                  RowsNeeded needed) {
  const fs::path folder = find_folder(task, source, data);
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
    dataset.train_file = find_file(folder, train_names());
    dataset.train = read(dataset.train_file);
  }
  for (std::size_t part = 0; part < source.dev_endings.size(); ++part) {
    const Names names = dev_names(source.dev_endings[part]);
    if (part > 0 && first_there(folder, names).empty()) {
      dataset.notes.push_back(fmt::format("{}: found none of {}; there are no {} scores",
                                          printable(folder.string()), join(names, ", "),
                                          task.parts[part]));
      continue;
    }
    dataset.scored_files.resize(part + 1);
    dataset.scored_files[part] = find_file(folder, names);
    for (Example& example : read(dataset.scored_files[part])) {
      example.part = part;
      dataset.dev.push_back(std::move(example));
    }
  }
  return dataset;
}

Task glue_task(Task task, GlueSource source) {
  task.has_pair = source.layout.choices.front().size() == 3;
  task.labels = task.regression ? 1 : task.classes.size();
  if (source.dev_endings.size() > 1) task.parts = {"", "mismatched"};
  const auto shared = std::make_shared<const GlueSource>(std::move(source));
  task.read = [shared](const Task& self, const fs::path& data, RowsNeeded needed) {
    return read_glue(self, *shared, data, needed);
  };
  return task;
}

}  // namespace

// The columns of each file as GLUE ships it come first, then those of the GLUE data set on the
// Hub, then SuperGLUE's. The order of the classes is the Hub's.
std::vector<Task> glue_tasks() {
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
                {.folder = "SST-2", .layout = {{{"sentence", "label"}}}}),
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

}  // namespace rankfold
