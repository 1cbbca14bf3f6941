#include "experiments/adapter_files/can_be_fitted.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/fit/site_network.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/foreign_folder.h"

namespace rankfold {

void check_can_be_fitted(const AdapterDescription& description, const DescribedMethod& described,
                         const Adapter<float>& adapter,
                         const std::shared_ptr<const Device>& device) {
  const std::string& name = description.method;
  if (!described.method.has_rank) throw Error("method {} has no rank that could be smaller", name);
  if (!adapter.is_weight_update())
    throw Error("method {} adds to the activations, not to the weights; it cannot be fitted again",
                name);
  const auto scales_to_nothing = [&](const SiteChoice& choice) {
    return choice.alpha.value_or(asked_alpha(description).value_or(1)) == 0;
  };
  if (asked_alpha(description) == 0.0 || std::ranges::any_of(description.sites, scales_to_nothing))
    throw Error("method {} cannot be fitted again where alpha is 0: its updates are zero", name);
  // What a fit refuses is refused before anything is computed.
  const auto trial =
      make_adapter<float>(described.method, described.stack, described.settings, device);
  compile_sites(described.method, *trial, described.settings);
  if (std::ranges::all_of(trial->parameters(), &Parameter<float>::trainable)) return;
  try {
    trial->initialise(description.seed);
  } catch (const Error&) {
    throw Error(
        "method {} cannot be fitted again: its frozen factors follow from the model's weights, "
        "which a fit to updates does not have",
        name);
  }
}

void check_compresses(const std::filesystem::path& folder, const Registry& registry,
                      std::shared_ptr<const Device> device) {
  if (is_foreign_folder(folder)) return;
  AdapterDescription description = read_adapter_description(folder);
  if (description.targets == everything || description.stack.empty()) return;
  const SiteCatalogue catalogue = list_sites(description, description.stack);
  const auto adapter = make_folders_adapter(folder, description, catalogue, registry, device);
  const DescribedMethod described = resolve_description(description, catalogue, registry);
  try {
    check_can_be_fitted(description, described, *adapter, device);
  } catch (const UsageError& failure) {
    throw Error("{}", failure.what());
  }
}

}  // namespace rankfold
