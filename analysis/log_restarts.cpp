#include "analysis/log_restarts.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <map>
#include <set>

#include <fmt/core.h>

#include "core/text.h"

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

  /// By the earlier file: what later ones have too.
  std::map<std::uint32_t, LeftOut> drop_repeated() {
    std::map<std::uint32_t, LeftOut> left_out;
    for (const SortedRun* run : runs_) {
      if (runs_.empty() || file_of(*run) == file_of(*runs_.front())) continue;
      note_spans(*run);
    }
    std::set<std::pair<std::uint32_t, std::int64_t>> later;
    for (std::size_t at = runs_.size(); at > 0; --at) {
      SortedRun& run = *runs_[at - 1];
      const std::uint32_t file = file_of(run);
      filter(run, [&](const ScalarRow& row) {
        const auto span = spans_.find(row.tag);
        if (span == spans_.end() || file >= span->second.file || row.step < span->second.first ||
            row.step > span->second.last || !later.contains({row.tag, row.step}))
          return false;
        left_out[file].add(row.step);
        return true;
      });
      // The runs of one file do not replace each other.
      if (at == 1 || file_of(*runs_[at - 2]) != file)
        for (std::size_t other = at - 1; other < runs_.size() && file_of(*runs_[other]) == file;
             ++other)
          for (const ScalarRow& row : rows_of(*runs_[other], store_))
            if (spans_.contains(row.tag)) later.emplace(row.tag, row.step);
    }
    return left_out;
  }

 private:
  /// Steps of a tag in all files but the first, and the last such file.
  struct Span {
    std::int64_t first, last;
    std::uint32_t file;
  };

  void note_spans(const SortedRun& run) {
    for (const ScalarRow& row : rows_of(run, store_)) {
      const auto [span, is_new] = spans_.emplace(row.tag, Span{row.step, row.step, row.file});
      if (is_new) continue;
      span->second.first = std::min(span->second.first, row.step);
      span->second.last = std::max(span->second.last, row.step);
      span->second.file = std::max(span->second.file, row.file);
    }
  }

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
  std::map<std::uint32_t, Span> spans_;
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
      told.push_back({paths[file], fmt::format("{} left out, which a later file of the folder has "
                                               "again without marking a restart",
                                               left_out.points())});
  }
  std::erase_if(runs, [](const SortedRun& run) { return run.count == 0; });
  std::ranges::sort(told, {}, &CollectReport::Problem::file);
  return told;
}

}  // namespace rankfold
