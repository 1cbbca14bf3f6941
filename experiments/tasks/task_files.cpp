#include "experiments/tasks/task_files.h"

#include <algorithm>
#include <system_error>
#include <tuple>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/task.h"

namespace rankfold {

namespace fs = std::filesystem;

std::vector<std::string> train_names(std::span<const std::string_view> forms) {
  std::vector<std::string> names;
  for (const std::string_view form : forms) names.push_back(fmt::format("train{}", form));
  return names;
}

std::vector<std::string> dev_names(std::span<const std::string_view> forms, std::string_view part) {
  std::vector<std::string> names;
  for (const std::string_view form : forms)
    for (const char* word : {"dev", "val", "validation"})
      names.push_back(fmt::format("{}{}{}", word, part, form));
  return names;
}

std::string first_there(const fs::path& folder, const std::vector<std::string>& names) {
  std::error_code error;
  const auto found = std::ranges::find_if(
      names, [&](const std::string& name) { return fs::exists(folder / name, error); });
  return found == names.end() ? "" : *found;
}

fs::path find_task_folder(const TaskFiles& files, const fs::path& data) {
  std::error_code error;
  if (!fs::is_directory(data, error)) {
    throw Error("{}: found no such folder, expected the data of task '{}'",
                printable(data.string()), files.task);
  }
  if (!first_there(data, files.names).empty()) return data;

  std::vector<std::tuple<int, std::string>> candidates;  // exact names come first
  fs::directory_iterator entry(data, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code unknown_kind;
    if (!entry->is_directory(unknown_kind)) continue;
    const std::string name = entry->path().filename().string();
    const std::string lower = normalise_text(name);
    if (lower != normalise_text(files.folder) && lower != files.task) continue;
    candidates.emplace_back(name == files.folder ? 0 : name == files.task ? 1 : 2, name);
  }
  if (error) {
    throw Error("{}: cannot be listed: {}", printable(data.string()), error.message());
  }
  if (candidates.empty()) {
    throw Error("{}: found neither {} nor a folder {}, expected them for task '{}'",
                printable(data.string()), join(files.names, ", "), files.folder, files.task);
  }
  return data / std::get<1>(*std::min_element(candidates.begin(), candidates.end()));
}

fs::path find_task_file(const fs::path& folder, const std::vector<std::string>& names) {
  const std::string name = first_there(folder, names);
  if (name.empty())
    throw Error("{}: found none of {}, expected one", printable(folder.string()),
                join(names, ", "));
  return folder / name;
}

}  // namespace rankfold
