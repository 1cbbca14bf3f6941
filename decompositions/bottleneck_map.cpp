#include "decompositions/bottleneck_map.h"

namespace rankfold {

static bool acts_before(const Site& site) {
  return site.matrix == MatrixType::gate || site.matrix == MatrixType::up;
}

std::size_t bottleneck_side(const Site& site) {
  return acts_before(site) ? site.in : site.out;
}

Declaration bottleneck_adapter(const Site& site, const BottleneckMap& map) {
  const Mode hidden{"hidden", bottleneck_side(site)}, b{"b", map.inner};
  const auto layer = [&](const std::string& name, const Mode& from, const Mode& to, double scale) {
    Network network{.out = {to},
                    .in = {from},
                    .terms = {{.scale = scale, .product = {map.matrix(name, from, to)}}}};
    if (map.biases)
      network.terms.push_back({.scale = scale,
                               .product = {Factor{name + "_bias", {to}, map.bias(to)}},
                               .constant = true});
    return network;
  };
  return {acts_before(site) ? Place::before : Place::after,
          {{layer("down", hidden, b, 1), map.activation}, {layer("up", b, hidden, map.scale)}}};
}

}  // namespace rankfold
