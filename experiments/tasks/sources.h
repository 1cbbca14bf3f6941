#pragma once

#include <vector>

#include "core/base/bounds.h"
#include "core/base/error.h"
#include "experiments/tasks/table_file.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// The tasks of each source, with the readers behind load_dataset, which documents them.
std::vector<Task> glue_tasks();
std::vector<Task> sentiment_tasks();

/// The task of a table of one's own, by a head.
Task table_task(const TaskChoice& choice);
/// The classes of a table whose last column, of these, is the label, as TaskChoice::classes says.
std::vector<std::string> find_classes(const std::filesystem::path& file,
                                      const std::vector<std::string>& columns);

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

/// What a slot of 10 means, 0 to 9: 0 to 6 train, 7 held_out, 8 and 9 dev.
Split split_of_slot(std::uint64_t hash);

}  // namespace rankfold
