#include "analysis/logs/collect.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

#include <fmt/core.h>

#include "analysis/logs/collected_table.h"
#include "analysis/logs/log_restarts.h"
#include "analysis/logs/log_tree.h"
#include "analysis/logs/scalar_files.h"
#include "analysis/logs/scalar_runs.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "experiments/runs/parquet.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// The index that was asked for, or LoTR's: everything but value; tag and step behind the folders,
/// seed behind both.
std::vector<std::string> index_of(const std::vector<LogColumn>& columns,
                                  const std::vector<std::string>& asked) {
  std::vector<std::string> known, index;
  for (const LogColumn& column : columns) {
    known.push_back(column.name);
    if (column.name != "seed") index.push_back(column.name);
  }
  const bool has_seed = index.size() < known.size();
  for (const char* name : {"tag", "step"}) {
    known.push_back(name);
    index.push_back(name);
  }
  if (has_seed) index.push_back("seed");
  if (asked.empty()) return index;
  std::set<std::string> seen;
  for (const std::string& name : asked) {
    if (name == "value")
      throw UsageError("--index: value is what is indexed, no part of the index");
    if (std::ranges::find(known, name) == known.end())
      throw unknown_name("column of --index", name, known);
    if (!seen.insert(name).second)
      throw UsageError("--index: '{}' is given twice", printable(name, 80));
  }
  return asked;
}

/// For every file the place of its values in some columns, compared from the first on.
std::vector<std::uint32_t> combined_places(const LogTree& tree,
                                           const std::vector<std::size_t>& columns) {
  const auto values = [&](std::size_t file) {
    std::vector<std::uint32_t> places;
    for (const std::size_t column : columns) places.push_back(tree.files[file].places[column]);
    return places;
  };
  std::vector<std::vector<std::uint32_t>> distinct;
  for (std::size_t file = 0; file < tree.files.size(); ++file) distinct.push_back(values(file));
  std::ranges::sort(distinct);
  distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
  std::vector<std::uint32_t> combined;
  for (std::size_t file = 0; file < tree.files.size(); ++file)
    combined.push_back(static_cast<std::uint32_t>(std::ranges::lower_bound(distinct, values(file)) -
                                                  distinct.begin()));
  return combined;
}

/// What the index says of tags and steps; it is known before the folders' columns are.
struct ScalarOrder {
  bool tag_first = true, by_tag = true, by_step = true;
};

ScalarOrder scalar_order(const std::vector<std::string>& asked) {
  if (asked.empty()) return {};
  const auto tag = std::ranges::find(asked, "tag"), step = std::ranges::find(asked, "step");
  const bool by_tag = tag != asked.end(), by_step = step != asked.end();
  return {tag < step || (!by_tag && !by_step), by_tag, by_step};
}

/// What the index says of the order, but for the tags.
RowOrder order_of(const LogTree& tree, const std::vector<std::string>& index,
                  const ScalarOrder& scalars) {
  RowOrder order;
  order.by_step = scalars.by_step;
  order.tag_first = scalars.tag_first;
  std::vector<std::size_t> parts[3];
  std::size_t part = 0;
  for (const std::string& name : index) {
    if (name == "tag" || name == "step") {
      ++part;
      continue;
    }
    const auto found = std::ranges::find(tree.columns, name, &LogColumn::name);
    parts[part].push_back(static_cast<std::size_t>(found - tree.columns.begin()));
  }
  order.before = combined_places(tree, parts[0]);
  order.between = combined_places(tree, parts[1]);
  order.behind = combined_places(tree, parts[2]);
  return order;
}

/// Places of tags in alphabetical order, and the tags in that order.
std::vector<std::uint32_t> alphabetical(std::vector<std::string>& tags) {
  std::vector<std::uint32_t> by_name(tags.size()), places(tags.size());
  std::iota(by_name.begin(), by_name.end(), 0u);
  std::ranges::sort(by_name, {},
                    [&](std::uint32_t tag) -> const std::string& { return tags[tag]; });
  std::vector<std::string> sorted;
  for (std::size_t place = 0; place < by_name.size(); ++place) {
    places[by_name[place]] = static_cast<std::uint32_t>(place);
    sorted.push_back(tags[by_name[place]]);
  }
  tags = std::move(sorted);
  return places;
}

/// Where rows go that memory has no room for: beside the file that is made of them.
fs::path folder_for_sorting(const fs::path& out) {
  std::error_code failure;
  if (fs::exists(out, failure) && !fs::is_regular_file(out, failure))
    return fs::temp_directory_path();
  return out.has_parent_path() ? out.parent_path() : fs::path(".");
}

/// Folders of several trees, or names that mean the same (lr=1e-3, lr=0.001), make one run of two.
void note_folders_alike(const LogTree& tree, const std::vector<bool>& kept, CollectReport& report) {
  std::map<std::vector<std::uint32_t>, fs::path> folders;
  std::set<fs::path> told;
  for (std::size_t i = 0; i < tree.files.size(); ++i) {
    if (!kept[i]) continue;
    const fs::path folder = tree.files[i].path.parent_path();
    const fs::path& known = folders.emplace(tree.files[i].places, folder).first->second;
    if (known != folder && told.insert(folder).second)
      report.notes.push_back(fmt::format("{}: gives the same columns as {}: both count as one run",
                                         printable(folder.string(), 300),
                                         printable(known.string(), 300)));
  }
}

Pattern pattern_of_tags(const std::string& expression) {
  try {
    return Pattern(expression, "--tags:");
  } catch (const Error& failure) {
    throw UsageError("{}", failure.what());
  }
}

/// Files that make rows, and of the others why they do not.
std::vector<bool> files_with_rows(const FoundLogs& logs, const CollectRequest& request,
                                  std::vector<SortedRun>& runs, CollectReport& report) {
  std::vector<bool> kept(logs.files.size());
  for (const SortedRun& run : runs) kept[run.order >> 32] = true;
  for (std::size_t i = 0; i < logs.files.size(); ++i) {
    const fs::path& file = logs.files[i].path;
    const bool is_damaged =
        std::ranges::find(report.problems, file, &CollectReport::Problem::file) !=
        report.problems.end();
    if (!kept[i] && !is_damaged) report.passed_over.push_back({file, "no scalar with such a tag"});
    const std::size_t depth = folder_depth(logs.files[i]);
    if (!kept[i] || !request.depth || depth == *request.depth) continue;
    kept[i] = false;
    report.passed_over.push_back(
        {file, fmt::format("below {} folder{} without a name", depth, depth == 1 ? "" : "s")});
  }
  std::erase_if(runs, [&](const SortedRun& run) { return !kept[run.order >> 32]; });
  return kept;
}

}  // namespace

CollectReport collect(const CollectRequest& request) {
  if (request.level < 1 || request.level > 22)
    throw UsageError("--level is {}; expected a level of zstd, 1 to 22", request.level);
  const Pattern pattern = pattern_of_tags(request.tags);
  expect_column_names(request.names);
  constexpr std::string_view parquet_beginning[] = {"PAR1"};
  expect_replaceable(request.out, "Parquet file", parquet_beginning);
  parquet_library();
  const FoundLogs logs = find_logs(request.logs);
  std::vector<fs::path> paths;
  for (const FoundLogs::File& log : logs.files) paths.push_back(log.path);
  expect_not_an_input(request.out, paths);
  CollectReport report;
  report.files = paths.size();
  for (const std::string& place : logs.passed_over) report.notes.push_back(place + "; passed over");
  AtomicFile file(request.out);

  const auto check_stop = [&] {
    if (request.stop_requested && request.stop_requested())
      throw Error("stopped; {} was not written", printable(request.out.string(), 300));
  };
  const ScalarOrder scalars = scalar_order(request.index);
  RunStore store(folder_for_sorting(request.out), request.rows_in_memory);
  const std::size_t threads =
      request.threads > 0 ? request.threads : std::min<std::size_t>(cpu_count(), 8);
  ScalarFiles read = read_scalar_files(paths, pattern, scalars.tag_first, scalars.by_tag,
                                       scalars.by_step, threads, store, [&](std::size_t done) {
                                         check_stop();
                                         if (request.progress) request.progress(done, paths.size());
                                       });
  report.problems = std::move(read.problems);
  report.repeated = std::move(read.repeated);
  for (const std::string& place : read.unreadable) report.notes.push_back(place + "; passed over");
  std::ranges::sort(read.runs, {}, &SortedRun::order);
  const std::vector<bool> kept = files_with_rows(logs, request, read.runs, report);
  if (!request.keep_restarted)
    report.restarts = leave_out_restarted(read.runs, read.restarts, paths, store);
  if (read.runs.empty())
    throw Error("{}: found no scalar whose tag begins with {}; files that were read: {}",
                printable(request.logs.front().string(), 300), printable(request.tags, 300),
                paths.size());

  const LogTree tree = read_log_tree(logs, kept, request.names, request.any_depth);
  note_folders_alike(tree, kept, report);
  report.index = index_of(tree.columns, request.index);
  RowOrder order = order_of(tree, report.index, scalars);
  const std::vector<std::uint32_t> tag_places = alphabetical(read.tags);
  order.tag_places = scalars.by_tag ? tag_places : std::vector<std::uint32_t>(tag_places.size());
  CollectedTable table(tree, report.index, read.tags, tag_places, request.level, file);
  // Files that differ before tag and step follow each other.
  const auto group = [&](const SortedRun& run) { return order.before[run.order >> 32]; };
  std::ranges::sort(read.runs, {},
                    [&](const SortedRun& run) { return std::pair(group(run), run.order); });
  for (auto begin = read.runs.begin(); begin != read.runs.end();) {
    auto end = begin;
    while (end != read.runs.end() && group(*end) == group(*begin)) ++end;
    merge_runs({std::move_iterator(begin), std::move_iterator(end)}, order, store, request.fan_in,
               [&](std::span<const ScalarRow> rows) {
                 check_stop();
                 table.add(rows);
               });
    begin = end;
  }
  table.finish();
  check_stop();
  file.commit();
  report.rows = table.rows();
  report.columns = table.data_columns();
  return report;
}

}  // namespace rankfold
