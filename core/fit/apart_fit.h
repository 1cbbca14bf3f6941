#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/fit/in_factor.h"
#include "core/fit/sweeps.h"

namespace rankfold {

/// The fit of sites that share factors but have no joint form (joint_fit.h): every site a block of
/// its own, parameters as the adapter has them, by alternating least squares. With metrics the fit
/// goes on from the adapter's values, with the roots in the factors of the in side or as known
/// operands.
template <class T>
class ApartFit {
 public:
  /// What it is given must outlive it. `metrics` may be null. Throws Error (naming the site by
  /// `describe`) where the systems would be too large.
  ApartFit(const std::vector<SiteNetwork>& networks, const std::vector<FitParameter>& parameters,
           const std::vector<std::size_t>& sites, const InputMetrics* metrics,
           std::shared_ptr<const Device> device, std::function<std::string(std::size_t)> describe);

  /// Fits the source's matrices (with metrics, weighted ones) and writes the trainable factors into
  /// the adapter. Throws Error naming a site that holds numbers that are not finite.
  void fit(const UpdateSource<T>& source, const FitSettings& settings, Adapter<T>& adapter,
           FitHistory& history) const;

 private:
  FitBlock make_block(std::size_t site);
  void make_problem(std::vector<FitBlock> blocks);
  /// The root that a number stands for; null where it is a parameter of the adapter.
  const std::vector<double>* root(std::size_t number) const;
  const InFactor* in_factor(std::size_t number) const;
  FitState<T> start(const Adapter<T>& adapter) const;
  FitData<T> read(const UpdateSource<T>& source, FitState<T>& state,
                  std::vector<std::vector<T>>& scratch) const;

  const std::vector<SiteNetwork>& networks_;
  const std::vector<FitParameter>& parameters_;
  const std::vector<std::size_t>& sites_;
  const InputMetrics* metrics_;
  std::shared_ptr<const Device> device_;
  std::function<std::string(std::size_t)> describe_;
  std::optional<std::map<std::size_t, InFactor>> in_factors_;
  /// By the problem's parameters: the adapter's numbers, and behind these those of roots.
  std::vector<std::size_t> used_;
  std::unique_ptr<LeastSquares<T>> problem_;
};

}  // namespace rankfold
