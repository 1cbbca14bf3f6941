#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/memory_error.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "experiments/models/config_file.h"
#include "experiments/models/config_keys.h"
#include "experiments/models/families/family.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

void check_settings(const HostSettings& settings, const Family& family, const std::string& model) {
  if (settings.labels == 0) throw UsageError("labels: got 0, expected at least 1");
  if (settings.output == HostOutput::language_model && !family.tells_tokens)
    throw Error("{}: the family {} has no language model here, expected a classifier", model,
                family.name);
}

/// A weight that every checkpoint of a family has: that of the first attention's output.
std::string telling_weight(const Family& family) {
  return fmt::format(fmt::runtime(family.modules.layer), 0) + family.modules.o + ".weight";
}

/// Throws Error where the checkpoint has none of the family's layers, but those of others.
void expect_own_layers(const HostSource& source, const Family& family) {
  const WeightFolder weights(source.folder);
  const std::string own = telling_weight(family);
  if (weights.find(own) || weights.find(own.substr(own.find('.') + 1))) return;
  std::vector<std::string> others;
  for (const Family* other : families())
    if (weights.find(telling_weight(*other))) others.emplace_back(other->name);
  if (!others.empty())
    throw Error("{}: model_type is '{}', but the checkpoint has the tensors of {}",
                printable(source.config->path().string()), family.name, join(others, ", "));
}

}  // namespace

bool tells_tokens(const std::filesystem::path& model) {
  const ConfigFile config(model / "config.json");
  const Family* family = find_family(config.text("model_type"));
  if (!family || !family->tells_tokens) return false;
  if (!config.has("architectures")) return true;
  return std::ranges::none_of(config.texts("architectures"), [](const std::string& name) {
    return name.ends_with("ForSequenceClassification");
  });
}

std::unique_ptr<Host> load_host(const std::filesystem::path& folder, const HostSettings& settings,
                                std::shared_ptr<const Device> device) {
  ConfigFile config(folder / "config.json");
  const std::string name = config.text("model_type");
  const Family* family = find_family(name);
  if (!family || !family->load)
    throw Error("{}: model_type is '{}', expected {}", config.path().string(), name,
                loadable_families());
  expect_known_config(config, family->keys);
  check_settings(settings, *family, folder.string());
  ModelShape shape = read_shape(config, *family);
  shape.name = folder.string();
  const HostSource source{folder, std::move(shape), std::move(config)};
  try {
    return with_memory_for(printable(folder.string()), 0,
                           [&] { return family->load(source, settings, std::move(device)); });
  } catch (const Error&) {
    if (!settings.random_weights) expect_own_layers(source, *family);
    throw;
  }
}

std::unique_ptr<Host> load_random_host(const std::string& name_or_folder, HostSettings settings,
                                       std::shared_ptr<const Device> device) {
  ModelShape shape = find_shape(name_or_folder);
  const Family& family = family_of(shape);
  if (!family.load)
    throw UsageError("{}: the network is of the family {}, expected {}: no other runs yet",
                     name_or_folder, shape.family, loadable_families());
  settings.random_weights = true;
  const auto& presets = built_in_shapes();
  if (std::ranges::find(presets, name_or_folder, &ModelShape::name) == presets.end())
    return load_host(name_or_folder, settings, std::move(device));
  check_settings(settings, family, name_or_folder);
  return family.load({name_or_folder, std::move(shape), {}}, settings, std::move(device));
}

}  // namespace rankfold
