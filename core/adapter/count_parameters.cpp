#include <algorithm>

#include "core/adapter/method.h"
#include "core/network/factor_copies.h"

namespace rankfold {

Count count_parameters(const Method& method, const Stack& stack, const MethodSettings& settings) {
  FactorCopies copies(method.name);
  for (const Site& site : stack.sites)
    copies.add(site, declare_site(method, site, stack, settings));
  Count count{copies.trainable_size(), {}};
  for (const FactorForm& form : copies.forms()) {
    const auto known = std::ranges::find_if(count.factors, [&](const FactorCount& factor) {
      return factor.name == form.factor && factor.shape == form.shape;
    });
    if (known != count.factors.end())
      known->copies += form.copies;
    else
      count.factors.push_back({form.factor, form.shape, form.copies, form.trainable});
  }
  return count;
}

}  // namespace rankfold
