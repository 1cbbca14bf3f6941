#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/fit/compression.h"
#include "core/fit/site_network.h"
#include "core/fit/sweeps.h"
#include "core/fit/tree_decomposition.h"

namespace rankfold {

/// How to fit the one tensor of a joint network: decided once for all sets of sites of one
/// structure.
template <class T>
class JointPlan {
 public:
  JointPlan(const JointNetwork& network, const Site& site, const FitSettings& fit,
            std::shared_ptr<const Device> device);

  /// Whether a set of sites with this block and these sides is fitted alike.
  bool suits(const FitBlock& block, const Site& site) const;

  /// The values of every operand's copies, contiguous. `purpose` addresses random starts.
  std::vector<std::vector<double>> fit(const UpdateSource<T>& source,
                                       const std::vector<std::size_t>& sites,
                                       const FitSettings& settings, const std::string& purpose,
                                       const std::function<std::string(std::size_t)>& describe,
                                       FitHistory& history) const;

 private:
  struct Side {
    std::size_t size = 0;
    std::size_t rank = 1;   ///< columns of the factor that holds it
    std::size_t width = 0;  ///< of its basis; 0: not compressed
    int mode = 0;
    std::size_t operand = 0;
  };
  Side find_side(std::size_t first, std::size_t count, std::size_t size) const;
  FitBlock with_sizes(std::size_t out, std::size_t in) const;
  std::vector<double> expand(const std::vector<double>& values, const Side& side,
                             const std::vector<T>& basis) const;
  template <class Value>
  std::vector<std::vector<double>> solve(const LeastSquares<Value>* problem, const FitBlock& block,
                                         const Value* tensor, double outside,
                                         const FitSettings& settings, const std::string& purpose,
                                         FitHistory& history) const;

  FitBlock block_;
  std::size_t sites_ = 1;
  Side out_, in_;
  FitBlock small_block_;
  std::optional<TreeShape> tree_;
  std::size_t sweeps_ = 0, starts_ = 1;
  std::shared_ptr<const Device> device_;
  std::unique_ptr<LeastSquares<double>> small_;  ///< of compressed data
  std::unique_ptr<LeastSquares<T>> whole_;       ///< of the data themselves
  std::unique_ptr<LeastSquares<T>> half_;        ///< of data with the in side compressed
};

}  // namespace rankfold
