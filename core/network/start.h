#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"
#include "core/network/stack.h"

namespace rankfold {

/// The factors of one site at their start, for methods that let them follow from the frozen weight
/// or from each other. Values are those of the site's copies, in double precision.
class Start {
 public:
  /// What it reads and writes with; the adapter's side.
  struct Access {
    std::function<std::vector<double>(std::string_view factor)> read;
    std::function<void(std::string_view factor, std::span<const double> values)> write;
    std::function<std::vector<double>()> weight;
    std::function<std::vector<double>()> input_moments = {}, weight_gradient = {};  ///< may be none
  };
  Start(const Site& site, std::string purpose, std::uint64_t seed, Access access);

  const Site& site() const { return site_; }
  /// Row-major over the factor's modes. Throws Error naming a factor that the site does not have.
  std::vector<double> factor(std::string_view name) const;
  void set_factor(std::string_view name, std::span<const double> values);
  /// W[out, in]; throws Error where the adapter was given no frozen weights.
  std::vector<double> weight() const;
  /// The mean of x x^T [in, in] over inputs x of the site; throws Error where the adapter was given
  /// no samples.
  std::vector<double> input_moments() const;
  /// The gradient of the loss by W [out, in]; throws the same.
  std::vector<double> weight_gradient() const;
  /// The singular values and vectors of W, computed once for all factors of the site.
  const Svd& weight_svd();
  /// Random numbers of this site's own, addressed by purpose; with `shared` those of the model.
  RandomStream random(std::string_view purpose, bool shared = false) const;

 private:
  const Site& site_;
  std::string purpose_;
  std::uint64_t seed_;
  Access access_;
  std::vector<Svd> svd_;  ///< none or one
};

}  // namespace rankfold
