#include "experiments/adapter_files/adapter_updates.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace rankfold {

AdapterUpdates::AdapterUpdates(const Adapter<float>& adapter, std::vector<std::size_t> sites)
    : adapter_(adapter), sites_(std::move(sites)) {}

const float* AdapterUpdates::read(std::size_t site, std::vector<float>& scratch) const {
  const Site& shape = adapter_.stack().sites[sites_[site]];
  scratch.resize(shape.out * shape.in);
  const std::lock_guard lock(mutex_);
  adapter_.reconstruct(sites_[site], {scratch.data(), shape.out, shape.in});
  return scratch.data();
}

bool has_one_pair_a_site(const DescribedMethod& described) {
  const auto is_own = [](const Operand& operand, const Mode& first, const Mode& last) {
    const Factor* factor = std::get_if<Factor>(&operand);
    return factor && factor->owner == Owner::site && factor->trainable &&
           factor->modes.size() == 2 && factor->modes.front().name == first.name &&
           factor->modes.back().name == last.name;
  };
  return std::ranges::all_of(described.stack.sites, [&](const Site& site) {
    const Declaration declaration =
        described.method.declare(site, described.stack, described.settings);
    if (!is_sum_of_products(declaration) || declaration.normalisation) return false;
    const Network& network = declaration.stages.front().network;
    if (network.terms.size() != 1 || network.terms.front().product.size() != 2 ||
        network.out.size() != 1 || network.in.size() != 1)
      return false;
    const std::vector<Operand>& product = network.terms.front().product;
    const Factor* left = std::get_if<Factor>(&product.front());
    if (!left || left->modes.empty()) return false;
    const Mode inner = left->modes.back();
    return is_own(product.front(), network.out.front(), inner) &&
           is_own(product.back(), inner, network.in.front());
  });
}

}  // namespace rankfold
