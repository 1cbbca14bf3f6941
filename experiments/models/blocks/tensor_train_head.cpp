#include "experiments/models/blocks/tensor_train_head.h"

#include <cmath>

#include "core/adapter/method.h"
#include "decompositions/loretta.h"

namespace rankfold {
namespace {

Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in};
  const Initialiser bias = uniform(1.0 / std::sqrt(static_cast<double>(site.out)));
  Network network;
  network.out = {out};
  network.in = {in};
  network.terms = {{.product = {loretta_train("t", loretta_shape({}, site.in, site.out),
                                              settings.rank, in, out, site.name)}},
                   {.product = {Factor{"bias", {out}, bias}}, .constant = true}};
  return weight_update(network);
}

}  // namespace

template <class T>
std::unique_ptr<Adapter<T>> make_tensor_train_head(const std::string& name, std::size_t hidden,
                                                   std::size_t rank, std::uint64_t seed,
                                                   std::shared_ptr<const Device> device) {
  Method method;
  method.name = "tt-head";
  method.declare = declare;
  Site site;
  site.name = name;
  site.out = site.in = hidden;
  MethodSettings settings;
  settings.rank = rank;
  auto adapter =
      make_adapter<T>(method, Stack(std::vector<Site>{site}), settings, std::move(device));
  adapter->initialise(seed);
  adapter->set_frozen({FrozenLinear<T>{}});
  return adapter;
}

template std::unique_ptr<Adapter<float>> make_tensor_train_head(const std::string&, std::size_t,
                                                                std::size_t, std::uint64_t,
                                                                std::shared_ptr<const Device>);
template std::unique_ptr<Adapter<double>> make_tensor_train_head(const std::string&, std::size_t,
                                                                 std::size_t, std::uint64_t,
                                                                 std::shared_ptr<const Device>);

}  // namespace rankfold
