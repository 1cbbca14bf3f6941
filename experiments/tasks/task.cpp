#include "experiments/tasks/task.h"

#include <algorithm>
#include <iterator>

#include "core/base/error.h"
#include "core/base/hash.h"
#include "core/base/text.h"
#include "experiments/tasks/prompt_own.h"
#include "experiments/tasks/sources.h"

namespace rankfold {
namespace {

/// What a language model is asked in words. A head has nothing to do with it.
Task asked_task(PromptTask asked) {
  Task task;
  task.name = asked.name;
  task.metrics = asked.metrics;
  task.prompt = std::make_shared<const PromptTask>(std::move(asked));
  return task;
}

std::vector<Task> make_tasks() {
  std::vector<Task> all = glue_tasks();
  for (const PromptTask& asked : prompt_tasks())
    if (std::ranges::find(all, asked.name, &Task::name) == all.end())
      all.push_back(asked_task(asked));
  std::ranges::move(sentiment_tasks(), std::back_inserter(all));
  return all;
}

/// Counts what a model has seen with its label before it is scored on it.
void tell_shared(Dataset& dataset) {
  dataset.shared = count_shared(dataset.train, dataset.dev);
  if (dataset.shared > 0)
    dataset.notes.push_back(
        shared_note(dataset.train_file, dataset.shared, dataset.dev.size(), "dev"));
}

}  // namespace

const std::vector<Task>& tasks() {
  static const std::vector<Task> all = make_tasks();
  return all;
}

const Task& find_task(std::string_view name) {
  std::vector<std::string> names;
  for (const Task& task : tasks()) {
    if (task.name == name) return task;
    names.push_back(task.name);
  }
  throw unknown_name("task", name, names);
}

namespace {

/// Throws UsageError where a task has no use for how it is asked.
void expect_asked_so(const Task& task, const TaskChoice& choice) {
  const bool in_words = choice.in_words();
  if (in_words && !find_prompt_task(task.name)) {
    std::vector<std::string> names;
    for (const PromptTask& asked : prompt_tasks()) names.push_back(asked.name);
    throw UsageError("--scoring prompt: task {} has no prompt; expected one of {}, or head",
                     task.name, join(names, ", "));
  }
  if (!in_words && task.prompt)
    throw UsageError(
        "--task {}: is asked in words alone; expected --scoring prompt and a model that tells next "
        "tokens (llama, gpt2, ...)",
        task.name);
}

/// As table_task, of a prompt of one's own.
Task own_asked_task(const TaskChoice& choice) {
  Task task = asked_task(own_prompt(choice));
  task.name = choice.task;
  task.classes.clear();
  for (const PromptOption& option : task.prompt->options) task.classes.push_back(option.label);
  task.labels = task.classes.size();
  return task;
}

}  // namespace

Task find_task(const TaskChoice& choice) {
  const bool is_known = std::ranges::find(tasks(), choice.task, &Task::name) != tasks().end();
  if (is_table_file(choice.data) && is_known)
    throw UsageError(
        "--data {}: is a file; task {} needs the folder of its files (--task FILE reads "
        "a table of your own)",
        printable(choice.data.string(), 300), choice.task);
  const bool in_words = choice.in_words();
  if (!in_words && !choice.prompt.empty())
    throw UsageError("--prompt is for --scoring prompt, expected none with --scoring head");
  if (is_table_file(choice.data)) {
    if (in_words && choice.prompt.empty())
      throw UsageError(
          "--scoring prompt: a table of your own has no prompt; expected --prompt such as "
          "'Review: {{text}} It was {{label}}'");
    return in_words ? own_asked_task(choice) : table_task(choice);
  }
  const Task& task = find_task(choice.task);
  expect_asked_so(task, choice);
  for (const auto& [option, value] : {std::pair("text", &choice.text),
                                      {"label", &choice.label},
                                      {"dev", &choice.dev},
                                      {"metric", &choice.metric},
                                      {"prompt", &choice.prompt}})
    if (!value->empty())
      throw UsageError(
          "--{} is for a table of your own (--task FILE.tsv, .csv or .jsonl); task {} "
          "has its own",
          option, task.name);
  return in_words ? asked_task(*find_prompt_task(task.name)) : task;
}

std::string table_task_name(const std::filesystem::path& file) {
  const std::string stem = file.stem().string();
  const bool is_taken = std::ranges::find(tasks(), stem, &Task::name) != tasks().end();
  return stem.empty() || is_taken ? file.filename().string() : stem;
}

const std::vector<Example>& examples(const Dataset& dataset, Split split) {
  return rows_of(dataset, split);
}

Split scored_split(const std::string& score_on) {
  if (score_on != "dev" && score_on != "held-out")
    throw UsageError("--score-on is '{}'; expected dev or held-out", printable(score_on));
  return score_on == "dev" ? Split::dev : Split::held_out;
}

const std::vector<Example>& scored_examples(const Task& task, const Dataset& dataset,
                                            const std::string& score_on) {
  return expect_examples(task, score_on, examples(dataset, scored_split(score_on)));
}

Dataset load_dataset(const Task& task, const std::filesystem::path& data, std::size_t max_train,
                     RowsNeeded needed) {
  Dataset dataset = task.read(task, data, needed);
  if (max_train > 0 && dataset.train.size() > max_train) dataset.train.resize(max_train);
  tell_shared(dataset);
  return dataset;
}

std::vector<Example> examples_of(const Task& task, Table table, const LabelReading& labels) {
  const std::size_t label = table.columns.size() - 1;
  std::vector<Example> examples;
  examples.reserve(table.rows.size());
  for (TableRow& row : table.rows) {
    Example example;
    example.text = take_sentence(table, row, 0);
    if (task.has_pair) example.pair = take_sentence(table, row, 1);
    example.label = static_cast<float>(
        task.regression
            ? take_number(table, row, label, labels.range)
            : static_cast<double>(take_class(table, row, label, task.classes, labels.by_number)));
    example.line = row.line;
    examples.push_back(std::move(example));
  }
  return examples;
}

std::vector<Split> divide(std::span<const Example> rows, const std::filesystem::path& file,
                          std::vector<std::string>& notes) {
  std::vector<Split> splits;
  for (const Example& row : rows) splits.push_back(table_split(row));
  const auto count = [&](Split split) { return std::ranges::count(splits, split); };
  const auto train = count(Split::train), dev = count(Split::dev);
  if (train == 0 || dev == 0)
    throw Error(
        "{}: a hash of the texts puts {} of its rows in train and {} in dev, expected both; give "
        "--dev FILE",
        printable(file.string()), train, dev);
  notes.push_back(
      fmt::format("{}: a hash of the texts puts {} rows in train, {} in held-out, {} in dev",
                  printable(file.string()), train, count(Split::held_out), dev));
  return splits;
}

std::string shared_note(const std::filesystem::path& train_file, std::size_t shared,
                        std::size_t rows, std::string_view split) {
  return fmt::format("{}: {} of the {} rows of {} stand in train, too (the same texts)",
                     printable(train_file.string()), shared, rows, split);
}

std::string normalise_text(std::string_view text) {
  std::string normal;
  normal.reserve(text.size());
  bool space = false;
  for (char c : text) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      space = !normal.empty();
      continue;
    }
    if (space) normal += ' ';
    space = false;
    normal += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return normal;
}

std::uint64_t text_hash(std::string_view text) {
  return fnv1a(normalise_text(text));
}

std::uint64_t texts_hash(const Example& example) {
  const std::uint64_t first = text_hash(example.text);
  // No normalised text holds a line end.
  return example.pair.empty() ? first : fnv1a('\n' + normalise_text(example.pair), first);
}

Split split_of_slot(std::uint64_t hash) {
  const std::uint64_t slot = hash % 10;
  if (slot < 7) return Split::train;
  return slot == 7 ? Split::held_out : Split::dev;
}

Split sentiment_split(std::string_view text) {
  return split_of_slot(text_hash(text));
}

Split table_split(const Example& example) {
  return split_of_slot(texts_hash(example));
}

std::vector<std::string> dividing_columns(const TaskChoice& choice) {
  return choice.in_words() ? asked_columns(choice) : text_columns(choice);
}

}  // namespace rankfold
