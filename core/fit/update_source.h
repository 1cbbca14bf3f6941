#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace rankfold {

/// The largest |x|; not a number where one is not finite.
template <class T>
double largest_magnitude(const T* values, std::size_t count) {
  T largest = 0, none = 0;  // infinity and what is no number times 0 are none
#pragma omp simd reduction(max : largest) reduction(+ : none)
  for (std::size_t i = 0; i < count; ++i) {
    largest = std::max(largest, std::abs(values[i]));
    none += values[i] * T{0};
  }
  return none == 0 ? static_cast<double>(largest) : std::numeric_limits<double>::quiet_NaN();
}

/// The updates to be fitted, one matrix a site of a stack, read as often as needed. Calls for
/// different sites may overlap in time.
template <class T>
class UpdateSource {
 public:
  virtual ~UpdateSource() = default;
  /// D[out, in] of a site, contiguous: where it lies, or in `scratch`, which has to outlive its
  /// use.
  virtual const T* read(std::size_t site, std::vector<T>& scratch) const = 0;
  /// The site is not needed for a while: its memory may be given back.
  virtual void release(std::size_t) const {}
  /// largest_magnitude of a site's `count` numbers; sources that know it do not read them again.
  virtual double largest(std::size_t site, std::size_t count) const {
    std::vector<T> scratch;
    const double size = largest_magnitude(read(site, scratch), count);
    release(site);
    return size;
  }
  /// W[out, in] that the update D = W' - W of a site was taken from, like read; null where it is
  /// not known.
  virtual const T* frozen_weight(std::size_t, std::vector<T>&) const { return nullptr; }
};

}  // namespace rankfold
