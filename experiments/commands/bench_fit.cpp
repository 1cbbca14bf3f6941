#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/device/device.h"
#include "core/fit/update_file.h"
#include "core/fit/working_memory.h"
#include "experiments/bench/fit_bench.h"
#include "experiments/commands/bench_methods.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

constexpr std::size_t most_layers = 100'000, most_width = 1'000'000, most_repeats = 10'000;

/// What is fitted, in words and numbers.
struct Subject {
  std::string input;  ///< "" for random updates
  const Stack& stack;
  std::size_t threads = 1;
};

void print_json(const Subject& subject, const FitBenchRequest& request,
                const FitBenchReport& report, std::ostream& out) {
  JsonValue document = {{"input", nullptr},
                        {"sites", subject.stack.sites.size()},
                        {"out", subject.stack.sites.front().out},
                        {"in", subject.stack.sites.front().in},
                        {"threads", subject.threads},
                        {"repeats", request.repeats},
                        {"rows", JsonValue::array()},
                        {"skipped", to_json(report.skipped)}};
  if (!subject.input.empty()) document["input"] = subject.input;
  for (const FitBenchRow& row : report.rows) {
    JsonValue entry = {{"method", row.method},
                       {"rank", nullptr},
                       {"parameters", row.parameters},
                       {"seconds", row.seconds},
                       {"relative_error", row.relative_error},
                       {"starts", row.starts},
                       {"sweeps", row.sweeps}};
    if (!row.rank.empty()) entry["rank"] = row.rank;
    document["rows"].push_back(std::move(entry));
  }
  out << document.text();
}

void print_text(const Subject& subject, const FitBenchRequest& request,
                const FitBenchReport& report, std::ostream& out) {
  const Site& first = subject.stack.sites.front();
  out << fmt::format("{} of {} x {}, {}; medians of {}\n\n",
                     counted(subject.stack.sites.size(), "matrix", "matrices"), first.out, first.in,
                     counted(subject.threads, "thread", "threads"),
                     counted(request.repeats, "fit", "fits"));
  std::vector<std::vector<std::string>> rows = {
      {"method", "rank", "parameters", "seconds", "relative error", "starts", "sweeps"}};
  for (const FitBenchRow& row : report.rows)
    rows.push_back({row.method, row.rank, std::to_string(row.parameters),
                    fmt::format("{:.4f}", row.seconds), fmt::format("{:.6f}", row.relative_error),
                    std::to_string(row.starts), std::to_string(row.sweeps)});
  write_table(out, rows, {1, 2, 3, 4, 5, 6});
}

template <class T>
int measure(const Subject& subject, const FitBenchRequest& request, const UpdateSource<T>& source,
            Context& context) {
  const FitBenchReport report =
      bench_fit<T>(request, subject.stack, source, context.registry, method_progress());
  tell_skipped(report.skipped, context.err);
  if (context.json)
    print_json(subject, request, report, context.out);
  else
    print_text(subject, request, report, context.out);
  return 0;
}

int run_bench_fit(const Arguments& arguments, Context& context) {
  FitBenchRequest request;
  request.rank = arguments.text("rank");
  const auto size = [&](const char* name, std::size_t fallback, std::size_t most) {
    const std::size_t value = arguments.count(name, fallback);
    if (value > most) throw UsageError("--{} is {}; expected at most {}", name, value, most);
    return value;
  };
  request.repeats = size("repeats", 5, most_repeats);
  request.methods = read_methods(arguments, "bench fit");
  const std::string input = arguments.text("input");
  for (const char* name : {"layers", "width"})
    if (!input.empty() && arguments.has(name))
      throw UsageError("--input and --{} exclude each other: the file says how many and how large",
                       name);
  const std::size_t threads = thread_count(arguments);
  set_threads(static_cast<int>(threads));
  keep_freed_memory();
  if (input.empty()) {
    const RandomUpdates updates(size("layers", 8, most_layers), size("width", 768, most_width));
    return measure<float>({"", updates.stack(), threads}, request, updates, context);
  }
  const UpdateFile file(input, "", 1);
  const Subject subject{input, file.stack(), threads};
  if (file.is_double())
    return measure<double>(subject, request, *file.open<double>(kept_input_bytes), context);
  return measure<float>(subject, request, *file.open<float>(kept_input_bytes), context);
}

}  // namespace

Command bench_fit_command() {
  std::vector<Option> options = {
      {"input", "FILE", "", "updates: .npy (layers, out, in) or .safetensors; default: random"},
      {"layers", "N", "8", "of the random updates"},
      {"width", "D", "768", "inputs and outputs of each"}};
  for (const Option& option : setting_options(false, {"rank"})) options.push_back(option);
  options.push_back(
      {"method", "NAME", "", "one or more; default: all that can be fitted", false, true});
  options.push_back({"repeats", "N", "5", "measured fits of each"});
  for (const Option& option : setting_options(false, {"threads"})) options.push_back(option);
  return {
      "bench fit",
      "fits of methods to one stack of updates",
      {},
      options,
      "The time of a fit as `rankfold fit` makes it, without reading the file. Random updates "
      "are the same\nin every call: D_s = sum_k b_sk a_k^T / k + E_s / 10 for k = 1 .. 64, with "
      "a, b and E standard normal,\na shared by all layers.",
      run_bench_fit,
      {}};
}

}  // namespace rankfold
