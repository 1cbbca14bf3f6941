#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/device/device.h"
#include "experiments/bench/layer_bench.h"
#include "experiments/commands/bench_methods.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

constexpr std::size_t largest_size = 100'000'000;

std::size_t size(const Arguments& arguments, const std::string& name, std::size_t fallback) {
  const std::size_t value = arguments.count(name, fallback);
  if (value > largest_size)
    throw UsageError("--{} is {}; expected at most {}", name, value, largest_size);
  return value;
}

void print_json(const LayerRequest& request, std::size_t threads, const LayerReport& report,
                std::ostream& out) {
  JsonValue document = {{"width", request.width},
                        {"tokens", request.tokens},
                        {"sites", request.sites},
                        {"threads", threads},
                        {"rounds", request.rounds},
                        {"frozen_forward_ms", report.frozen_forward_ms},
                        {"frozen_ms", report.frozen_ms},
                        {"rows", JsonValue::array()},
                        {"skipped", to_json(report.skipped)}};
  for (const LayerRow& row : report.rows) {
    JsonValue entry = {{"method", row.method},
                       {"rank", nullptr},
                       {"parameters", row.parameters},
                       {"forward_ms", row.forward_ms},
                       {"forward_backward_ms", row.forward_backward_ms},
                       {"overhead", row.overhead},
                       {"plans", row.plans}};
    if (row.rank > 0) entry["rank"] = row.rank;
    document["rows"].push_back(std::move(entry));
  }
  out << document.text();
}

void print_text(const LayerRequest& request, std::size_t threads, const LayerReport& report,
                std::ostream& out) {
  out << fmt::format(
      "{} of {} x {}, {}, {}; medians of {}\n\n", counted(request.sites, "layer", "layers"),
      request.width, request.width, counted(request.tokens, "token", "tokens"),
      counted(threads, "thread", "threads"), counted(request.rounds, "round", "rounds"));
  std::vector<std::vector<std::string>> rows = {
      {"method", "rank", "parameters", "forward ms", "and backward ms", "over frozen"},
      {"frozen", "", "", fmt::format("{:.2f}", report.frozen_forward_ms),
       fmt::format("{:.2f}", report.frozen_ms), "1.00"}};
  for (const LayerRow& row : report.rows)
    rows.push_back({row.method, row.rank > 0 ? std::to_string(row.rank) : "",
                    std::to_string(row.parameters), fmt::format("{:.2f}", row.forward_ms),
                    fmt::format("{:.2f}", row.forward_backward_ms),
                    fmt::format("{:.2f}", row.overhead)});
  write_table(out, rows, {1, 2, 3, 4, 5});
  out << '\n';
  for (const LayerRow& row : report.rows)
    for (const std::string& line : row.plans) out << line << '\n';
}

int run_bench_layer(const Arguments& arguments, Context& context) {
  LayerRequest request;
  request.width = size(arguments, "width", 768);
  request.tokens = size(arguments, "tokens", 4096);
  request.sites = size(arguments, "sites", 1);
  request.rounds = size(arguments, "rounds", 11);
  request.rank = arguments.text("rank");
  request.methods = read_methods(arguments, "bench layer");
  const std::size_t threads = thread_count(arguments);
  set_threads(static_cast<int>(threads));
  const LayerReport report = bench_layer(request, context.registry, method_progress());
  tell_skipped(report.skipped, context.err);
  if (context.json)
    print_json(request, threads, report, context.out);
  else
    print_text(request, threads, report, context.out);
  return 0;
}

}  // namespace

Command bench_layer_command() {
  std::vector<Option> options = {{"width", "D", "768", "inputs and outputs of the layer"},
                                 {"tokens", "T", "4096", "rows of the input"}};
  for (const Option& option : setting_options(false, {"rank"})) options.push_back(option);
  options.push_back(
      {"method", "NAME", "", "one or more; default: all that take the layer", false, true});
  options.push_back({"sites", "N", "1", "layers of one model, each adapted; times are of all"});
  options.push_back({"rounds", "N", "11", "measured calls of each"});
  for (const Option& option : setting_options(false, {"threads"})) options.push_back(option);
  return {"bench layer",
          "an adapted layer against the same frozen one",
          {},
          options,
          "Forward and backward with the gradient of the input. A round times the frozen and the "
          "adapted\nlayer one after the other; `over frozen` is the median of the rounds' ratios.",
          run_bench_layer,
          {}};
}

}  // namespace rankfold
