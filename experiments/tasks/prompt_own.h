#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "experiments/tasks/prompt_data.h"
#include "experiments/tasks/prompt_task.h"

namespace rankfold {

/// A prompt of the user's own over a table of their own.
struct OwnPrompt {
  std::string prompt;              ///< see own_prompt_task; its fields are columns
  std::filesystem::path data;      ///< .tsv, .csv or .jsonl, see read_table
  std::string label = "label";     ///< the column that stands for {label}
  std::filesystem::path dev = {};  ///< a table with the rows to score; empty: a part of `data`
  std::vector<std::string> classes = {};  ///< of a model that is there already; empty: the table's
};

struct OwnPromptDataset {
  PromptTask task;
  PromptDataset rows;
};

/// Every row of the table, in its order; without a table of dev rows table_split of the filled
/// prompts divides them, so that rows of one prompt never straddle. Throws UsageError as
/// own_prompt_task; Error naming file, line and column as read_table: a column that is missing, a
/// cell without text, a label that is no class; no rows in train or dev.
OwnPromptDataset load_own_prompt_dataset(const OwnPrompt& own);

}  // namespace rankfold
