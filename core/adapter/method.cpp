#include "core/adapter/method.h"

#include <fmt/format.h>

#include "core/adapter/network_adapter.h"

namespace rankfold {

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
