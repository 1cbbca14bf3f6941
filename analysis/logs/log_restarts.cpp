#include "analysis/logs/log_restarts.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>
#include <span>

#include <fmt/core.h>

#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::uint32_t file_of(const SortedRun& run) {
  return static_cast<std::uint32_t>(run.order >> 32);
}

std::vector<ScalarRow> rows_of(const SortedRun& run, const RunStore& store) {
  if (!run.rows.empty()) return run.rows;
  std::vector<ScalarRow> rows(run.count);
  store.read(run, 0, rows);
  return rows;
}

/// What was left out of the files of a folder for one cause.
struct LeftOut {
  std::size_t count = 0;
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last = std::numeric_limits<std::int64_t>::min();

  void add(std::int64_t step) {
    ++count;
    first = std::min(first, step);
    last = std::max(last, step);
  }
  std::string points() const {
    return fmt::format(
        "{} earlier scalar{} of step{} {}", count, count == 1 ? "" : "s", first == last ? "" : "s",
        first == last ? std::to_string(first) : fmt::format("{} to {}", first, last));
  }
};

/// The files of one folder.
class FolderLogs {
 public:
  FolderLogs(std::vector<SortedRun*> runs, std::vector<RestartMark> marks, RunStore& store)
      : runs_(std::move(runs)), marks_(std::move(marks)), store_(store) {}

  /// By the file that restarts.
  std::map<std::uint32_t, LeftOut> drop_marked() {
    std::map<std::uint32_t, LeftOut> left_out;
    for (SortedRun* run : runs_) {
      std::vector<const RestartMark*> later;
      for (const RestartMark& mark : marks_)
        if (mark.order > run->order) later.push_back(&mark);
      if (later.empty()) continue;
      filter(*run, [&](const ScalarRow& row) {
        const auto voids = std::ranges::find_if(later, [&](const RestartMark* mark) {
          return row.step >= mark->step && (mark->tag == every_tag || mark->tag == row.tag);
        });
        if (voids == later.end()) return false;
        left_out[(*voids)->file].add(row.step);
        return true;
      });
    }
    return left_out;
  }

  /// By the earlier file: what a later one has again, and what comes after it.
  std::map<std::uint32_t, LeftOut> drop_repeated() {
    std::map<std::uint32_t, LeftOut> left_out;
    std::set<std::uint32_t> shared;  // tags of several files: the others need no looking at
    std::map<std::uint32_t, std::uint32_t> first_file;
    for (const SortedRun* run : runs_)
      for (const ScalarRow& row : rows_of(*run, store_))
        if (first_file.emplace(row.tag, row.file).first->second != row.file) shared.insert(row.tag);
    if (shared.empty()) return left_out;
    std::set<std::pair<std::uint32_t, std::int64_t>> later;  // tag, step
    for (std::size_t end = runs_.size(); end > 0;) {
      // The runs of one file do not replace each other.
      std::size_t begin = end;
      while (begin > 0 && file_of(*runs_[begin - 1]) == file_of(*runs_[end - 1])) --begin;
      const std::span<SortedRun* const> of_file(runs_.data() + begin, end - begin);
      std::map<std::uint32_t, std::int64_t> first_again;  // by tag
      std::vector<ScalarRow> rows;
      for (const SortedRun* run : of_file)
        for (const ScalarRow& row : rows_of(*run, store_))
          if (shared.contains(row.tag)) rows.push_back(row);
      for (const ScalarRow& row : rows) {
        if (!later.contains({row.tag, row.step})) continue;
        const auto [first, is_new] = first_again.emplace(row.tag, row.step);
        if (!is_new) first->second = std::min(first->second, row.step);
      }
      for (const ScalarRow& row : rows) later.emplace(row.tag, row.step);
      for (SortedRun* run : of_file)
        filter(*run, [&](const ScalarRow& row) {
          const auto first = first_again.find(row.tag);
          if (first == first_again.end() || row.step < first->second) return false;
          left_out[row.file].add(row.step);
          return true;
        });
      end = begin;
    }
    return left_out;
  }

 private:
  void filter(SortedRun& run, const std::function<bool(const ScalarRow&)>& is_void) {
    std::vector<ScalarRow> rows = rows_of(run, store_);
    const std::size_t before = rows.size();
    std::erase_if(rows, is_void);
    if (rows.size() == before) return;
    run = rows.empty() ? SortedRun{run.order, 0, {}, 0} : store_.keep(run.order, rows);
  }

  std::vector<SortedRun*> runs_;
  std::vector<RestartMark> marks_;
  RunStore& store_;
};

}  // namespace

std::vector<CollectReport::Problem> leave_out_restarted(std::vector<SortedRun>& runs,
                                                        const std::vector<RestartMark>& marks,
                                                        const std::vector<fs::path>& paths,
                                                        RunStore& store) {
  struct Folder {
    std::vector<SortedRun*> runs;
    std::vector<RestartMark> marks;
    std::set<std::uint32_t> files;
  };
  std::map<fs::path, Folder> folders;
  for (SortedRun& run : runs) {
    Folder& folder = folders[paths[file_of(run)].parent_path()];
    folder.runs.push_back(&run);
    folder.files.insert(file_of(run));
  }
  for (const RestartMark& mark : marks) {
    const auto folder = folders.find(paths[mark.file].parent_path());
    if (folder != folders.end()) folder->second.marks.push_back(mark);
  }
  std::vector<CollectReport::Problem> told;
  for (auto& [path, folder] : folders) {
    if (folder.marks.empty() && folder.files.size() == 1) continue;
    FolderLogs logs(std::move(folder.runs), std::move(folder.marks), store);
    for (const auto& [file, left_out] : logs.drop_marked())
      told.push_back({paths[file], fmt::format("restarts; {} left out, as TensorBoard does",
                                               left_out.points())});
    if (folder.files.size() == 1) continue;
    for (const auto& [file, left_out] : logs.drop_repeated())
      told.push_back({paths[file], fmt::format("{} left out: a later file of the folder has such "
                                               "steps again, without marking a restart",
                                               left_out.points())});
  }
  std::erase_if(runs, [](const SortedRun& run) { return run.count == 0; });
  std::ranges::sort(told, {}, &CollectReport::Problem::file);
  return told;
}

}  // namespace rankfold
