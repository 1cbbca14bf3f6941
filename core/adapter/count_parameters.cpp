#include <algorithm>

#include "core/adapter/method.h"
#include "core/network/factor_copies.h"

namespace rankfold {

Count count_parameters(const Method& method, const Stack& stack, const MethodSettings& settings) {
  FactorCopies copies(method.name);
  for (const Site& site : stack.sites)
    copies.add(site, declare_site(method, site, stack, settings));
  Count count{copies.trainable_size(), {}};
  for (const FactorCopy& copy : copies.all()) {
    const auto known = std::ranges::find_if(count.factors, [&](const FactorCount& factor) {
      return factor.name == copy.factor && factor.shape == copy.shape;
    });
    if (known != count.factors.end())
      ++known->copies;
    else
      count.factors.push_back({copy.factor, copy.shape, 1, copy.trainable});
  }
  return count;
}

}  // namespace rankfold
