#pragma once

#include <functional>
#include <vector>

#include "core/device/device.h"
#include "core/fit/update_source.h"

namespace rankfold {

/// Matrices D_s[out, in] in bases that all of them share: core_s = left^T D_s right.
template <class T>
struct Compression {
  std::size_t out = 0, in = 0;  ///< of the core
  std::vector<T> left, right;   ///< [rows, out], [columns, in], orthonormal; empty: identity
  std::vector<T> half;          ///< D_s right[sites, rows, in], where both sides are compressed
  std::vector<T> core;          ///< [sites, out, in]
  std::vector<double> squares;  ///< |D_s|^2
};

/// A basis of `width` columns (0: the side is left as it is) for a factor that has `rank`.
struct BasisSize {
  std::size_t width = 0, rank = 0;
};
/// How wide to make it.
std::size_t basis_width(std::size_t rank);

/// Bases of both sides by a block power iteration from a
/// random start that alternates between the sides (for one matrix the randomised range finder:
/// Halko, Martinsson, Tropp, SIAM Review 53 (2011); for several the orthogonal iteration on
/// Tucker's subspaces), until the leading `rank` directions gain less than 3e-4 of what they leave,
/// or after 9 passes. With a basis of width l = r + p and q passes over one matrix, the expected
/// error is at most
///   (1 + sqrt(r / (p - 1)) + e sqrt(l) / p sqrt(min(m, n) - r))^(1 / (2 q + 1)) s_{r+1}
/// in the spectral norm (their corollary 10.10, half a pass counted as 1 / 2). Each pass reads
/// every site once. Throws Error naming a site (`describe`) that holds numbers that are not finite.
template <class T>
Compression<T> compress(const UpdateSource<T>& source, const std::vector<std::size_t>& sites,
                        std::size_t rows, std::size_t columns, BasisSize out, BasisSize in,
                        const Device& device,
                        const std::function<std::string(std::size_t)>& describe);

/// sum x^2 in double precision.
template <class T>
double sum_of_squares(const T* values, std::size_t count);

/// While it lives, loops and products that this thread starts run on this thread alone: small ones
/// lose more by waiting for others than these do for them.
class SingleThread {
 public:
  explicit SingleThread(bool wanted = true);
  ~SingleThread();
  SingleThread(const SingleThread&) = delete;
  SingleThread& operator=(const SingleThread&) = delete;

 private:
  int threads_ = 0;
};

/// Calls body(i) for i below `count`, by all threads where there is enough for them and the caller
/// is no thread of such a loop itself. The first exception is thrown when all are done.
void for_each(std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace rankfold
