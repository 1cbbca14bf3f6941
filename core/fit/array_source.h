#pragma once

#include <span>
#include <vector>

#include "core/base/error.h"
#include "core/fit/update_source.h"
#include "core/network/stack.h"

namespace rankfold {

/// Updates that lie one after the other in memory: D[out, in] of every site in the stack's order,
/// such as an array [sites, out, in]. The memory belongs to the caller and outlives the source.
template <class T>
class ArraySource final : public UpdateSource<T> {
 public:
  /// Throws Error where there are not as many numbers as the sites have.
  ArraySource(std::span<const T> values, const Stack& stack) : values_(values) {
    std::size_t size = 0;
    for (const Site& site : stack.sites) {
      begin_.push_back(size);
      size += site.out * site.in;
    }
    if (values.size() != size)
      throw Error("updates of {} sites: got {} numbers, expected {}", stack.sites.size(),
                  values.size(), size);
  }

  const T* read(std::size_t site, std::vector<T>&) const override {
    return values_.data() + begin_.at(site);
  }

 private:
  std::span<const T> values_;
  std::vector<std::size_t> begin_;
};

}  // namespace rankfold
