#pragma once

#include <cstddef>
#include <vector>

#include "core/adapter.h"

namespace rankfold {

/// The trained bias [out] that an adapter beside its weight adds to a site's output: that output
/// for X = 0. Zeros where adds_bias says that there is none.
template <class T>
std::vector<T> added_bias(const Adapter<T>& adapter, std::size_t index) {
  const Site& site = adapter.stack().sites.at(index);
  const std::vector<T> zeros(site.in);
  std::vector<T> bias(site.out);
  const SiteMatrix<T> output{index, {bias.data(), 1, site.out}};
  adapter.forward({&output, 1}, {zeros.data(), 1, site.in}, nullptr, Bias::omit);
  return bias;
}

}  // namespace rankfold
