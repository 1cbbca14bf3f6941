#include "experiments/models/check_model.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <span>
#include <string_view>

#include <fmt/ranges.h>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "decompositions/registry.h"
#include "experiments/models/generate.h"
#include "experiments/models/host.h"
#include "experiments/models/reference_batch.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

using Shape = std::vector<std::size_t>;

/// Of spans of one size.
double relative_error(std::span<const float> computed, std::span<const float> expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{computed[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return norm > 0 ? std::sqrt(difference / norm) : std::sqrt(difference);
}

bool is_input(std::string_view name) {
  return name.ends_with("input_ids") || name == "attention_mask" || name == "token_type_ids" ||
         name == "labels" || name == "greedy.prompt";
}

/// A tensor of that shape, in which dimensions of 1 before the last may be left out.
std::vector<float> read_reference(const SafetensorsFile& file, const std::string& name,
                                  const Shape& expected) {
  const TensorEntry& entry = file.at(name);
  const std::size_t size =
      std::accumulate(expected.begin(), expected.end(), std::size_t{1}, std::multiplies<>());
  const bool fits =
      entry.elements() == size && (size <= 1 || entry.shape.back() == expected.back());
  if (!fits)
    throw Error("{}: tensor {} has shape [{}], expected [{}]", printable(file.path().string()),
                printable(name), fmt::join(entry.shape, ", "), fmt::join(expected, ", "));
  return file.read<float>(name);
}

/// The rows of a padded tensor [sequences, length, width] that are tokens.
std::vector<float> real_rows(const SafetensorsFile& file, const std::string& name,
                             const ReferenceBatch& inputs, std::size_t width) {
  const std::vector<float> padded =
      read_reference(file, name, {inputs.batch.sequences(), inputs.length, width});
  std::vector<float> rows;
  for (const std::size_t row : inputs.real)
    rows.insert(rows.end(), padded.begin() + static_cast<std::ptrdiff_t>(row * width),
                padded.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
  return rows;
}

void compare_hidden(Host& host, const SafetensorsFile& file, const std::string& prefix,
                    const ReferenceBatch& inputs, ModelIoReport& report) {
  const std::string beginning = prefix + "hidden.";
  const bool wanted = std::ranges::any_of(
      file.entries(), [&](const TensorEntry& entry) { return entry.name.starts_with(beginning); });
  if (!wanted) return;
  const std::vector<std::vector<float>> states = host.hidden_states(inputs.batch);
  for (std::size_t k = 0; k < states.size(); ++k) {
    const std::string name = beginning + std::to_string(k);
    if (!file.find(name)) continue;
    const std::size_t width = states[k].size() / inputs.real.size();
    report.errors[name] = relative_error(states[k], real_rows(file, name, inputs, width));
  }
}

void compare_logits(Host& host, const SafetensorsFile& file, const std::string& prefix,
                    const ReferenceBatch& inputs, HostOutput output, ModelIoReport& report) {
  const std::string all = prefix + "logits", last = prefix + "logits_last";
  if (output == HostOutput::classifier) {
    if (!file.find(all)) return;
    const std::vector<float> logits = host.predict(inputs.batch);
    const std::size_t sequences = inputs.batch.sequences();
    report.errors[all] =
        relative_error(logits, read_reference(file, all, {sequences, logits.size() / sequences}));
    return;
  }
  if (!file.find(all) && !file.find(last)) return;
  const std::vector<float> logits = host.token_logits(inputs.batch);
  const std::size_t width = logits.size() / inputs.real.size();
  if (file.find(all))
    report.errors[all] = relative_error(logits, real_rows(file, all, inputs, width));
  if (file.find(last))
    report.errors[last] =
        relative_error(std::span(logits).last(width), read_reference(file, last, {width}));
}

/// The modules whose dense weight has a reference gradient.
std::vector<Site> sites_with_gradient(const Host& host, const SafetensorsFile& file) {
  std::vector<Site> sites;
  for (const Site& site : host.catalogue().sites)
    if (site.part_of.empty() && file.find("grad." + site.name + ".weight")) sites.push_back(site);
  return sites;
}

struct StoredGradient {
  Shape shape;
  std::vector<float> values;
};

/// Gradients of dense weights as a checkpoint keeps the weights: see stored_matrix.
std::map<std::string, StoredGradient> stored_gradients(const Adapter<float>& dense,
                                                       const ModelShape& shape) {
  std::map<std::string, StoredGradient> gradients;
  for (std::size_t index = 0; index < dense.stack().sites.size(); ++index) {
    const Site& site = dense.stack().sites[index];
    const StoredMatrix stored = stored_matrix(shape, site);
    auto& [stored_shape, values] = gradients["grad." + stored.module + ".weight"];
    stored_shape = stored.transposed ? Shape{site.in, stored.rows} : Shape{stored.rows, site.in};
    values.resize(stored.rows * site.in);
    const std::span<const float> gradient = dense.parameters()[index].gradient.span();
    for (std::size_t row = 0; row < site.out; ++row)
      for (std::size_t column = 0; column < site.in; ++column)
        values[stored.place(row, column, site.in)] = gradient[row * site.in + column];
  }
  return gradients;
}

/// Loss and gradients of the batch's labels; a language model without labels tells its own tokens.
void compare_training(Host& host, const SafetensorsFile& file, const std::string& prefix,
                      ReferenceBatch& inputs, HostOutput output, const ModelShape& shape,
                      const std::shared_ptr<const Device>& device, ModelIoReport& report) {
  Batch& batch = inputs.batch;
  const std::string loss_name = prefix + "loss";
  if (output == HostOutput::language_model && batch.targets.empty() && file.find(loss_name))
    batch.targets = batch.ids;
  if (batch.labels.empty() && batch.targets.empty()) return;
  std::unique_ptr<Adapter<float>> dense;
  if (const std::vector<Site> sites = sites_with_gradient(host, file); !sites.empty()) {
    const Registry registry = builtin_registry();
    const Method& full = registry.at("full");
    const Stack stack{std::vector<Site>(sites)};
    dense = make_adapter<float>(full, stack, resolve_settings(full, {}, stack), device);
    host.attach(dense.get());
  }
  host.zero_gradients();
  const float loss = static_cast<float>(host.train_pass(batch, 0, 0));
  std::map<std::string, StoredGradient> gradients;
  if (dense) gradients = stored_gradients(*dense, shape);
  for (const TrainedTensor& tensor : host.trained())
    gradients["grad." + tensor.name] = {tensor.shape,
                                        {tensor.gradient.begin(), tensor.gradient.end()}};
  if (file.find(loss_name))
    report.errors[loss_name] =
        relative_error(std::span(&loss, 1), read_reference(file, loss_name, {1}));
  for (const auto& [name, gradient] : gradients)
    if (file.find(name))
      report.errors[name] =
          relative_error(gradient.values, read_reference(file, name, gradient.shape));
  host.attach(nullptr);
}

/// The share of greedily chosen tokens that differ.
void compare_greedy(Host& host, const SafetensorsFile& file, ModelIoReport& report) {
  if (!file.find("greedy.prompt") || !file.find("greedy.ids")) return;
  const auto ids_of = [&](const char* name) {
    const std::vector<std::int64_t> read = file.read<std::int64_t>(name);
    return std::vector<std::int32_t>(read.begin(), read.end());
  };
  const std::vector<std::int32_t> prompt = ids_of("greedy.prompt"), expected = ids_of("greedy.ids");
  if (prompt.empty() || expected.size() <= prompt.size())
    throw Error("{}: greedy.ids has {} tokens, expected more than the {} of greedy.prompt",
                printable(file.path().string()), expected.size(), prompt.size());
  const std::vector<std::int32_t> told =
      generate_greedily(host, prompt, expected.size() - prompt.size());
  std::size_t different = 0;
  for (std::size_t i = 0; i < expected.size(); ++i)
    if (i >= told.size() || told[i] != expected[i]) ++different;
  report.errors["greedy.ids"] =
      static_cast<double>(different) / static_cast<double>(expected.size() - prompt.size());
}

void run_packed_and_alone(Host& host, HostOutput output, ModelIoReport& report) {
  const auto logits_of = [&](const Batch& batch) {
    return output == HostOutput::classifier ? host.predict(batch) : host.token_logits(batch);
  };
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
    const std::vector<float> logits = logits_of(single);
    alone.insert(alone.end(), logits.begin(), logits.end());
  }
  report.errors["logits"] = relative_error(logits_of(packed), alone);
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
    const HostSettings settings = reference_settings(folder, nullptr);
    const std::unique_ptr<Host> host = load_host(folder, settings, device);
    report.notes = host->notes();
    run_packed_and_alone(*host, settings.output, report);
    return report;
  }
  const SafetensorsFile file(*io);
  const HostSettings settings = reference_settings(folder, &file);
  const std::vector<std::string> prefixes = reference_prefixes(file);
  const ModelShape shape = read_shape(folder);
  const std::unique_ptr<Host> host = load_host(folder, settings, device);
  report.notes = host->notes();
  for (const std::string& prefix : prefixes) {
    ReferenceBatch inputs = read_reference_batch(file, prefix);
    compare_hidden(*host, file, prefix, inputs, report);
    compare_logits(*host, file, prefix, inputs, settings.output, report);
    compare_training(*host, file, prefix, inputs, settings.output, shape, device, report);
  }
  compare_greedy(*host, file, report);
  for (const TensorEntry& entry : file.entries())
    if (!report.errors.contains(entry.name) && !is_input(entry.name))
      report.skipped.push_back(entry.name);
  if (report.errors.empty())
    throw Error(
        "{}: holds nothing to compare; expected hidden.<k>, logits, labels with loss or "
        "grad.<parameter>, or greedy.prompt with greedy.ids",
        printable(file.path().string()));
  return report;
}

}  // namespace rankfold
