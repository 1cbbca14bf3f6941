#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "experiments/tasks/task.h"

namespace rankfold {

/// How the outputs of a head stand for the classes of a task.
struct ClassOrder {
  /// The output of each class, where the head has the task's classes by name in another order;
  /// empty: they are taken as they stand.
  std::vector<std::size_t> outputs;
  std::string note;  ///< what a user should know of it, "" where there is nothing
};

/// `classes` are the names of the head's outputs, none where it has no names. Case and white space
/// do not count.
ClassOrder class_order(const Task& task, const std::vector<std::string>& classes);

/// The names of a model's outputs in their order (id2label); none where config.json has only
/// LABEL_0, ... Throws Error naming the file where it cannot be read.
std::vector<std::string> model_classes(const std::filesystem::path& model);

}  // namespace rankfold
