#include "experiments/adapter_files/compress.h"

#include <fmt/core.h>

#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "experiments/adapter_files/can_be_fitted.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"

namespace rankfold {
namespace {

JsonValue to_json(const CompressReport& report, const std::string& out) {
  JsonValue document = {{"out", out},
                        {"method", report.method},
                        {"rank_before", report.rank_before},
                        {"rank_after", report.rank_after},
                        {"parameters_before", report.parameters_before},
                        {"parameters_after", report.parameters_after},
                        {"relative_error", report.relative_error},
                        {"energy", report.energy},
                        {"unchanged", report.unchanged},
                        {"sites", JsonValue::array()}};
  for (const CompressReport::SiteReport& site : report.sites)
    document["sites"].push_back({{"name", site.name},
                                 {"rank_before", site.rank_before},
                                 {"rank_after", site.rank_after},
                                 {"relative_error", site.relative_error}});
  return document;
}

void print_text(const CompressReport& report, const std::string& out, std::ostream& to) {
  to << fmt::format(
      "{}: {} of rank {} instead of {}, {} instead of {}; relative error {:.6g}, energy kept "
      "{:.6g}\n\n",
      out, report.method, report.rank_after, report.rank_before,
      counted(report.parameters_after, "parameter", "parameters"), report.parameters_before,
      report.relative_error, report.energy);
  std::vector<std::vector<std::string>> rows = {{"site", "rank", "before", "relative error"}};
  for (const CompressReport::SiteReport& site : report.sites)
    rows.push_back({printable(site.name), site.rank_after, site.rank_before,
                    fmt::format("{:.6g}", site.relative_error)});
  write_table(to, rows, {1, 2, 3});
}

int run_compress(const Arguments& arguments, Context& context) {
  CompressGoal goal;
  if (arguments.has("budget")) goal.budget = arguments.count("budget", 1);
  if (arguments.has("energy")) goal.energy = arguments.number("energy", 1);
  check_goal(goal);
  set_threads(static_cast<int>(thread_count(arguments)));
  const std::string out = arguments.text("out");
  AtomicFolder folder(out);
  const auto device = make_cpu_device();
  check_compresses(arguments.text("adapter"), context.registry, device);
  LoneAdapter lone = load_lone_adapter(arguments.text("adapter"), arguments.text("model"),
                                       context.registry, device);
  const CompressReport report = compress(lone, goal, context.registry, device);
  save_adapter(folder.path(), lone);
  folder.commit();
  if (report.unchanged)
    context.err << fmt::format(
        "{}: the factors are the adapter's own: {}\n", printable(out),
        goal.budget ? fmt::format("it has {} already, --budget is {}",
                                  counted(report.parameters_before, "parameter", "parameters"),
                                  *goal.budget)
                    : fmt::format("no smaller setting keeps an energy of {}", *goal.energy));
  if (context.json)
    context.out << to_json(report, out).text();
  else
    print_text(report, printable(out), context.out);
  return 0;
}

}  // namespace

Command compress_command() {
  std::vector<Option> options = {
      {"adapter", "DIR", "", "a run's folder adapter/, or one of huggingface/peft", true},
      {"out", "DIR", "", "new adapter folder", true},
      {"budget", "N", "", "the largest setting of at most N parameters"},
      {"energy", "E", "", "the smallest that keeps this share of sum |dW|^2, above 0, at most 1"},
      {"model", "DIR", "", "the base model: for PEFT's folders and older ones"}};
  for (const Option& option : setting_options(false, {"threads"})) options.push_back(option);
  return {
      "compress",
      "fits a trained adapter again at smaller ranks",
      {},
      options,
      "lora: every weight gets a rank of its own, by the singular values of all together. Other "
      "methods\nhave one rank (or one a mode). The head stays as it is.",
      run_compress,
      {}};
}

}  // namespace rankfold
