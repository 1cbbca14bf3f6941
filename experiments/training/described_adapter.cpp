#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "experiments/training/adapter_folder.h"

namespace rankfold {

SiteCatalogue list_sites(AdapterDescription& description, const std::vector<Site>& sites) {
  SiteCatalogue catalogue;
  catalogue.model = description.model;
  catalogue.sites = sites;
  if (description.sites.empty())
    for (const Site& site : sites) description.sites.push_back({site.name, "", 0});
  return catalogue;
}

void start_unstored(Adapter<float>& adapter, const AdapterDescription& description) {
  // A start may take a decomposition of every weight.
  if (!std::ranges::all_of(adapter.parameters(), &Parameter<float>::is_stored))
    adapter.initialise(description.seed);
}

DescribedMethod resolve_description(AdapterDescription& description, const SiteCatalogue& catalogue,
                                    const Registry& registry) {
  const Method& method = registry.at(description.method);
  Stack stack;
  if (description.sites.empty()) {
    stack = select_stack(catalogue, description.targets, description.layers);
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
  MethodRequest request;
  request.rank = description.rank;
  if (description.settings.alpha != 0) request.alpha = description.settings.alpha;
  request.options = description.settings.options;
  description.settings = resolve_settings(method, request, stack);
  std::map<std::string, MethodSettings> own;
  for (const SiteChoice& choice : description.sites) {
    MethodRequest wanted = request;
    if (!choice.rank.empty()) wanted.rank = choice.rank;
    if (choice.alpha != 0) wanted.alpha = choice.alpha;
    own[choice.name] = resolve_settings(method, wanted, stack);
  }
  return {own.empty() ? method : with_site_settings(method, std::move(own)), std::move(stack),
          description.settings};
}

template <class T>
std::unique_ptr<Adapter<T>> make_described_adapter(AdapterDescription& description,
                                                   const SiteCatalogue& catalogue,
                                                   const Registry& registry,
                                                   std::shared_ptr<const Backend> backend) {
  const DescribedMethod described = resolve_description(description, catalogue, registry);
  return make_adapter<T>(described.method, described.stack, described.settings, std::move(backend));
}

template std::unique_ptr<Adapter<float>> make_described_adapter(AdapterDescription&,
                                                                const SiteCatalogue&,
                                                                const Registry&,
                                                                std::shared_ptr<const Backend>);
template std::unique_ptr<Adapter<double>> make_described_adapter(AdapterDescription&,
                                                                 const SiteCatalogue&,
                                                                 const Registry&,
                                                                 std::shared_ptr<const Backend>);

}  // namespace rankfold
