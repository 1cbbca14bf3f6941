#include "core/fit/adapter_to_fit.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/fit/fit.h"
#include "core/fit/site_network.h"

namespace rankfold {
namespace {

[[noreturn]] void refuse_unknown_weights(const Method& method) {
  throw UsageError(
      "[{}] the update depends on the frozen weights, which are not known; expected them as "
      "--minus "
      "and the tuned weights as --input",
      method.name);
}

template <class T>
bool has_frozen_factors(const Adapter<T>& adapter) {
  return std::ranges::any_of(adapter.parameters(),
                             [](const Parameter<T>& parameter) { return !parameter.trainable; });
}

}  // namespace

Method as_updates(const Method& method) {
  Method plain = method;
  plain.declare = [declare = method.declare](const Site& site, const Stack& stack,
                                             const MethodSettings& settings) {
    return beside_weight(declare(site, stack, settings), site.out, site.in);
  };
  return plain;
}

template <class T>
std::unique_ptr<Adapter<T>> make_adapter_to_fit(const Method& method, const Stack& stack,
                                                const MethodSettings& settings,
                                                const UpdateSource<T>& source, std::uint64_t seed,
                                                std::shared_ptr<const Device> device) {
  expect_host_memory(*device, "fit");
  std::unique_ptr<Adapter<T>> adapter = make_adapter<T>(method, stack, settings, device);
  if (!has_frozen_factors(*adapter)) return adapter;
  std::vector<std::vector<T>> weights(stack.sites.size());
  std::vector<FrozenLinear<T>> frozen;
  for (std::size_t site = 0; site < stack.sites.size(); ++site)
    frozen.push_back({source.frozen_weight(site, weights[site]), nullptr});
  if (adapter->needs_frozen() && !frozen.empty() && !frozen.front().weight)
    refuse_unknown_weights(method);
  adapter->set_frozen(std::move(frozen));
  adapter->initialise(seed);
  adapter->set_frozen(std::vector<FrozenLinear<T>>(stack.sites.size()));
  return adapter;
}

void expect_fittable(const Method& method, const Stack& stack, const MethodSettings& settings,
                     bool knows_weights) {
  const Method plain = as_updates(method);
  const auto adapter = make_adapter<float>(plain, stack, settings, make_cpu_device());
  if (has_frozen_factors(*adapter) && !knows_weights) {
    if (adapter->needs_frozen()) refuse_unknown_weights(method);
    adapter->initialise(0);
  }
  compile_sites(plain, *adapter, settings);
}

template std::unique_ptr<Adapter<float>> make_adapter_to_fit(const Method&, const Stack&,
                                                             const MethodSettings&,
                                                             const UpdateSource<float>&,
                                                             std::uint64_t,
                                                             std::shared_ptr<const Device>);
template std::unique_ptr<Adapter<double>> make_adapter_to_fit(const Method&, const Stack&,
                                                              const MethodSettings&,
                                                              const UpdateSource<double>&,
                                                              std::uint64_t,
                                                              std::shared_ptr<const Device>);

}  // namespace rankfold
