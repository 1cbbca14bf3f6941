#include "analysis/logs/collect.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include <fmt/core.h>

#include "analysis/logs/log_tree.h"
#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/base/progress.h"
#include "core/base/text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"
#include "experiments/training/interrupt.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

CollectRequest request_of(const Arguments& arguments) {
  CollectRequest request;
  const std::vector<std::string>& folders = arguments.positionals();
  request.logs.assign(folders.begin(), folders.end() - 1);
  request.out = folders.back();
  std::error_code failure;
  if (fs::is_directory(request.out, failure))
    throw UsageError("collect: {} is a folder; expected the file to write behind the log folders",
                     printable(request.out.string(), 300));
  request.names = arguments.texts("name");
  request.index = arguments.texts("index");
  request.tags = arguments.text("tags", request.tags);
  if (const std::string depth = arguments.text("depth"); depth == "any")
    request.any_depth = true;
  else if (!depth.empty())
    request.depth = arguments.count("depth", 1);
  const std::string restarts = arguments.text("restarts", "last");
  if (restarts != "last" && restarts != "all")
    throw UsageError("--restarts is '{}', expected last or all", printable(restarts, 80));
  request.keep_restarted = restarts == "all";
  request.level = static_cast<int>(std::min<std::size_t>(arguments.count("level", 9), 99));
  request.stop_requested = InterruptGuard::requested;
  return request;
}

void tell_problems(const CollectReport& report, Context& context) {
  constexpr std::size_t most = 20;
  const auto tell_some = [&](std::size_t count, const auto& line) {
    for (std::size_t i = 0; i < std::min(most, count); ++i) context.err << line(i) << '\n';
    if (count > most) context.err << fmt::format("... and {} more such lines\n", count - most);
  };
  tell_some(report.notes.size(), [&](std::size_t i) { return report.notes[i]; });
  if (!report.passed_over.empty())
    context.err << fmt::format(
        "{} passed over: {}: {}{}\n", counted(report.passed_over.size(), "file", "files"),
        printable(report.passed_over.front().file.string(), 300), report.passed_over.front().text,
        report.passed_over.size() == 1 ? "" : ", ...");
  tell_some(report.restarts.size(), [&](std::size_t i) {
    return fmt::format("{}: {}; --restarts all keeps them",
                       printable(report.restarts[i].file.string(), 300), report.restarts[i].text);
  });
  tell_some(report.repeated.size(), [&](std::size_t i) {
    return fmt::format("{}: {}", printable(report.repeated[i].file.string(), 300),
                       report.repeated[i].text);
  });
  tell_some(report.problems.size(), [&](std::size_t i) {
    return fmt::format("{}: {}; what comes before was kept",
                       printable(report.problems[i].file.string(), 300), report.problems[i].text);
  });
}

void tell(const CollectReport& report, const CollectRequest& request, double seconds,
          Context& context) {
  std::error_code failure;
  const auto bytes = fs::file_size(request.out, failure);
  if (!context.json) {
    context.out << fmt::format(
        "{}: {} of {}, {} bytes; index {}\n", printable(request.out.string(), 300),
        counted(report.rows, "scalar", "scalars"), counted(report.files, "file", "files"),
        failure ? 0 : bytes, printable(join(report.index, " "), 300));
    return;
  }
  const auto listed = [](const std::vector<CollectReport::Problem>& told, const char* key) {
    JsonValue list = JsonValue::array();
    for (const CollectReport::Problem& one : told)
      list.push_back({{"file", one.file.string()}, {key, one.text}});
    return list;
  };
  const JsonValue document = {{"out", request.out.string()},
                              {"files", report.files},
                              {"rows", report.rows},
                              {"bytes", failure ? 0 : bytes},
                              {"columns", report.columns},
                              {"index", report.index},
                              {"problems", listed(report.problems, "problem")},
                              {"restarts", listed(report.restarts, "left_out")},
                              {"repeated", listed(report.repeated, "repeated")},
                              {"passed_over", listed(report.passed_over, "reason")},
                              {"notes", report.notes},
                              {"seconds", seconds}};
  context.out << document.text();
}

void collect_once(CollectRequest request, Context& context) {
  const Clock::time_point start = Clock::now();
  std::unique_ptr<Progress> bar;  // begins after two seconds
  request.progress = [&](std::size_t done, std::size_t files) {
    if (!bar && seconds_since(start) > 2)
      bar = std::make_unique<Progress>("reading", files, standard_error_is_terminal());
    if (bar) bar->update(done);
  };
  const CollectReport report = collect(request);
  if (bar) bar->finish();
  tell_problems(report, context);
  tell(report, request, seconds_since(start), context);
}

/// Collects whenever the logs have changed, until it is interrupted.
void watch(const CollectRequest& request, Context& context) {
  std::optional<std::string> state;
  std::string told;
  while (!InterruptGuard::requested()) {
    const std::string now = log_tree_state(request.logs);
    double pause = 2;
    if (now != state) {
      state = now;
      const Clock::time_point start = Clock::now();
      try {
        collect_once(request, context);
        context.out.flush();
        told.clear();
      } catch (const UsageError&) {
        throw;
      } catch (const Error& failure) {
        // Runs may not have begun, or a disk may be full for a while.
        if (failure.what() != told && !InterruptGuard::requested())
          context.err << "rankfold: " << printable(failure.what()) << '\n';
        told = failure.what();
      }
      pause = std::max(pause, 5 * seconds_since(start));
    }
    const Clock::time_point asleep = Clock::now();
    while (seconds_since(asleep) < pause && !InterruptGuard::requested())
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

int run_collect(const Arguments& arguments, Context& context) {
  const InterruptGuard guard;
  const CollectRequest request = request_of(arguments);
  if (arguments.has("watch"))
    watch(request, context);
  else
    collect_once(request, context);
  return 0;
}

}  // namespace

Command collect_command() {
  return {"collect",
          "turns trees of TensorBoard event files into one Parquet file",
          {{"LOG_DIR..."}, {"OUT.parquet", true, true}},
          {{"name", "NAME", "", "columns for the folders below LOG_DIR, from the first on", false,
            true},
           {"index", "NAME", "",
            "what pandas reads as the index, and the order of the rows; by default all but value",
            false, true},
           {"tags", "REGEX", "LoTR's, parameters/ and scored/",
            "which tags are kept: a regular expression of Python, for their beginning (re.match)"},
           {"depth", "N|any", "",
            "only files below N folders without a name, or below any number of them (shorter paths "
            "lack the last columns); by default all that are kept have to agree"},
           {"restarts", "last|all", "last",
            "last: what a restart writes again counts, what it voids is left out, as TensorBoard "
            "shows it; all: every scalar that was written"},
           {"level", "N", "9", "of the compression with zstd, 1 to 22"},
           {"watch", "", "", "collect again whenever the logs have changed, until interrupted"}},
          "The default of --tags is\n" + std::string(default_tags) +
              "\nFolders written name=value become the column name; depths may then differ.\n"
              "Files without a scalar that is kept are passed over.\n"
              "--name and --index take all words up to the next option, so LOG_DIR and OUT stand "
              "before them.",
          run_collect,
          {}};
}

}  // namespace rankfold
