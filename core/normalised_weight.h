#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "core/network.h"

namespace rankfold {

/// W' of one site whose norms are set by magnitudes (Normalisation says how). Norms below 1e-12 are
/// taken for that. All matrices are [out, in], contiguous.
template <class T>
class NormalisedWeight {
 public:
  NormalisedWeight(Normalisation::Kind kind, bool detached, std::size_t out, std::size_t in);

  /// `weight` holds dW on entry and W' on return; norms are those of the last call where `hold`
  /// says so.
  void form(const T* frozen, const std::array<T*, 2>& magnitudes, bool hold, T* weight);
  /// From G = dLoss/dW' and dW: dLoss/ddW in place of G, and adds to the magnitudes' gradients.
  /// `update` is used up. Taking no memory, neither may run twice at a time.
  void reverse(const T* frozen, const std::array<T*, 2>& magnitudes,
               const std::array<T*, 2>& magnitude_gradients, T* update, T* gradient);

 private:
  double multiply_whole(const T* a, const T* b);
  void reverse_rows(const T* v, const T* m, T* dm, T* gradient);

  Normalisation::Kind kind_;
  bool detached_;
  std::size_t out_, in_;
  std::vector<T> row_norms_, column_norms_;
  std::vector<T> rows_, columns_;  ///< sums at hand
  T frozen_norm_ = 0, update_norm_ = 0;
};

}  // namespace rankfold
