#include "experiments/models/check_model.h"

#include <algorithm>
#include <cmath>
#include <span>
#include <string_view>

#include <fmt/ranges.h>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "decompositions/registry.h"
#include "experiments/models/config_file.h"
#include "experiments/models/host.h"

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

/// Reference inputs, packed; `real` lists the rows of the padded layout that are tokens.
struct Inputs {
  Batch batch;
  std::vector<std::size_t> real;
};

std::vector<std::int64_t> read_integers(const SafetensorsFile& file, const std::string& name,
                                        std::size_t size) {
  std::vector<std::int64_t> values = file.read<std::int64_t>(name);
  if (values.size() != size)
    throw Error("{}: tensor {} has {} numbers, expected {}", printable(file.path().string()), name,
                values.size(), size);
  return values;
}

std::vector<float> read_labels(const SafetensorsFile& file) {
  if (!file.find("labels")) return {};
  const DataType type = file.at("labels").type;
  if (type == DataType::f32 || type == DataType::f64) return file.read<float>("labels");
  std::vector<float> labels;
  for (const std::int64_t label : file.read<std::int64_t>("labels"))
    labels.push_back(static_cast<float>(label));
  return labels;
}

Inputs read_inputs(const SafetensorsFile& file) {
  const TensorEntry& entry = file.at("input_ids");
  if (entry.shape.size() != 2)
    throw Error("{}: tensor input_ids has shape [{}], expected [sequences, length]",
                printable(file.path().string()), fmt::join(entry.shape, ", "));
  const std::size_t sequences = entry.shape[0], length = entry.shape[1], size = sequences * length;
  const std::vector<std::int64_t> ids = read_integers(file, "input_ids", size);
  std::vector<std::int64_t> mask(size, 1), types(size, 0);
  if (file.find("attention_mask")) mask = read_integers(file, "attention_mask", size);
  if (file.find("token_type_ids")) types = read_integers(file, "token_type_ids", size);
  Inputs inputs;
  inputs.batch.starts = {0};
  for (std::size_t i = 0; i < size; ++i) {
    if (mask[i] != 0 && i % length > 0 && mask[i - 1] == 0)
      throw Error("{}: row {} of attention_mask has a 1 after a 0, expected padding at the end",
                  printable(file.path().string()), i / length);
    if (mask[i] != 0) {
      inputs.real.push_back(i);
      inputs.batch.ids.push_back(static_cast<std::int32_t>(ids[i]));
      inputs.batch.type_ids.push_back(static_cast<std::int32_t>(types[i]));
    }
    if (i % length == length - 1) inputs.batch.starts.push_back(inputs.real.size());
  }
  inputs.batch.labels = read_labels(file);
  return inputs;
}

bool is_input(std::string_view name) {
  return name == "input_ids" || name == "attention_mask" || name == "token_type_ids" ||
         name == "labels";
}

HostSettings settings_for(const std::filesystem::path& folder, std::size_t labels) {
  HostSettings settings;
  settings.labels = labels;
  settings.dropout = 0;
  const ConfigFile config(folder / "config.json");
  const std::string problem = config.text("problem_type", labels == 1 ? "regression" : "");
  if (problem == "multi_label_classification")
    throw Error(
        "{}: problem_type is {}, whose loss is not computed here; expected regression or "
        "single_label_classification",
        printable(config.path().string()), problem);
  settings.regression = problem == "regression";
  return settings;
}

void compare_hidden(Host& host, const SafetensorsFile& file, const Inputs& inputs,
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

void compare_training(Host& host, const SafetensorsFile& file, const Inputs& inputs,
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
    const std::unique_ptr<Host> host = load_host(folder, settings_for(folder, 2), device);
    report.notes = host->notes();
    run_packed_and_alone(*host, report);
    return report;
  }
  const SafetensorsFile file(*io);
  const Inputs inputs = read_inputs(file);
  const TensorEntry* logits = file.find("logits");
  if (logits && (logits->shape.size() != 2 || logits->shape[1] == 0))
    throw Error("{}: tensor logits has shape [{}], expected [sequences, labels]",
                printable(file.path().string()), fmt::join(logits->shape, ", "));
  const HostSettings settings = settings_for(folder, logits ? logits->shape[1] : 2);
  const std::unique_ptr<Host> host = load_host(folder, settings, device);
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
