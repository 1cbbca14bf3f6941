#include <algorithm>
#include <utility>

#include "core/base/error.h"
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

}  // namespace

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
  return family->load({folder, std::move(shape), std::move(config)}, settings, std::move(device));
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
