#include <algorithm>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "experiments/bench/step_bench.h"
#include "experiments/commands/command.h"
#include "experiments/commands/setting_options.h"
#include "experiments/commands/text_table.h"
#include "experiments/models/families/family.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

const char* name_of(Work work) {
  switch (work) {
    case Work::frozen_product:
      return "frozen_product";
    case Work::adapter:
      return "adapter";
    case Work::attention:
      return "attention";
    case Work::elementwise:
      return "elementwise";
  }
  return "";
}

void print_json(const StepReport& report, std::ostream& out) {
  JsonValue document = {{"model", report.model},
                        {"weights", report.random_weights ? "random" : "checkpoint"},
                        {"method", report.method},
                        {"rank", nullptr},
                        {"batch", report.batch},
                        {"length", report.length},
                        {"threads", report.threads},
                        {"steps", report.steps},
                        {"dropout", report.dropout},
                        {"tokens_per_second", report.tokens_per_second},
                        {"step_ms", report.step_ms},
                        {"peak_memory_mib", report.peak_memory_mib},
                        {"floor_ms", report.floor_ms},
                        {"share_of_floor", report.share_of_floor},
                        {"large_sgemm_gflops", report.large_sgemm_gflops},
                        {"flops", report.flops},
                        {"thin_flops", report.thin_flops},
                        {"allocations", report.allocations},
                        {"plans", report.plans},
                        {"profile", JsonValue::object()}};
  if (report.rank > 0) document["rank"] = report.rank;
  if (report.forward_ms > 0) {
    document["forward_ms"] = report.forward_ms;
    document["step_in_forwards"] = report.step_ms / report.forward_ms;
    document["forward_peak_memory_mib"] = report.forward_peak_memory_mib;
  }
  for (const auto& [work, share] : report.profile) document["profile"][name_of(work)] = share;
  document["profile"]["other"] = report.other();
  out << document.text();
}

void print_text(const StepReport& report, std::ostream& out) {
  const std::string rank = report.rank > 0 ? fmt::format(" rank {}", report.rank) : "";
  out << fmt::format("{} on {}{}, {} x {} tokens, {}; median of {}\n\n", report.method,
                     report.model, rank, report.batch, report.length,
                     counted(report.threads, "thread", "threads"),
                     counted(report.steps, "step", "steps"));
  std::string profile;
  for (const auto& [work, share] : report.profile) {
    std::string name = name_of(work);
    std::ranges::replace(name, '_', ' ');
    profile += fmt::format("{} {:.0f} %, ", name, 100 * share);
  }
  if (report.forward_ms > 0)
    write_table(
        out,
        {{"forward", fmt::format("{:.1f} ms; a step takes {:.2f} of them", report.forward_ms,
                                 report.step_ms / report.forward_ms)},
         {"its peak memory",
          fmt::format("{:.0f} MiB; a step's is {:.2f} times that", report.forward_peak_memory_mib,
                      report.peak_memory_mib / report.forward_peak_memory_mib)}});
  write_table(out,
              {{"step", fmt::format("{:.1f} ms", report.step_ms)},
               {"speed", fmt::format("{:.0f} tokens/s", report.tokens_per_second)},
               {"peak memory", fmt::format("{:.0f} MiB", report.peak_memory_mib)},
               {"products", fmt::format("{:.1f} GFLOP, {:.1f} of them thin",
                                        1e-9 * static_cast<double>(report.flops),
                                        1e-9 * static_cast<double>(report.thin_flops))},
               {"large sgemm", fmt::format("{:.0f} GFLOP/s", report.large_sgemm_gflops)},
               {"floor", fmt::format("{:.1f} ms: the products at that rate; {:.2f} of the step",
                                     report.floor_ms, report.share_of_floor)},
               {"allocations", fmt::format("{:.1f} a step", report.allocations)},
               {"profile", profile + fmt::format("other {:.0f} %", 100 * report.other())}});
  out << '\n';
  for (const std::string& line : report.plans) out << line << '\n';
}

HostOutput parse_output(const std::string& loss) {
  if (loss == "classification") return HostOutput::classifier;
  if (loss == "tokens") return HostOutput::language_model;
  throw UsageError("--loss is '{}', expected classification or tokens", printable(loss, 80));
}

int run_bench_step(const Arguments& arguments, Context& context) {
  StepRequest request;
  request.model = arguments.text("model");
  request.settings = given_settings(arguments);
  request.settings.values.erase("model");
  request.length = arguments.count("length", 128);
  request.steps = arguments.count("steps", request.steps);
  request.output = parse_output(arguments.text("loss", "classification"));
  if (request.output == HostOutput::language_model &&
      !family_of(find_shape(request.model)).tells_tokens)
    throw UsageError("--loss tokens: {} has no language model here, expected classification",
                     printable(request.model, 200));
  const auto message = [&](const std::string& line) { context.err << printable(line) << '\n'; };
  const StepReport report = bench_step(request, context.registry, message);
  if (context.json)
    print_json(report, context.out);
  else
    print_text(report, context.out);
  return 0;
}

}  // namespace

Command bench_step_command() {
  std::vector<Option> options = {
      {"model", "NAME|DIR", "",
       "a built-in shape or a model folder of a family that can be loaded; without weights random "
       "ones serve",
       true},
      {"method", "NAME", "", "decomposition; `rankfold methods` lists them", true}};
  for (const Option& option :
       setting_options(false, {"rank", "alpha", "preset", "targets", "layers", "batch", "optimizer",
                               "zo-epsilon", "zo-samples", "dropout", "precision", "threads"}))
    options.push_back(option);
  options.push_back(set_option());
  options.push_back({"length", "T", "128", "tokens a sequence"});
  options.push_back({"steps", "N", "7", "measured steps, after two that warm up"});
  options.push_back({"loss", "KIND", "classification",
                     "classification of sequences, or tokens: a language model's next ones"});
  return {
      "bench step",
      "a training step against the floor of its products",
      {},
      options,
      "Forward with dropout, backward and AdamW (or another optimizer) on random tokens. The "
      "floor is the\ntime of the step's products at the rate of a large one, measured between "
      "the steps. Of a zeroth-order\noptimizer the forward pass of the batch is measured as well.",
      run_bench_step,
      {}};
}

}  // namespace rankfold
