#pragma once

#include <filesystem>

#include "experiments/tasks/task.h"

namespace rankfold {

/// The readers behind load_dataset, which documents them. `task` must be one of theirs.
Dataset load_glue(const Task& task, const std::filesystem::path& data, RowsNeeded needed);
Dataset load_sentiment(const Task& task, const std::filesystem::path& data, RowsNeeded needed);

}  // namespace rankfold
