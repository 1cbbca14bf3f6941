#include "experiments/training/adapter_folder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "core/version.h"
#include "experiments/training/settings.h"
#include "experiments/training/trained_parts.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr const char* configuration_name = "adapter_config.json";
constexpr const char* tensors_name = "adapter_model.safetensors";
// Enough of every tensor to tell two trainings of one architecture apart.
constexpr std::size_t fingerprint_bytes = 64;

/// FNV-1a, 64 bits.
void hash_bytes(std::uint64_t& hash, const void* bytes, std::size_t size) {
  const auto* data = static_cast<const unsigned char*>(bytes);
  for (std::size_t i = 0; i < size; ++i) hash = (hash ^ data[i]) * 1099511628211U;
}

/// Somebody's tensor, adapter's or host's.
struct NamedTensor {
  std::string name;
  std::vector<std::size_t> shape;
  std::span<float> value;
};

std::vector<NamedTensor> all_tensors(Adapter<float>& adapter, Host& host) {
  std::vector<NamedTensor> tensors;
  for (Parameter<float>& parameter : adapter.parameters()) {
    tensors.push_back({parameter.name, parameter.shape, parameter.value.span()});
  }
  for (const TrainedTensor& tensor : host.trained()) {
    tensors.push_back({tensor.name, tensor.shape, tensor.value});
  }
  return tensors;
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

AdapterDescription parse_description(const json& document) {
  AdapterDescription description;
  description.method = document.at("method").get<std::string>();
  description.rank = document.at("rank").get<std::string>();
  if (!document.at("alpha").is_null()) {
    description.settings.alpha = document.at("alpha").get<double>();
  }
  description.settings.options = document.at("options").get<std::map<std::string, std::string>>();
  description.targets = document.at("targets").get<std::string>();
  description.layers = document.at("layers").get<std::string>();
  description.train = document.at("train").get<std::string>();
  description.task = document.at("task").get<std::string>();
  description.labels = document.at("labels").get<std::size_t>();
  description.regression = document.at("regression").get<bool>();
  description.model = document.at("model").get<std::string>();
  description.fingerprint = document.at("fingerprint").get<std::string>();
  description.max_length = document.at("max_length").get<std::size_t>();
  description.batch = document.at("batch").get<std::size_t>();
  description.score_on = document.at("score_on").get<std::string>();
  description.seed = document.at("seed").get<std::uint64_t>();
  return description;
}

}  // namespace

std::string model_fingerprint(const fs::path& model) {
  const WeightFolder weights(model);
  std::uint64_t hash = 14695981039346656037U;
  for (const std::string& name : weights.names()) {
    const TensorEntry& entry = weights.at(name);
    const std::string line =
        fmt::format("{} {} {}\n", name, data_type_name(entry.type), shape_text(entry.shape));
    hash_bytes(hash, line.data(), line.size());
    const std::span<const std::byte> bytes = weights.bytes(name);
    hash_bytes(hash, bytes.data(), std::min(bytes.size(), fingerprint_bytes));
  }
  return fmt::format("{:016x}", hash);
}

void save_adapter(const fs::path& folder, const AdapterDescription& description,
                  Adapter<float>& adapter, Host& host) {
  std::vector<TensorToWrite> tensors;
  for (const NamedTensor& tensor : all_tensors(adapter, host)) {
    tensors.push_back(make_tensor(tensor.name, tensor.shape, std::span<const float>(tensor.value)));
  }
  write_safetensors(folder / tensors_name, tensors,
                    {{"format", "rankfold"}, {"method", description.method}});

  json document;
  document["format"] = "rankfold";
  document["version"] = 1;
  document["rankfold"] = version();
  document["method"] = description.method;
  document["rank"] = description.rank;
  document["alpha"] =
      description.settings.alpha == 0 ? json(nullptr) : json(description.settings.alpha);
  document["options"] = json(description.settings.options);
  document["targets"] = description.targets;
  document["layers"] = description.layers;
  document["train"] = description.train;
  document["model"] = description.model;
  document["fingerprint"] = description.fingerprint;
  document["task"] = description.task;
  document["labels"] = description.labels;
  document["regression"] = description.regression;
  document["max_length"] = description.max_length;
  document["batch"] = description.batch;
  document["score_on"] = description.score_on;
  document["seed"] = description.seed;
  write_atomically(folder / configuration_name,
                   document.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

AdapterDescription read_adapter_description(const fs::path& folder) {
  const fs::path file = folder / configuration_name;
  const std::string text = read_text(file);
  try {
    const json document = json::parse(text);
    if (!document.is_object() || document.value("format", "") != "rankfold") {
      throw Error("{}: format is not 'rankfold'; expected an adapter folder that rankfold wrote",
                  file.string());
    }
    if (document.value("version", 0) != 1) {
      throw Error("{}: version is {}; expected 1", file.string(),
                  printable(document.value("version", json()).dump(), 40));
    }
    const AdapterDescription description = parse_description(document);
    if (description.labels == 0 || description.labels > 100000 || description.max_length == 0 ||
        description.batch == 0) {
      throw Error("{}: labels, max_length or batch is out of range; expected 1 or more",
                  file.string());
    }
    return description;
  } catch (const json::exception& failure) {
    throw Error("{}: {}", file.string(), printable(failure.what(), 200));
  }
}

void load_adapter_tensors(const fs::path& folder, Adapter<float>& adapter, Host& host) {
  const SafetensorsFile file(folder / tensors_name);
  std::set<std::string> known;
  for (const NamedTensor& tensor : all_tensors(adapter, host)) {
    fill(file, tensor);
    known.insert(tensor.name);
  }
  for (const TensorEntry& entry : file.entries()) {
    if (!known.contains(entry.name)) {
      throw Error(
          "{}: tensor '{}' is unknown; method {} on these targets and layers has none of "
          "that name",
          file.path().string(), printable(entry.name, 200), adapter.method());
    }
  }
}

AdaptedModel load_adapted_model(const fs::path& model, const fs::path& folder,
                                const Registry& registry, std::shared_ptr<const Backend> backend) {
  AdaptedModel adapted;
  adapted.description = read_adapter_description(folder);
  AdapterDescription& description = adapted.description;
  const std::string file = (folder / configuration_name).string();
  if (const std::string found = model_fingerprint(model); found != description.fingerprint) {
    throw Error(
        "{}: the adapter was trained on '{}' (fingerprint {}); the model in {} has "
        "fingerprint {}",
        file, printable(description.model, 200), printable(description.fingerprint, 40),
        model.string(), found);
  }

  HostSettings host_settings;
  host_settings.labels = description.labels;
  host_settings.regression = description.regression;
  host_settings.seed = description.seed;
  host_settings.parts = parse_trained_parts(description.train, description.rank);
  adapted.host = load_host(model, host_settings, backend);

  try {
    const Method& method = registry.at(description.method);
    const Stack stack =
        select_stack(adapted.host->catalogue(), description.targets, description.layers);
    MethodRequest request;
    request.rank = description.rank;
    if (method.alpha != 0) request.alpha = description.settings.alpha;
    request.options = description.settings.options;
    description.settings = resolve_settings(method, request, stack);
    adapted.adapter = make_adapter<float>(method, stack, description.settings, backend);
  } catch (const Error& failure) {
    throw Error("{}: {}", file, failure.what());
  }
  load_adapter_tensors(folder, *adapted.adapter, *adapted.host);
  if (!adapted.adapter->parameters().empty()) adapted.host->attach(adapted.adapter.get());
  return adapted;
}

}  // namespace rankfold
