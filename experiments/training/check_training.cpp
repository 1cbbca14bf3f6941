#include "experiments/training/check_training.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/ranges.h>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/contract/check_method.h"
#include "decompositions/registry.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/reference_batch.h"
#include "experiments/runs/settings.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/schedule.h"
#include "experiments/training/training_session.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t traced_warmup = 3;
constexpr double traced_clip = 1;

void read_trace(const fs::path& file, TrainingTraceReport& report) {
  const JsonDocument document(file);
  if (const auto rate = document.root().optional_member("learning_rate"))
    report.rate = rate->number();
  for (const JsonField& loss : document.root().member("losses").elements())
    report.expected.push_back(loss.number());
  if (report.expected.size() <= traced_warmup)
    throw Error("{}: losses has {} numbers, expected more than the {} steps of the warm-up",
                printable(file.string()), report.expected.size(), traced_warmup);
  if (const auto norms = document.root().optional_member("gradient_norms"))
    for (const JsonField& norm : norms->elements()) report.expected_norms.push_back(norm.number());
  if (!report.expected_norms.empty() && report.expected_norms.size() != report.expected.size())
    throw Error("{}: gradient_norms has {} numbers, expected {} as losses has",
                printable(file.string()), report.expected_norms.size(), report.expected.size());
}

constexpr std::string_view lora_ending = ".lora_A.weight", ia3_ending = ".ia3_l";

/// What PEFT calls a factor: LoRA's "A.<module>" is <module>.lora_A.weight, IA3's "l.<module>"
/// <module>.ia3_l.
std::string traced_name(const std::string& parameter) {
  const std::string module = parameter.substr(2);
  if (parameter.front() == 'l') return module + std::string(ia3_ending);
  return module + ".lora_" + parameter.front() + ".weight";
}

/// The modules that a trace adapts, with what the method has for each.
struct TracedFactors {
  std::string_view ending;
  std::set<std::string> modules;
  std::size_t rank = 0;            ///< of LoRA
  std::set<std::string> of_input;  ///< of IA3: the modules whose input is scaled
};

TracedFactors find_factors(const SafetensorsFile& start) {
  TracedFactors factors;
  for (const TensorEntry& entry : start.entries()) {
    for (const std::string_view ending : {lora_ending, ia3_ending})
      if (factors.ending.empty() && entry.name.ends_with(ending)) factors.ending = ending;
    if (factors.ending.empty() || !entry.name.ends_with(factors.ending)) continue;
    const bool of_lora = factors.ending == lora_ending;
    if (entry.shape.size() != 2 || entry.shape[0] == 0 ||
        (factors.rank != 0 && entry.shape[0] != factors.rank))
      throw Error("{}: tensor {} has shape [{}], expected [{}, in]",
                  printable(start.path().string()), printable(entry.name, 200),
                  fmt::join(entry.shape, ", "),
                  factors.rank == 0 ? "rank" : std::to_string(factors.rank));
    if (of_lora) factors.rank = entry.shape[0];
    const auto& module =
        *factors.modules.insert(entry.name.substr(0, entry.name.size() - factors.ending.size()))
             .first;
    if (!of_lora && entry.shape[0] == 1) factors.of_input.insert(module);
  }
  if (factors.modules.empty())
    throw Error("{}: found no tensor <module>{} or <module>{}", printable(start.path().string()),
                lora_ending, ia3_ending);
  return factors;
}

/// The targets whose sites are these modules.
std::string targets_of(const std::set<std::string>& modules, const TracedFactors& factors,
                       const SiteCatalogue& catalogue, const fs::path& file) {
  std::set<std::string> targets;
  std::set<std::string> unknown = modules;
  for (const Site& site : catalogue.sites)
    if (unknown.erase(site.name) > 0) targets.emplace(to_string(site.matrix));
  if (!unknown.empty())
    throw Error("{}: tensor {}{}: {} has no such module", printable(file.string()),
                printable(*unknown.begin(), 200), factors.ending, printable(catalogue.model));
  return join(std::vector<std::string>(targets.begin(), targets.end()), ",");
}

/// Method, targets and options of a trace; without a file of where it starts, all weights train
/// from the checkpoint's.
RunSettings traced_settings(const SafetensorsFile* start, const SiteCatalogue& catalogue) {
  RunSettings settings;
  if (!start) {
    settings.values = {{"method", "full"}, {"targets", std::string(everything)}};
    return settings;
  }
  const TracedFactors factors = find_factors(*start);
  const bool of_lora = factors.ending == lora_ending;
  settings.values = {{"method", of_lora ? "lora" : "ia3"},
                     {"targets", targets_of(factors.modules, factors, catalogue, start->path())}};
  if (of_lora) {
    settings.values["rank"] = std::to_string(factors.rank);
    settings.values["alpha"] = "8";
  } else {
    settings.options["feedforward"] =
        targets_of(factors.of_input, factors, catalogue, start->path());
  }
  return settings;
}

void start_from(const SafetensorsFile& start, const std::string& name, std::span<float> value,
                const Device& device) {
  const std::vector<float> values = start.read<float>(name);
  if (values.size() != value.size())
    throw Error("{}: tensor {} has {} numbers, expected {}", printable(start.path().string()),
                printable(name, 200), values.size(), value.size());
  device.upload(values.data(), values.size() * sizeof(float), value.data());
}

/// Overwrites all that trains; every tensor of the file has its place.
void start_all(const SafetensorsFile& start, TrainingSession& session) {
  std::set<std::string> unread;
  for (const TensorEntry& entry : start.entries()) unread.insert(entry.name);
  const auto place = [&](const std::string& name, std::span<float> value) {
    if (unread.erase(name) == 0)
      throw Error("{}: tensor {} is missing", printable(start.path().string()), name);
    start_from(start, name, value, session.device());
  };
  for (Parameter<float>& parameter : session.adapter().parameters())
    if (parameter.trainable)
      place(traced_name(parameter.name), {parameter.value.data(), parameter.value.size()});
  for (const TrainedTensor& tensor : session.host().trained()) place(tensor.name, tensor.value);
  if (!unread.empty())
    throw Error("{}: tensor {} has no counterpart that trains here",
                printable(start.path().string()), printable(*unread.begin(), 200));
}

}  // namespace

TrainingTraceReport check_training(const fs::path& folder, std::shared_ptr<const Device> device,
                                   const std::string& precision) {
  check_setting("precision", precision);
  check_precision(precision);
  TrainingTraceReport report;
  read_trace(folder / "trace.json", report);
  std::optional<SafetensorsFile> start;
  if (const fs::path file = folder / "trace.safetensors"; fs::exists(file)) start.emplace(file);
  const SafetensorsFile io(folder / "io.safetensors");
  const Batch batch = read_reference_batch(io).batch;

  HostSettings of_host = reference_settings(folder, &io);
  of_host.bfloat16 = precision == "bf16";
  of_host.parts.everything = !start;
  if (!start && of_host.bfloat16)
    throw UsageError(
        "--precision bf16 rounds frozen weights; all train in this trace: expected f32");
  std::unique_ptr<Host> host = load_host(folder, of_host, device);
  report.notes = host->notes();
  const RunSettings settings = traced_settings(start ? &*start : nullptr, host->catalogue());
  const Registry registry = builtin_registry();
  TrainingSession session(std::move(host), registry.at(settings.text("method")), settings, 0,
                          device, [](const std::vector<std::string>&) {});
  session.begin({.weight_decay = 0.01});
  if (start) start_all(*start, session);

  const Schedule schedule{.warmup = traced_warmup,
                          .total = static_cast<double>(report.expected.size())};
  const auto compare = [&](double found, double expected) {
    report.worst = larger_error(report.worst,
                                std::abs(found - expected) / std::max(std::abs(expected), 1e-30));
  };
  for (std::size_t step = 0; step < report.expected.size(); ++step) {
    report.losses.push_back(session.form_gradients(batch));
    report.norms.push_back(session.norm());
    session.update(report.rate * schedule.factor(step),
                   clip_scale(report.norms.back(), traced_clip));
    compare(report.losses[step], report.expected[step]);
    if (!report.expected_norms.empty()) compare(report.norms[step], report.expected_norms[step]);
  }
  return report;
}

}  // namespace rankfold
