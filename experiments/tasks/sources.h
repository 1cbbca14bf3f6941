#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/base/bounds.h"
#include "core/base/error.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// The tasks of each source, with the readers behind load_dataset, which documents them.
std::vector<Task> glue_tasks();
std::vector<Task> sentiment_tasks();

/// A file of a task of GLUE that has classes: the texts' columns, and the label's behind them,
/// whatever they are called there. Adds the class of each row. Throws Error as read_table and
/// take_class.
Table read_glue_table(std::string_view task, const std::filesystem::path& file,
                      std::vector<std::size_t>& classes);

/// The task of a table of one's own, by a head.
Task table_task(const TaskChoice& choice);
/// The columns of its texts.
std::vector<std::string> text_columns(const TaskChoice& choice);
/// The classes of a table whose last column, of these, is the label, as TaskChoice::classes says.
/// Errors end with what fits labels that are numbers.
std::vector<std::string> find_classes(
    const std::filesystem::path& file, const std::vector<std::string>& columns,
    std::string_view of_numbers = "--metric pearson or spearman fits numbers");

/// The rows of a table whose columns are one or two texts and behind them the label: a number
/// within `range`, or a class by name (`by_number`: or position).
struct LabelReading {
  Bounds range = unbounded;
  bool by_number = false;
};
std::vector<Example> examples_of(const Task& task, Table table, const LabelReading& labels);

/// The examples, of a split that score-on names. Throws UsageError where there are none.
template <class Rows>
const Rows& expect_examples(const Task& task, const std::string& score_on, const Rows& rows) {
  if (rows.empty())
    throw UsageError("--score-on {}: task {} has no such examples", score_on, task.name);
  return rows;
}

/// The rows of a split.
template <class Rows>
auto& rows_of(Rows& dataset, Split split) {
  return split == Split::train      ? dataset.train
         : split == Split::held_out ? dataset.held_out
                                    : dataset.dev;
}

/// Where table_split puts each row of a table; a note tells how many. Throws Error naming the file
/// where train or dev stay empty.
std::vector<Split> divide(std::span<const Example> rows, const std::filesystem::path& file,
                          std::vector<std::string>& notes);

/// How many of the scored rows have the texts of one to train on (texts_hash).
template <class Row>
std::size_t count_shared(const std::vector<Row>& train, const std::vector<Row>& scored) {
  std::unordered_set<std::uint64_t> seen;
  for (const Row& row : train) seen.insert(texts_hash(row));
  return static_cast<std::size_t>(std::ranges::count_if(
      scored, [&](const Row& row) { return seen.contains(texts_hash(row)); }));
}
/// A line that tells of so many of a split's rows.
std::string shared_note(const std::filesystem::path& train_file, std::size_t shared,
                        std::size_t rows, std::string_view split);

/// What a slot of 10 means, 0 to 9: 0 to 6 train, 7 held_out, 8 and 9 dev.
Split split_of_slot(std::uint64_t hash);

}  // namespace rankfold
