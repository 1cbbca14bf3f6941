#pragma once

#include <cstddef>
#include <vector>

namespace rankfold {

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
};

}  // namespace rankfold
