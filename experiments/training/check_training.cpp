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
constexpr double traced_rate = 1e-2, traced_clip = 1;

void read_trace(const fs::path& file, TrainingTraceReport& report) {
  const JsonDocument document(file);
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

/// What PEFT calls a factor of LoRA: "A.<module>" is <module>.lora_A.weight.
std::string traced_name(const std::string& parameter) {
  return parameter.substr(2) + ".lora_" + parameter.front() + ".weight";
}

struct TracedFactors {
  std::set<std::string> modules;
  std::size_t rank = 0;
};

TracedFactors find_factors(const SafetensorsFile& start) {
  constexpr std::string_view ending = ".lora_A.weight";
  TracedFactors factors;
  for (const TensorEntry& entry : start.entries()) {
    if (!entry.name.ends_with(ending)) continue;
    if (entry.shape.size() != 2 || entry.shape[0] == 0 ||
        (factors.rank != 0 && entry.shape[0] != factors.rank))
      throw Error("{}: tensor {} has shape [{}], expected [{}, in]",
                  printable(start.path().string()), printable(entry.name, 200),
                  fmt::join(entry.shape, ", "),
                  factors.rank == 0 ? "rank" : std::to_string(factors.rank));
    factors.rank = entry.shape[0];
    factors.modules.insert(entry.name.substr(0, entry.name.size() - ending.size()));
  }
  if (factors.modules.empty())
    throw Error("{}: found no tensor <module>{}", printable(start.path().string()), ending);
  return factors;
}

/// The targets whose sites are these modules.
std::string targets_of(const TracedFactors& factors, const SiteCatalogue& catalogue,
                       const fs::path& file) {
  std::set<std::string> targets;
  std::set<std::string> unknown = factors.modules;
  for (const Site& site : catalogue.sites)
    if (unknown.erase(site.name) > 0) targets.emplace(to_string(site.matrix));
  if (!unknown.empty())
    throw Error("{}: tensor {}.lora_A.weight: {} has no such module", printable(file.string()),
                printable(*unknown.begin(), 200), printable(catalogue.model));
  return join(std::vector<std::string>(targets.begin(), targets.end()), ",");
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
  const SafetensorsFile start(folder / "trace.safetensors");
  const TracedFactors factors = find_factors(start);
  const SafetensorsFile io(folder / "io.safetensors");
  const Batch batch = read_reference_batch(io).batch;

  HostSettings of_host = reference_settings(folder, &io);
  of_host.bfloat16 = precision == "bf16";
  std::unique_ptr<Host> host = load_host(folder, of_host, device);
  report.notes = host->notes();
  RunSettings settings;
  settings.values = {{"rank", std::to_string(factors.rank)},
                     {"alpha", "8"},
                     {"targets", targets_of(factors, host->catalogue(), start.path())}};
  const Registry registry = builtin_registry();
  TrainingSession session(std::move(host), registry.at("lora"), settings, 0, device,
                          [](const std::vector<std::string>&) {});
  session.begin({.weight_decay = 0.01});
  start_all(start, session);

  const Schedule schedule{.warmup = traced_warmup,
                          .total = static_cast<double>(report.expected.size())};
  const auto compare = [&](double found, double expected) {
    report.worst = larger_error(report.worst,
                                std::abs(found - expected) / std::max(std::abs(expected), 1e-30));
  };
  for (std::size_t step = 0; step < report.expected.size(); ++step) {
    report.losses.push_back(session.form_gradients(batch));
    report.norms.push_back(session.norm());
    session.update(traced_rate * schedule.factor(step),
                   clip_scale(report.norms.back(), traced_clip));
    compare(report.losses[step], report.expected[step]);
    if (!report.expected_norms.empty()) compare(report.norms[step], report.expected_norms[step]);
  }
  return report;
}

}  // namespace rankfold
