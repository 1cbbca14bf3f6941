#include "experiments/adapter_files/adapter_folder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <set>
#include <vector>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "experiments/adapter_files/foreign_folder.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/replaced_tensors.h"
#include "experiments/models/trained_parts.h"
#include "experiments/runs/settings.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Somebody's tensor, adapter's or host's.
struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::span<float> value;
};

std::vector<NamedTensor> stored_tensors(Adapter<float>& adapter) {
  std::vector<NamedTensor> tensors;
  for (Parameter<float>& parameter : adapter.parameters())
    if (parameter.is_stored())
      tensors.push_back({parameter.name, parameter.shape, parameter.value.span()});
  return tensors;
}

/// The frozen tensors of a host that its base model's folder does not give.
std::vector<Host::DrawnTensor> own_frozen_tensors(const Host& host) {
  std::vector<Host::DrawnTensor> tensors = host.replaced();
  for (Host::DrawnTensor& tensor : host.drawn()) tensors.push_back(std::move(tensor));
  return tensors;
}

std::vector<NamedTensor> trained_tensors(Host& host) {
  std::vector<NamedTensor> tensors;
  for (const TrainedTensor& tensor : host.trained())
    tensors.push_back({tensor.name, tensor.shape, tensor.value});
  return tensors;
}

/// The numbers of a turned tensor as its checkpoint has them.
std::vector<float> stored_values(const TrainedTensor& tensor) {
  const std::size_t rows = tensor.shape.at(0), columns = tensor.shape.at(1);
  std::vector<float> values(tensor.value.size());
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) values[i * columns + j] = tensor.value[j * rows + i];
  return values;
}

std::string shape_text(const std::vector<std::size_t>& shape) {
  std::vector<std::string> sizes;
  for (std::size_t size : shape) sizes.push_back(std::to_string(size));
  return fmt::format("[{}]", join(sizes, ", "));
}

void fill(const SafetensorsFile& file, const NamedTensor& tensor) {
  const TensorEntry* entry = file.find(tensor.name);
  if (entry == nullptr) {
    throw Error("{}: tensor '{}' is missing; expected shape {}", file.path().string(), tensor.name,
                shape_text(tensor.shape));
  }
  if (entry->type != DataType::f32 || entry->shape != tensor.shape) {
    throw Error("{}: tensor '{}' is {} {}; expected F32 {}", file.path().string(), tensor.name,
                data_type_name(entry->type), shape_text(entry->shape), shape_text(tensor.shape));
  }
  std::memcpy(tensor.value.data(), file.bytes(*entry).data(), tensor.value.size_bytes());
  for (std::size_t i = 0; i < tensor.value.size(); ++i) {
    if (!std::isfinite(tensor.value[i])) {
      throw Error("{}: tensor '{}' holds {} at position {}; expected finite numbers",
                  file.path().string(), tensor.name, tensor.value[i], i);
    }
  }
}

void save(const fs::path& folder, const AdapterDescription& description, const Stack& stack,
          const std::vector<TensorToWrite>& tensors) {
  write_safetensors(folder / adapter_tensors_name, tensors,
                    {{"format", "rankfold"}, {"method", description.method}});
  write_adapter_description(folder, description, stack);
}

}  // namespace

void save_adapter(const fs::path& folder, const AdapterDescription& description,
                  Adapter<float>& adapter, Host& host) {
  std::vector<TensorToWrite> tensors;
  const auto add = [&](const std::vector<NamedTensor>& named) {
    for (const NamedTensor& tensor : named)
      tensors.push_back(
          make_tensor(tensor.name, tensor.shape, std::span<const float>(tensor.value)));
  };
  add(stored_tensors(adapter));
  AdapterDescription whole = description;
  whole.replaced.clear();
  std::deque<std::vector<float>> turned;
  for (const TrainedTensor& tensor : host.trained()) {
    std::span<const float> values = tensor.value;
    if (tensor.turned) values = turned.emplace_back(stored_values(tensor));
    tensors.push_back(make_tensor(tensor.name, tensor.shape, values));
    if (description.targets == everything && tensor.part != TrainedTensor::Part::head)
      whole.replaced.push_back(tensor.name);
  }
  const std::vector<Host::DrawnTensor> frozen = own_frozen_tensors(host);
  for (const Host::DrawnTensor& tensor : frozen) {
    tensors.push_back(make_tensor(tensor.name, tensor.shape, tensor.value));
    whole.replaced.push_back(tensor.name);
  }
  save(folder, whole, adapter.stack(), tensors);
}

void save_adapter(const fs::path& folder, const LoneAdapter& lone) {
  std::vector<TensorToWrite> tensors;
  for (const NamedTensor& tensor : stored_tensors(*lone.adapter))
    tensors.push_back(make_tensor(tensor.name, tensor.shape, std::span<const float>(tensor.value)));
  for (const LoneAdapter::HeadTensor& tensor : lone.head)
    tensors.push_back(
        make_tensor(tensor.name, tensor.shape, std::span<const float>(tensor.values)));
  save(folder, lone.description, lone.adapter->stack(), tensors);
}

std::vector<std::string> load_adapter_tensors(const fs::path& folder, Adapter<float>& adapter,
                                              Host& host, bool has_head) {
  const SafetensorsFile file(folder / adapter_tensors_name);
  std::set<std::string> known;
  for (const Host::DrawnTensor& tensor : host.replaced()) known.insert(tensor.name);
  std::vector<std::string> missing;
  const auto take = [&](const NamedTensor& tensor, bool needed) {
    if (!needed && !file.find(tensor.name)) {
      missing.push_back(tensor.name);
      return;
    }
    fill(file, tensor);
    known.insert(tensor.name);
  };
  for (const NamedTensor& tensor : stored_tensors(adapter)) take(tensor, true);
  for (const NamedTensor& tensor : trained_tensors(host)) take(tensor, has_head);
  for (const TensorEntry& entry : file.entries()) {
    if (!known.contains(entry.name)) {
      throw Error(
          "{}: tensor '{}' is unknown; method {} on these targets and layers has none of "
          "that name",
          file.path().string(), printable(entry.name, 200), adapter.method());
    }
  }
  if (!has_head)
    for (const Host::DrawnTensor& tensor : host.drawn()) missing.push_back(tensor.name);
  return missing;
}

const char* output_name(HostOutput output) {
  return output == HostOutput::classifier ? "classifier" : "causal language model";
}

namespace {

/// The frozen tensors of the model that the folder holds; null where it holds none.
std::shared_ptr<ReplacedTensors> read_replaced(const fs::path& folder,
                                               const std::vector<std::string>& names) {
  if (names.empty()) return nullptr;
  const SafetensorsFile file(folder / adapter_tensors_name);
  auto replaced = std::make_shared<ReplacedTensors>(printable(file.path().string()));
  for (const std::string& name : names) {
    const TensorEntry& entry = file.at(name);
    std::vector<float> values(entry.elements());
    fill(file, {entry.name, entry.shape, values});
    replaced->add(name, entry.shape, std::move(values));
  }
  return replaced;
}

}  // namespace

AdaptedModel load_adapted_model(const fs::path& model, const fs::path& folder,
                                const Registry& registry, std::shared_ptr<const Device> device,
                                const std::string& precision, std::optional<HostOutput> output) {
  if (is_foreign_folder(folder))
    return load_foreign_model(model, folder, registry, std::move(device), precision, output);
  AdaptedModel adapted;
  adapted.description = read_adapter_description(folder);
  AdapterDescription& description = adapted.description;
  const std::string file = (folder / adapter_config_name).string();
  if (const std::string found = model_fingerprint(model, description.fingerprint);
      found != description.fingerprint) {
    throw Error(
        "{}: the adapter was trained on '{}' (fingerprint {}); the model in {} has "
        "fingerprint {}",
        file, printable(description.model, 200), printable(description.fingerprint, 40),
        model.string(), found);
  }

  if (output && description.output != *output &&
      (description.head || *output == HostOutput::classifier))
    throw Error("{}: the adapter is of a {}, expected one of a {}", printable(file),
                output_name(description.output), output_name(*output));
  const std::string& chosen = precision.empty() ? description.precision : precision;
  check_precision(chosen);
  HostSettings host_settings;
  host_settings.output = description.output = output.value_or(description.output);
  host_settings.bfloat16 = chosen == "bf16";
  host_settings.labels = description.labels;
  host_settings.regression = description.regression;
  host_settings.seed = description.seed;
  host_settings.parts = parse_trained_parts(description.train, description.rank);
  host_settings.replaced = read_replaced(folder, description.replaced);
  if (host_settings.replaced && description.targets == everything)
    host_settings.replaced->keep_ties();
  adapted.host = load_host(model, host_settings, device);
  if (host_settings.replaced) host_settings.replaced->expect_all_read(description.model);

  adapted.adapter =
      make_folders_adapter(folder, description, adapted.host->catalogue(), registry, device);
  if (!adapted.adapter->parameters().empty()) adapted.host->attach(adapted.adapter.get());
  start_unstored(*adapted.adapter, description);
  adapted.untrained =
      load_adapter_tensors(folder, *adapted.adapter, *adapted.host, description.head);
  return adapted;
}

namespace {

LoneAdapter load_without_model(const fs::path& folder, const Registry& registry,
                               std::shared_ptr<const Device> device) {
  LoneAdapter lone;
  const std::string file = (folder / adapter_config_name).string();
  if (!is_foreign_folder(folder)) lone.description = read_adapter_description(folder);
  if (lone.description.stack.empty())
    throw Error("{}: does not list the weights that it adapts; --model is needed", file);
  const SiteCatalogue catalogue = list_sites(lone.description, lone.description.stack);
  lone.adapter = make_folders_adapter(folder, lone.description, catalogue, registry, device);
  if (lone.adapter->needs_frozen())
    throw Error("{}: method {} depends on the frozen weights; --model is needed", file,
                lone.description.method);
  start_unstored(*lone.adapter, lone.description);
  const SafetensorsFile tensors(folder / adapter_tensors_name);
  std::set<std::string> known;
  for (const NamedTensor& tensor : stored_tensors(*lone.adapter)) {
    fill(tensors, tensor);
    known.insert(tensor.name);
  }
  for (const TensorEntry& entry : tensors.entries())
    if (!known.contains(entry.name))
      lone.head.push_back({entry.name, entry.shape, tensors.read<float>(entry.name)});
  return lone;
}

}  // namespace

LoneAdapter load_lone_adapter(const fs::path& folder, const fs::path& model,
                              const Registry& registry, std::shared_ptr<const Device> device) {
  if (!is_foreign_folder(folder) && read_adapter_description(folder).targets == everything)
    throw Error(
        "{}: all weights of the model trained in place, so that there is no adapter; merge makes a "
        "model folder of them",
        folder.string());
  if (model.empty()) return load_without_model(folder, registry, std::move(device));
  AdaptedModel adapted = load_adapted_model(model, folder, registry, std::move(device), "f32");
  LoneAdapter lone{std::move(adapted.description),
                   std::move(adapted.adapter),
                   std::move(adapted.host),
                   std::move(adapted.untrained),
                   adapted.starts_from_weights,
                   {},
                   read_shape(model)};
  for (const TrainedTensor& tensor : lone.host->trained())
    if (std::ranges::find(lone.untrained, tensor.name) == lone.untrained.end())
      lone.head.push_back({tensor.name, tensor.shape, {tensor.value.begin(), tensor.value.end()}});
  lone.description.replaced.clear();
  for (const Host::DrawnTensor& tensor : own_frozen_tensors(*lone.host)) {
    if (std::ranges::find(lone.untrained, tensor.name) != lone.untrained.end()) continue;
    lone.head.push_back({tensor.name, tensor.shape, {tensor.value.begin(), tensor.value.end()}});
    lone.description.replaced.push_back(tensor.name);
  }
  return lone;
}

}  // namespace rankfold
