#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "core/fit/site_network.h"
#include "core/fit/update_source.h"

namespace rankfold {

/// The updates of another source, each times two to the power of minus its exponent.
template <class T>
class ScaledSource final : public UpdateSource<T> {
 public:
  ScaledSource(const UpdateSource<T>& source, const std::vector<Site>& sites,
               std::vector<int> exponents)
      : source_(source), sites_(sites), exponents_(std::move(exponents)) {}

  const T* read(std::size_t site, std::vector<T>& scratch) const override {
    const T* values = source_.read(site, scratch);
    if (exponents_[site] == 0) return values;
    const std::size_t count = sites_[site].out * sites_[site].in;
    std::vector<T> scaled(count);
    for (std::size_t i = 0; i < count; ++i) scaled[i] = std::scalbn(values[i], -exponents_[site]);
    scratch = std::move(scaled);
    return scratch.data();
  }
  void release(std::size_t site) const override { source_.release(site); }

 private:
  const UpdateSource<T>& source_;
  const std::vector<Site>& sites_;
  std::vector<int> exponents_;
};

/// How the updates of sites that are fitted together are brought into range.
struct FitScale {
  int exponent = 0;   ///< of the unit they are fitted in
  bool zero = false;  ///< all of them are zero
  /// Trainable parameters of which every product of the sites has exactly one: times them, the
  /// updates are. Empty where there are none (a product of frozen factors alone).
  std::vector<std::size_t> carriers;
};

/// For sites whose updates are at most `largest` in size; the unit is 1 while squares of these
/// are well within the range of T, or where nothing can carry another. Throws Error beginning with
/// `what` where squares would overflow and nothing can.
template <class T>
FitScale find_scale(const std::vector<SiteNetwork>& networks, const std::vector<std::size_t>& sites,
                    const std::vector<FitParameter>& parameters, double largest,
                    const std::string& what);

}  // namespace rankfold
