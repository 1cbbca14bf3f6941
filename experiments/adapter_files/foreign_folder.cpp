#include "experiments/adapter_files/foreign_folder.h"

#include <algorithm>
#include <cmath>
#include <set>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/json_field.h"
#include "core/base/text.h"
#include "experiments/adapter_files/lorta_folder.h"
#include "experiments/adapter_files/lotr_folder.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/adapter_files/peft_tokens_folder.h"
#include "experiments/models/config_file.h"
#include "experiments/models/families/family.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/replaced_tensors.h"
#include "experiments/runs/settings.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

OrderedJsonDocument read_configuration(const fs::path& folder) {
  return OrderedJsonDocument(folder / adapter_config_name, {}, JsonWording::is);
}

/// Of the head that the model's own checkpoint has, else 2.
std::size_t saved_labels(const fs::path& model) {
  const WeightFolder weights(model);
  const TensorEntry* entry = weights.find("classifier.weight");
  return entry && !entry->shape.empty() && entry->shape.front() > 0 ? entry->shape.front() : 2;
}

/// The name of the model's folder.
std::string model_name(const fs::path& model) {
  const fs::path path = fs::absolute(model).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

}  // namespace

bool is_foreign_folder(const fs::path& folder) {
  const OrderedJsonDocument document = read_configuration(folder);
  return document.root().given("peft_type") || document.root().given("layout");
}

std::unique_ptr<ForeignFolder> read_foreign_folder(const fs::path& folder) {
  const OrderedJsonDocument document = read_configuration(folder);
  if (const auto type = document.root().given("peft_type")) {
    if (PeftTokensFolder::is_type(type->string_or_nothing().value_or("")))
      return std::make_unique<PeftTokensFolder>(folder);
    return std::make_unique<PeftFolder>(folder);
  }
  const OrderedJsonField field = document.root().member_or_null("layout");
  const auto layout = field.string_or_nothing();
  if (layout == "lotr") return std::make_unique<LotrFolder>(folder);
  if (layout == "lorta") return std::make_unique<LortaFolder>(folder);
  const std::string expected = "\"lotr\" or \"lorta\"";
  if (layout == "loretta")
    field.refuse(expected +
                 "; LoRETTA's code loses layer norms when it saves and names its cores nowhere "
                 "that we may read (it is GPL), so its checkpoints are not read");
  field.refuse(expected);
}

SafetensorsFile open_foreign_tensors(const fs::path& folder) {
  if (!fs::exists(folder / adapter_tensors_name) && fs::is_directory(folder))
    for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
      const std::string ending = entry.path().extension().string();
      if (ending != ".bin" && ending != ".pt" && ending != ".pth" && ending != ".ckpt") continue;
      // clone: safetensors refuses tensors that share memory.
      throw Error(
          "{}: is a pickle, which can run code; write it as safetensors in Python: "
          "safetensors.torch.save_file({{k: v.clone() for k, v in torch.load('{}', "
          "weights_only=True).items()}}, 'adapter_model.safetensors')",
          entry.path().string(), printable(entry.path().filename().string(), 80));
    }
  return SafetensorsFile(folder / adapter_tensors_name);
}

const Site& find_site(const SiteCatalogue& catalogue, const std::string& module,
                      const std::string& file) {
  const Site* found = nullptr;
  std::vector<std::string> names;
  for (const Site& site : catalogue.sites) {
    if (!site.part_of.empty()) continue;
    if (site.name == module) return site;
    names.push_back(site.name);
    if (!site.name.ends_with("." + module)) continue;
    if (found)
      throw Error("{}: module '{}' may be {} or {}, expected one weight of {}", file,
                  printable(module, 200), found->name, site.name, catalogue.model);
    found = &site;
  }
  if (found) return *found;
  const std::string nearest = nearest_name(module, names);
  throw Error("{}: module '{}' is no weight of {} that can be adapted{}", file,
              printable(module, 200), catalogue.model,
              nearest.empty() ? "" : fmt::format("; the nearest is '{}'", nearest));
}

void read_numbers(const SafetensorsFile& file, const std::string& key, const std::string& what,
                  const std::vector<std::size_t>& shape, std::span<float> target) {
  const auto sides = [](std::vector<std::size_t> of) {
    std::erase(of, 1U);
    return of;
  };
  if (const TensorEntry& entry = file.at(key); sides(entry.shape) != sides(shape))
    throw Error("{}: tensor '{}' has shape ({}), expected ({}) for {}", file.path().string(),
                printable(key, 200), fmt::join(entry.shape, ", "), fmt::join(shape, ", "), what);
  const std::vector<float> values = file.read<float>(key);
  for (const float value : values)
    if (!std::isfinite(value))
      throw Error("{}: tensor '{}' holds {}, expected finite numbers", file.path().string(),
                  printable(key, 200), value);
  std::ranges::copy(values, target.begin());
}

std::optional<std::size_t> head_labels(const SafetensorsFile& file,
                                       const std::map<std::string, std::string>& head) {
  for (const std::string& output : output_weights())
    for (const auto& [name, key] : head)
      if (name == output || name.ends_with("." + output)) {
        const TensorEntry& entry = file.at(key);
        if (!entry.shape.empty() && entry.shape.front() > 0) return entry.shape.front();
      }
  return {};
}

bool fill_foreign_head(const SafetensorsFile& file, const std::map<std::string, std::string>& keys,
                       const std::vector<TrainedTensor>& head) {
  std::set<std::string> used;
  std::string missing;
  for (const TrainedTensor& tensor : head) {
    const auto found = keys.find(tensor.name);
    if (found == keys.end()) {
      missing = tensor.name;
      continue;
    }
    read_numbers(file, found->second, tensor.name, tensor.shape, tensor.value);
    used.insert(tensor.name);
  }
  for (const auto& [name, key] : keys)
    if (!used.contains(name))
      throw Error("{}: tensor '{}' belongs to no adapted weight and to no head that trains here",
                  file.path().string(), printable(key, 200));
  if (!used.empty() && !missing.empty())
    throw Error("{}: has no tensor for '{}', though it has '{}'", file.path().string(), missing,
                printable(keys.at(*used.begin()), 200));
  return !used.empty();
}

namespace {

/// Tensors of the host that neither its checkpoint nor the adapter has.
std::vector<std::string> find_untrained(Host& host, const fs::path& model,
                                        const ForeignFolder& foreign, bool has_head) {
  const WeightFolder weights(model);
  std::vector<std::string> names;
  for (const Host::DrawnTensor& tensor : host.drawn()) names.push_back(tensor.name);
  if (has_head) return names;
  for (const TrainedTensor& tensor : host.trained()) {
    const TensorEntry* entry = weights.find(tensor.name);
    if (!foreign.keeps_head() || !entry || entry->shape != tensor.shape)
      names.push_back(tensor.name);
  }
  return names;
}

}  // namespace

AdaptedModel load_foreign_model(const fs::path& model, const fs::path& folder,
                                const Registry& registry, std::shared_ptr<const Device> device,
                                const std::string& precision, std::optional<HostOutput> output) {
  const std::unique_ptr<ForeignFolder> foreign = read_foreign_folder(folder);
  check_precision(precision.empty() ? "f32" : precision);
  HostSettings host_settings;
  host_settings.bfloat16 = precision == "bf16";
  const std::optional<std::size_t> labels = foreign->labels();
  const std::optional<HostOutput> trained = foreign->output();
  if (output && trained && *output != *trained)
    throw Error("{}: the adapter is of a {}, expected one of a {}",
                printable((folder / adapter_config_name).string()), output_name(*trained),
                output_name(*output));
  if (output || trained)
    host_settings.output = output ? *output : *trained;
  else if (!labels)
    host_settings.output = declared_output(ConfigFile(model / "config.json"));
  host_settings.labels = labels.value_or(saved_labels(model));
  host_settings.regression = host_settings.labels == 1;
  host_settings.replaced = foreign->replaced();
  AdaptedModel adapted;
  adapted.host = load_host(model, host_settings, device);
  if (host_settings.replaced)
    host_settings.replaced->expect_all_read(adapted.host->catalogue().model);
  AdapterDescription& description = adapted.description;
  description = foreign->describe(adapted.host->catalogue());
  description.model = model_name(model);
  description.fingerprint = model_fingerprint(model);
  description.output = host_settings.output;
  description.labels = host_settings.labels;
  description.regression = host_settings.regression;
  if (!precision.empty()) description.precision = precision;
  adapted.adapter =
      make_folders_adapter(folder, description, adapted.host->catalogue(), registry, device);
  adapted.host->attach(adapted.adapter.get());
  std::vector<Parameter<float>>& parameters = adapted.adapter->parameters();
  const auto is_unheld = [&](const Parameter<float>& parameter) {
    return parameter.is_stored() && !foreign->holds(parameter.factor);
  };
  adapted.starts_from_weights = std::ranges::any_of(parameters, is_unheld);
  if (adapted.starts_from_weights)
    adapted.adapter->initialise(description.seed);
  else
    start_unstored(*adapted.adapter, description);
  foreign->fill(*adapted.adapter);
  const bool has_head = foreign->fill_head(adapted.host->trained());
  adapted.untrained = find_untrained(*adapted.host, model, *foreign, has_head);
  description.head = adapted.untrained.empty();
  return adapted;
}

}  // namespace rankfold
