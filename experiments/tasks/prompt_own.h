#pragma once

#include "experiments/tasks/prompt_data.h"
#include "experiments/tasks/prompt_task.h"
#include "experiments/tasks/task.h"

namespace rankfold {

/// What asks the rows of a table of one's own by choice.prompt (see own_prompt_task), whose fields
/// are columns and whose {label} is column choice.label. Throws UsageError as own_prompt_task,
/// where the prompt asks with the label's column, and where choice.text or another metric than
/// accuracy is given; Error as find_classes.
PromptTask own_prompt(const TaskChoice& choice);

/// The columns that choice.prompt asks, in the order of their names. Throws UsageError where it is
/// no template.
std::vector<std::string> asked_columns(const TaskChoice& choice);

/// Every row of choice.data, in its order; without choice.dev, a table of the rows to score,
/// table_split of the texts of the columns that are asked divides them, whatever words stand
/// between: rows of the same texts never straddle. Throws Error naming file, line and column as
/// read_table: a column that is missing, a cell without text, a label that is no class; no rows in
/// train or dev.
PromptDataset load_own_prompt_rows(const PromptTask& task, const TaskChoice& choice);

}  // namespace rankfold
