#pragma once

#include <memory>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/fit/input_metric.h"
#include "core/fit/site_network.h"
#include "core/fit/update_source.h"

namespace rankfold {

/// What a fit leaves of every site's update.
struct SiteResiduals {
  std::vector<double> sizes;   ///< |D_s|
  std::vector<double> left;    ///< |D_s - dW_s|
  std::vector<int> exponents;  ///< both are in units of two to this power

  /// The largest exponent of a site that is not zero, and |D| of all sites in its unit.
  int unit() const;
  double size() const;
  /// |D - dW| / |D| over all sites, and of each; 0 where nothing is left, infinite where D is zero
  /// and something is.
  double relative_error() const;
  std::vector<double> site_errors() const;

 private:
  double total(const std::vector<double>& norms) const;
};

/// Of the adapter's parameters as they are stored.
template <class T>
SiteResiduals measure(const std::vector<SiteNetwork>& networks, const Adapter<T>& adapter,
                      const UpdateSource<T>& source, std::shared_ptr<const Device> device);

/// The same of D_s R_s^T and dW_s R_s^T; `weighted` gives the former.
SiteResiduals measure_weighted(const std::vector<SiteNetwork>& networks,
                               const Adapter<double>& adapter, const UpdateSource<double>& weighted,
                               const InputMetrics& metrics, std::shared_ptr<const Device> device);

}  // namespace rankfold
