#include "experiments/models/check_model.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include <fmt/core.h>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "experiments/models/reference_batch.h"

namespace rankfold {
namespace {

double relative_error(std::span<const float> computed, std::span<const float> expected,
                      const std::string& name) {
  if (computed.size() != expected.size())
    throw Error("{}: the reference has {} numbers, expected {}", name, expected.size(),
                computed.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{computed[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

bool is_input(std::string_view name) {
  return name == "input_ids" || name == "attention_mask" || name == "token_type_ids" ||
         name == "labels";
}

void compare_hidden(Host& host, const SafetensorsFile& file, const ReferenceBatch& inputs,
                    ModelIoReport& report) {
  const bool wanted = std::ranges::any_of(
      file.entries(), [](const TensorEntry& entry) { return entry.name.starts_with("hidden."); });
  if (!wanted) return;
  const std::vector<std::vector<float>> states = host.hidden_states(inputs.batch);
  for (std::size_t k = 0; k < states.size(); ++k) {
    const std::string name = fmt::format("hidden.{}", k);
    if (!file.find(name)) continue;
    const std::vector<float> padded = file.read<float>(name);
    const std::size_t width = states[k].size() / inputs.real.size();
    std::vector<float> expected;
    for (const std::size_t row : inputs.real) {
      if ((row + 1) * width > padded.size())
        throw Error("{}: tensor {} has {} numbers, expected rows of {}",
                    printable(file.path().string()), name, padded.size(), width);
      expected.insert(expected.end(), padded.begin() + static_cast<std::ptrdiff_t>(row * width),
                      padded.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    }
    report.errors[name] = relative_error(states[k], expected, name);
  }
}

/// The sites whose dense weight has a reference gradient.
std::vector<Site> sites_with_gradient(const Host& host, const SafetensorsFile& file) {
  std::vector<Site> sites;
  for (const Site& site : host.catalogue().sites)
    if (file.find("grad." + site.name + ".weight")) sites.push_back(site);
  return sites;
}

void compare_training(Host& host, const SafetensorsFile& file, const ReferenceBatch& inputs,
                      const std::shared_ptr<const Device>& device, ModelIoReport& report) {
  if (inputs.batch.labels.empty()) return;
  std::unique_ptr<Adapter<float>> dense;
  if (const std::vector<Site> sites = sites_with_gradient(host, file); !sites.empty()) {
    const Registry registry = builtin_registry();
    const Method& full = registry.at("full");
    const Stack stack{std::vector<Site>(sites)};
    dense = make_adapter<float>(full, stack, resolve_settings(full, {}, stack), device);
    host.attach(dense.get());
  }
  host.zero_gradients();
  const float loss = static_cast<float>(host.train_pass(inputs.batch, 0, 0));
  std::map<std::string, std::span<const float>> gradients;
  for (const TrainedTensor& tensor : host.trained())
    gradients["grad." + tensor.name] = tensor.gradient;
  if (dense)
    for (const Parameter<float>& parameter : dense->parameters())
      gradients["grad." + parameter.name.substr(parameter.factor.size() + 1) + ".weight"] =
          parameter.gradient.span();
  if (file.find("loss"))
    report.errors["loss"] = relative_error(std::span(&loss, 1), file.read<float>("loss"), "loss");
  for (const auto& [name, gradient] : gradients)
    if (file.find(name))
      report.errors[name] = relative_error(gradient, file.read<float>(name), name);
  host.attach(nullptr);
}

void run_packed_and_alone(Host& host, ModelIoReport& report) {
  const RandomStream stream(0, "check/ids");
  const std::size_t longest = std::min<std::size_t>(host.max_tokens(), 12);
  Batch packed;
  packed.starts = {0};
  std::vector<float> alone;
  for (const std::size_t length : {longest, (longest + 1) / 2}) {
    Batch single;
    single.starts = {0, length};
    for (std::size_t i = 0; i < length; ++i)
      // Every vocabulary has these ids.
      single.ids.push_back(static_cast<std::int32_t>(stream.bits(packed.ids.size() + i) % 64));
    single.type_ids.assign(length, 0);
    packed.ids.insert(packed.ids.end(), single.ids.begin(), single.ids.end());
    packed.type_ids.resize(packed.ids.size(), 0);
    packed.starts.push_back(packed.ids.size());
    const std::vector<float> logits = host.predict(single);
    alone.insert(alone.end(), logits.begin(), logits.end());
  }
  report.errors["logits"] = relative_error(host.predict(packed), alone, "logits");
}

}  // namespace

double ModelIoReport::worst() const {
  double worst = 0;
  for (const auto& [name, error] : errors)
    worst = std::isnan(error) ? error : std::max(worst, error);
  return worst;
}

ModelIoReport check_model(const std::filesystem::path& folder,
                          const std::optional<std::filesystem::path>& io,
                          std::shared_ptr<const Device> device) {
  ModelIoReport report;
  if (!io) {
    const std::unique_ptr<Host> host =
        load_host(folder, reference_settings(folder, nullptr), device);
    report.notes = host->notes();
    run_packed_and_alone(*host, report);
    return report;
  }
  const SafetensorsFile file(*io);
  const ReferenceBatch inputs = read_reference_batch(file);
  const TensorEntry* logits = file.find("logits");
  const std::unique_ptr<Host> host = load_host(folder, reference_settings(folder, &file), device);
  report.notes = host->notes();
  compare_hidden(*host, file, inputs, report);
  if (logits)
    report.errors["logits"] =
        relative_error(host->predict(inputs.batch), file.read<float>("logits"), "logits");
  compare_training(*host, file, inputs, device, report);
  for (const TensorEntry& entry : file.entries())
    if (!report.errors.contains(entry.name) && !is_input(entry.name))
      report.skipped.push_back(entry.name);
  if (report.errors.empty())
    throw Error(
        "{}: holds nothing to compare; expected hidden.<k>, logits, or labels with loss or "
        "grad.<parameter>",
        printable(file.path().string()));
  return report;
}

}  // namespace rankfold
