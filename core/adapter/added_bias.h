#pragma once

#include <cstddef>
#include <vector>

#include "core/adapter/adapter.h"

namespace rankfold {

/// The trained bias [out] that a weight update adds to a site's output: that output for X = 0,
/// without the frozen bias. Zeros where adds_bias says that there is none.
template <class T>
std::vector<T> added_bias(const Adapter<T>& adapter, std::size_t index) {
  const Site& site = adapter.stack().sites.at(index);
  const bool beside = adapter.place(index) == Place::beside;
  const Buffer<T> zeros(adapter.device(), site.in);
  Buffer<T> row(adapter.device(), site.out);
  const SiteMatrix<T> output{index, {row.data(), 1, site.out}};
  adapter.forward({&output, 1}, {zeros.data(), 1, site.in}, nullptr,
                  beside ? Bias::omit : Bias::add);
  const HostRead<T> values(row);
  std::vector<T> bias(values.begin(), values.end());
  if (const T* data = beside ? nullptr : adapter.frozen(index).bias) {
    const HostRead<T> frozen(*adapter.device(), data, site.out);
    for (std::size_t i = 0; i < site.out; ++i) bias[i] -= frozen[i];
  }
  return bias;
}

}  // namespace rankfold
