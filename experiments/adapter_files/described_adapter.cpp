#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "experiments/adapter_files/adapter_folder.h"

namespace rankfold {

SiteCatalogue list_sites(AdapterDescription& description, const std::vector<Site>& sites) {
  SiteCatalogue catalogue;
  catalogue.model = description.model;
  catalogue.sites = sites;
  if (description.sites.empty())
    for (const Site& site : sites) description.sites.push_back({site.name});
  return catalogue;
}

void start_unstored(Adapter<float>& adapter, const AdapterDescription& description) {
  // A start may take a decomposition of every weight.
  if (!std::ranges::all_of(adapter.parameters(), &Parameter<float>::is_stored))
    adapter.initialise(description.seed);
}

std::optional<double> asked_alpha(const AdapterDescription& description) {
  if (description.alpha) return description.alpha;
  return description.settings.alpha == 0 ? std::nullopt : std::optional(description.settings.alpha);
}

namespace {

/// As resolve_settings does for what a user asks, but of what exists: alpha may be any number, and
/// a rank beyond the method's limit is only wasteful.
MethodSettings resolve_existing(Method method, const MethodRequest& request,
                                std::optional<double> alpha, const Stack& stack) {
  if (alpha && method.alpha == 0)
    throw UsageError("[{}] has no alpha, got {}", method.name, *alpha);
  if (alpha && !std::isfinite(*alpha))
    throw UsageError("[{}] alpha is {}, expected a finite number", method.name, *alpha);
  method.rank_limit = {};
  MethodSettings settings = resolve_settings(method, request, stack);
  if (alpha) settings.alpha = *alpha;
  return settings;
}

}  // namespace

DescribedMethod resolve_description(AdapterDescription& description, const SiteCatalogue& catalogue,
                                    const Registry& registry) {
  const Method& method = registry.at(description.method);
  Stack stack;
  if (description.targets == everything && !method.takes_everything)
    throw Error("targets is '{}', expected sites: it has no meaning for method {}", everything,
                method.name);
  if (description.sites.empty()) {
    stack = adapted_stack(catalogue, description.targets, description.layers);
  } else {
    std::vector<Site> sites;
    for (const SiteChoice& choice : description.sites) {
      const auto site = std::ranges::find(catalogue.sites, choice.name, &Site::name);
      if (site == catalogue.sites.end())
        throw Error("site '{}' is none of {}", printable(choice.name, 200), catalogue.model);
      sites.push_back(*site);
    }
    stack = Stack(std::move(sites));
  }
  // The factors were trained with the heads that the file names, whatever this program would count.
  for (Site& site : stack.sites) {
    const auto trained = std::ranges::find(description.stack, site.name, &Site::name);
    if (trained != description.stack.end() && trained->heads > 0) site.heads = trained->heads;
  }
  MethodRequest request;
  request.rank = description.rank;
  request.options = description.settings.options;
  const std::optional<double> alpha = asked_alpha(description);
  description.settings = resolve_existing(method, request, alpha, stack);
  std::map<std::string, MethodSettings> own;
  for (const SiteChoice& choice : description.sites) {
    MethodRequest wanted = request;
    if (!choice.rank.empty()) wanted.rank = choice.rank;
    own[choice.name] = resolve_existing(method, wanted, choice.alpha ? choice.alpha : alpha, stack);
  }
  return {own.empty() ? method : with_site_settings(method, std::move(own)), std::move(stack),
          description.settings};
}

template <class T>
std::unique_ptr<Adapter<T>> make_described_adapter(AdapterDescription& description,
                                                   const SiteCatalogue& catalogue,
                                                   const Registry& registry,
                                                   std::shared_ptr<const Device> device) {
  const DescribedMethod described = resolve_description(description, catalogue, registry);
  return make_adapter<T>(described.method, described.stack, described.settings, std::move(device));
}

/// Up to here a wrong shape is told when its tensor is read.
constexpr std::size_t largest_untold = std::size_t{1} << 20;

std::unique_ptr<Adapter<float>> make_folders_adapter(const std::filesystem::path& folder,
                                                     AdapterDescription& description,
                                                     const SiteCatalogue& catalogue,
                                                     const Registry& registry,
                                                     std::shared_ptr<const Device> device) {
  const std::string file = printable((folder / adapter_config_name).string());
  try {
    registry.at(description.method);
  } catch (const Error& failure) {
    throw Error("{}: {}; if a plug-in brings it, give --plugin FILE", file, failure.what());
  }
  try {
    const DescribedMethod described = resolve_description(description, catalogue, registry);
    const std::size_t needed =
        count_parameters(described.method, described.stack, described.settings).trainable;
    const SafetensorsFile tensors(folder / adapter_tensors_name);
    std::size_t held = 0;
    for (const TensorEntry& entry : tensors.entries()) held += entry.elements();
    if (needed > std::max(held, largest_untold))
      throw Error("its adapter has {} numbers, {} holds {}", needed,
                  printable(tensors.path().string()), held);
    return make_adapter<float>(described.method, described.stack, described.settings,
                               std::move(device));
  } catch (const Error& failure) {
    throw Error("{}: {}", file, failure.what());
  }
}

std::string left_out_note(const std::vector<std::string>& untrained) {
  if (untrained.empty()) return "";
  return fmt::format("the adapter has no trained {}: no random one is written",
                     join(untrained, ", "));
}

template std::unique_ptr<Adapter<float>> make_described_adapter(AdapterDescription&,
                                                                const SiteCatalogue&,
                                                                const Registry&,
                                                                std::shared_ptr<const Device>);
template std::unique_ptr<Adapter<double>> make_described_adapter(AdapterDescription&,
                                                                 const SiteCatalogue&,
                                                                 const Registry&,
                                                                 std::shared_ptr<const Device>);

}  // namespace rankfold
