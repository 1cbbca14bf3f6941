#include "experiments/runs/run_names.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include <fmt/core.h>

#include "core/base/text.h"
#include "experiments/runs/setting_rules.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// The last `count` names of a path.
std::string end_of_path(const std::string& path, std::size_t count) {
  std::vector<std::string> names;
  for (const std::string& name : split(path, '/'))
    if (!name.empty() && name != ".") names.push_back(name);
  if (names.size() > count) names.erase(names.begin(), names.end() - static_cast<long>(count));
  return names.empty() ? path : join(names, "/");
}

/// For every path the shortest end that no other path has.
std::map<std::string, std::string> ends_that_differ(const std::set<std::string>& paths) {
  std::map<std::string, std::set<std::string>> by_name;
  for (const std::string& path : paths) by_name[end_of_path(path, 1)].insert(path);
  std::map<std::string, std::string> ends;
  for (const auto& [name, alike] : by_name) {
    constexpr std::size_t deepest = 64;
    std::size_t count = 0;
    std::set<std::string> distinct;
    do {
      distinct.clear();
      ++count;
      for (const std::string& path : alike) distinct.insert(end_of_path(path, count));
    } while (distinct.size() < alike.size() && count < deepest);
    for (const std::string& path : alike) ends[path] = end_of_path(path, count);
  }
  return ends;
}

std::string plain_path(const std::string& path) {
  std::string plain = fs::path(path).lexically_normal().string();
  while (plain.size() > 1 && plain.back() == '/') plain.pop_back();
  return plain;
}

/// "1a2b3c4d/5e6f7081" of "xxh64-1a2b3c4d.../xxh64-5e6f7081...".
std::string short_print(const std::string& fingerprint) {
  constexpr std::size_t shown = 8;
  std::vector<std::string> parts = split(fingerprint, '/');
  for (std::string& part : parts) part = part.substr(part.find('-') + 1).substr(0, shown);
  return join(parts, "/");
}

/// A folder that was read, and the fingerprint of what was read there ("": unknown), among those
/// that should have read the same there.
struct ReadFolder {
  std::string* path;
  std::string fingerprint, group;
  std::string mark = "";  ///< behind its name, where others of its path hold something else
};

/// Folders are what they hold: several of one content get the path of one, those of one path and
/// several contents get marks ("glue@1a2b3c4d").
void mark_contents(std::vector<ReadFolder>& folders) {
  std::map<std::pair<std::string, std::string>, std::string> path_of;  // group, fingerprint
  for (const ReadFolder& folder : folders) {
    if (folder.fingerprint.empty()) continue;
    const auto [path, is_new] =
        path_of.emplace(std::pair(folder.group, folder.fingerprint), *folder.path);
    if (!is_new) path->second = std::min(path->second, *folder.path);
  }
  std::map<std::pair<std::string, std::string>, std::set<std::string>> contents;  // group, path
  for (const ReadFolder& folder : folders) {
    if (folder.fingerprint.empty()) continue;
    *folder.path = path_of.at({folder.group, folder.fingerprint});
    contents[{folder.group, *folder.path}].insert(folder.fingerprint);
  }
  for (ReadFolder& folder : folders)
    if (!folder.fingerprint.empty() && contents[{folder.group, *folder.path}].size() > 1)
      folder.mark = "@" + short_print(folder.fingerprint);
}

/// Gives every folder a name instead of its path.
void give_names(std::vector<ReadFolder> folders) {
  mark_contents(folders);
  std::set<std::string> paths;
  for (const ReadFolder& folder : folders) paths.insert(*folder.path);
  const auto names = ends_that_differ(paths);
  for (const ReadFolder& folder : folders) *folder.path = names.at(*folder.path) + folder.mark;
}

/// A setting that is none after this.
std::string taken(ResultRow& row, const char* key) {
  const auto found = row.settings.find(key);
  if (found == row.settings.end()) return "";
  std::string value = std::move(found->second);
  row.settings.erase(found);
  return value;
}

}  // namespace

void name_folders(const std::vector<RunView>& runs, std::vector<std::string>& notes) {
  std::vector<ReadFolder> models, data;
  for (const RunView& run : runs) {
    ResultRow& row = *run.row;
    const std::string model_print = taken(row, model_fingerprint_key),
                      data_print = taken(row, data_fingerprint_key);
    if (run.is_run_file()) {
      row.model_path = plain_path(row.model_path);
      models.push_back({&row.model_path, model_print, ""});
    }
    const auto found = row.settings.find("data");
    if (found == row.settings.end() || found->second.empty()) continue;
    found->second = plain_path(found->second);
    const auto setting = [&](const char* name) {
      const auto place = row.settings.find(name);
      return place == row.settings.end() ? std::string() : place->second;
    };
    // Rows of a task that is asked in words are drawn by the seed.
    const std::string drawn_by = setting("scoring") == "prompt" ? row.seed : "";
    data.push_back({&found->second, data_print,
                    fmt::format("{}\n{}\n{}\n{}", row.task, row.train_rows.value_or(0),
                                setting("score-on"), drawn_by)});
  }
  give_names(std::move(models));
  give_names(std::move(data));
  std::set<std::string> split_names;
  for (const RunView& run : runs) {
    if (!run.is_run_file()) continue;
    run.row->model = run.row->model_path;
    if (run.row->model.find_first_of("/@") != std::string::npos) split_names.insert(run.row->model);
  }
  if (!split_names.empty())
    notes.push_back(fmt::format(
        "models of one name that differ, or lie in different folders, are told apart: {}",
        printable(join(std::vector<std::string>(split_names.begin(), split_names.end()), ", "),
                  400)));
}

}  // namespace rankfold
