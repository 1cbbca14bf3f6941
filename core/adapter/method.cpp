#include "core/adapter/method.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/adapter/network_adapter.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

Stack select_sites(const Method& method, const SiteCatalogue& catalogue, const std::string& targets,
                   const std::string& layers, const MethodRequest& request) {
  if (method.entry == Entry::weights) return select_stack(catalogue, targets, layers);
  if (targets != method.default_targets)
    throw UsageError("[{}] --targets is '{}'; the method acts on no weight, expected none",
                     method.name, printable(targets, 80));
  const bool of_layers = method.entry == Entry::keys_and_values;
  if (!of_layers && layers != "all")
    throw UsageError("[{}] --layers is '{}'; its tokens come before the first layer, expected all",
                     method.name, printable(layers, 80));
  if (of_layers && !catalogue.prefix_obstacle.empty())
    throw UsageError("[{}] {}: {}", method.name, catalogue.model, catalogue.prefix_obstacle);
  const std::size_t tokens = resolve_settings(method, request, {}).count("tokens");
  std::vector<Site> sites;
  std::size_t layer_count = 0;
  for (const Site& site : catalogue.virtual_sites) {
    if (of_layers != (site.matrix != MatrixType::virtual_tokens)) continue;
    layer_count = std::max(layer_count, site.layer + 1);
    sites.push_back(site);
    sites.back().in = tokens;
  }
  if (sites.empty())
    throw UsageError("[{}] {} has no place for virtual tokens", method.name, catalogue.model);
  const std::vector<std::size_t> chosen = parse_layers(layers, layer_count);
  std::erase_if(sites,
                [&](const Site& site) { return !std::ranges::binary_search(chosen, site.layer); });
  return Stack(std::move(sites));
}

Declaration declare_site(const Method& method, const Site& site, const Stack& stack,
                         const MethodSettings& settings) {
  Declaration declaration = method.declare(site, stack, settings);
  check_factors(declaration, fmt::format("[{}] site {}", method.name, site.name));
  return declaration;
}

template <class T>
std::unique_ptr<Adapter<T>> make_adapter(const Method& method, const Stack& stack,
                                         const MethodSettings& settings,
                                         std::shared_ptr<const Device> device) {
  std::vector<Declaration> declarations;
  for (const Site& site : stack.sites)
    declarations.push_back(declare_site(method, site, stack, settings));
  return std::make_unique<NetworkAdapter<T>>(method.name, stack, declarations, std::move(device));
}

template std::unique_ptr<Adapter<float>> make_adapter(const Method&, const Stack&,
                                                      const MethodSettings&,
                                                      std::shared_ptr<const Device>);
template std::unique_ptr<Adapter<double>> make_adapter(const Method&, const Stack&,
                                                       const MethodSettings&,
                                                       std::shared_ptr<const Device>);

Method with_site_settings(const Method& method, std::map<std::string, MethodSettings> settings) {
  Method result = method;
  result.declare = [declare = method.declare, sites = std::move(settings)](
                       const Site& site, const Stack& stack, const MethodSettings& common) {
    const auto own = sites.find(site.name);
    return declare(site, stack, own == sites.end() ? common : own->second);
  };
  return result;
}

}  // namespace rankfold
