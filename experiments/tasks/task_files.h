#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// Names that the rows to train on have: train.tsv, ..., with these endings, the first one's first.
std::vector<std::string> train_names(std::span<const std::string_view> forms);
/// What GLUE, SuperGLUE and the Hub call the rows to score: dev, val or validation, then `part` (of
/// MNLI "_matched") and one of the endings.
std::vector<std::string> dev_names(std::span<const std::string_view> forms,
                                   std::string_view part = "");

/// A task's files: in a folder that is called after it or as GLUE and SuperGLUE name it, which
/// another one may hold.
struct TaskFiles {
  std::string task;
  std::string folder;
  std::vector<std::string> names = {};  ///< any of which tells the folder
};

/// `data` itself where it holds one of the files, otherwise the task's folder in it, whose name may
/// be in any case. Throws Error naming `data` where there is none.
std::filesystem::path find_task_folder(const TaskFiles& files, const std::filesystem::path& data);

/// The first of the names that lies in the folder, or "".
std::string first_there(const std::filesystem::path& folder, const std::vector<std::string>& names);

/// The same as a path. Throws Error naming the folder where there is none.
std::filesystem::path find_task_file(const std::filesystem::path& folder,
                                     const std::vector<std::string>& names);

}  // namespace rankfold
