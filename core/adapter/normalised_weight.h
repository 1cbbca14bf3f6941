#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <vector>

#include "core/device/device.h"
#include "core/network/network.h"

namespace rankfold {

/// The sum of a[i,j] b[i,j] over all i and j, by way of those of the rows, which are left in
/// `sums`: the same bits for any number of threads. All pointers are to the device's memory.
template <class T>
double sum_by_rows(const Device& device, MatrixView<const T> a, const T* b, T* sums);

/// W' of one site whose norms are set by magnitudes (Normalisation says how). Norms below 1e-12 are
/// taken for that. All matrices are [out, in], contiguous; they, magnitudes and sums lie in the
/// device's memory. The host computes what there is one number of a row or a column.
template <class T>
class NormalisedWeight {
 public:
  NormalisedWeight(Normalisation::Kind kind, bool detached, std::size_t out, std::size_t in,
                   std::shared_ptr<const Device> device);

  /// `weight` holds dW on entry and W' on return; norms are those of the last call where `hold`
  /// says so.
  void form(const T* frozen, const std::array<T*, 2>& magnitudes, bool hold, T* weight);
  /// From G = dLoss/dW' and dW: dLoss/ddW in place of G, and adds to the magnitudes' gradients.
  /// `update` is used up. Taking no memory, neither may run twice at a time.
  void reverse(const T* frozen, const std::array<T*, 2>& magnitudes,
               const std::array<T*, 2>& magnitude_gradients, T* update, T* gradient);

  /// Whether dLoss/ddW follows from sums over tokens, without G: no magnitude is (nearly) zero.
  bool separates(const std::array<T*, 2>& magnitudes) const;
  /// Then, with what form left,
  ///   dLoss/ddW = diag(row_scales) dY^T X diag(column_scales) + rest.
  struct Scales {
    T* rows = nullptr;     ///< [out]
    T* columns = nullptr;  ///< [in] of rows_then_columns; else null, for ones
  };
  Scales scales(const std::array<T*, 2>& magnitudes);
  /// Sums over tokens: rows[i] = <G[i,:], W'[i,:]> = sum_t dY[t,i] (X W'^T)[t,i]; columns[j] =
  /// <G[:,j], W'[:,j]> = sum_t X[t,j] (dY W')[t,j], of rows_then_columns; whole = <G, dW>, of that.
  struct Products {
    const T* rows = nullptr;
    const T* columns = nullptr;
    double whole = 0;
  };
  bool has_rest() const { return !detached_; }
  bool has_columns() const { return kind_ == Normalisation::Kind::rows_then_columns; }
  bool needs_whole() const { return kind_ == Normalisation::Kind::whole; }
  /// The rest in place of `update`, which holds dW on entry where there is a rest (else null); adds
  /// to the magnitudes' gradients.
  void reverse_sums(const T* frozen, const std::array<T*, 2>& magnitudes,
                    const std::array<T*, 2>& magnitude_gradients, const Products& products,
                    T* update);

 private:
  HostRead<T> read(const T* data, std::size_t size) const { return {*device_, data, size}; }
  HostWrite<T> write(T* data, std::size_t size) const { return {*device_, data, size}; }
  MatrixView<T> view(T* matrix) const { return {matrix, out_, in_}; }
  double sum_whole(const T* a, const T* b);
  void reverse_columns(const T* v, const std::array<T*, 2>& magnitudes, T* dn, T* gradient);
  void reverse_rows(const T* v, const T* m, T* dm, T* gradient);

  Normalisation::Kind kind_;
  bool detached_;
  std::size_t out_, in_;
  std::shared_ptr<const Device> device_;
  std::vector<T> row_norms_, column_norms_;
  std::array<Buffer<T>, 3> rows_;     ///< sums and factors at hand, each [out]
  std::array<Buffer<T>, 2> columns_;  ///< and each [in] of rows_then_columns
  T frozen_norm_ = 0, update_norm_ = 0;
};

}  // namespace rankfold
