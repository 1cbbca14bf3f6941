#include "core/adapter/normalised_weight.h"

#include <algorithm>
#include <cmath>

namespace rankfold {
namespace {

constexpr double least_norm = 1e-12;

/// The products of rows: sums[i] = sum over j of a[i,j] b[i,j].
template <class T>
void multiply_rows(const T* a, const T* b, std::size_t rows, std::size_t columns, T* sums) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < rows; ++i) {
    T sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t j = 0; j < columns; ++j) sum += a[i * columns + j] * b[i * columns + j];
    sums[i] = sum;
  }
}

/// The products of columns.
template <class T>
void multiply_columns(const T* a, const T* b, std::size_t rows, std::size_t columns, T* sums) {
  std::fill_n(sums, columns, T{0});
  for (std::size_t i = 0; i < rows; ++i)
#pragma omp simd
    for (std::size_t j = 0; j < columns; ++j) sums[j] += a[i * columns + j] * b[i * columns + j];
}

template <class T>
void take_roots(std::vector<T>& squares) {
  for (T& value : squares)
    value = static_cast<T>(std::max(std::sqrt(static_cast<double>(value)), least_norm));
}

/// matrix[i,j] = factor(i,j) * matrix[i,j] + added(i,j)
template <class T, class Function>
void for_each(std::size_t rows, std::size_t columns, T* matrix, const Function& function) {
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j) function(i, j, matrix[i * columns + j]);
}

}  // namespace

template <class T>
NormalisedWeight<T>::NormalisedWeight(Normalisation::Kind kind, bool detached, std::size_t out,
                                      std::size_t in)
    : kind_(kind), detached_(detached), out_(out), in_(in), rows_(out) {
  if (kind != Normalisation::Kind::whole) row_norms_.resize(out);
  if (kind != Normalisation::Kind::rows_then_columns) return;
  column_norms_.resize(in);
  columns_.resize(in);
}

/// Sums of rows before sums of them: the same bits for any number of threads.
template <class T>
double NormalisedWeight<T>::multiply_whole(const T* a, const T* b) {
  multiply_rows(a, b, out_, in_, rows_.data());
  double sum = 0;
  for (const T part : rows_) sum += static_cast<double>(part);
  return sum;
}

template <class T>
void NormalisedWeight<T>::form(const T* frozen, const std::array<T*, 2>& magnitudes, bool hold,
                               T* weight) {
  if (kind_ == Normalisation::Kind::whole) {
    if (!hold) {
      frozen_norm_ =
          static_cast<T>(std::max(std::sqrt(multiply_whole(frozen, frozen)), least_norm));
      update_norm_ =
          static_cast<T>(std::max(std::sqrt(multiply_whole(weight, weight)), least_norm));
    }
    const T a = *magnitudes[0] / frozen_norm_, b = *magnitudes[1] / update_norm_;
    for_each(out_, in_, weight, [&](std::size_t i, std::size_t j, T& value) {
      value = a * frozen[i * in_ + j] + b * value;
    });
    return;
  }
  for_each(out_, in_, weight,
           [&](std::size_t i, std::size_t j, T& value) { value += frozen[i * in_ + j]; });
  if (!hold) {
    multiply_rows(weight, weight, out_, in_, row_norms_.data());
    take_roots(row_norms_);
  }
  const T* m = magnitudes[0];
  for_each(out_, in_, weight,
           [&](std::size_t i, std::size_t, T& value) { value *= m[i] / row_norms_[i]; });
  if (kind_ == Normalisation::Kind::rows) return;
  if (!hold) {
    multiply_columns(weight, weight, out_, in_, column_norms_.data());
    take_roots(column_norms_);
  }
  const T* n = magnitudes[1];
  for_each(out_, in_, weight,
           [&](std::size_t, std::size_t j, T& value) { value *= n[j] / column_norms_[j]; });
}

template <class T>
void NormalisedWeight<T>::reverse(const T* frozen, const std::array<T*, 2>& magnitudes,
                                  const std::array<T*, 2>& magnitude_gradients, T* update,
                                  T* gradient) {
  if (kind_ == Normalisation::Kind::whole) {
    const auto product = static_cast<T>(multiply_whole(gradient, update));
    *magnitude_gradients[0] += static_cast<T>(multiply_whole(gradient, frozen)) / frozen_norm_;
    *magnitude_gradients[1] += product / update_norm_;
    const T scale = *magnitudes[1] / update_norm_;
    const T along = detached_ ? T{0} : product / (update_norm_ * update_norm_);
    for_each(out_, in_, gradient, [&](std::size_t i, std::size_t j, T& value) {
      value = scale * (value - along * update[i * in_ + j]);
    });
    return;
  }
  T* v = update;
  for_each(out_, in_, v,
           [&](std::size_t i, std::size_t j, T& value) { value += frozen[i * in_ + j]; });
  const T* m = magnitudes[0];
  if (kind_ == Normalisation::Kind::rows_then_columns) {
    // With H[i,j] = m[i] V[i,j] / |V[i,:]|: dH from G, then H's rows as DoRA's.
    std::vector<T>&scale = rows_, &products = columns_;
    std::ranges::fill(products, T{0});
    for (std::size_t i = 0; i < out_; ++i) scale[i] = m[i] / row_norms_[i];
    for (std::size_t i = 0; i < out_; ++i)
#pragma omp simd
      for (std::size_t j = 0; j < in_; ++j)
        products[j] += gradient[i * in_ + j] * scale[i] * v[i * in_ + j];
    for (std::size_t j = 0; j < in_; ++j)
      magnitude_gradients[1][j] += products[j] / column_norms_[j];
    const T* n = magnitudes[1];
    for_each(out_, in_, gradient, [&](std::size_t i, std::size_t j, T& value) {
      const T norm = column_norms_[j];
      const T along = detached_ ? T{0} : products[j] / (norm * norm);
      value = n[j] / norm * (value - along * scale[i] * v[i * in_ + j]);
    });
  }
  reverse_rows(v, m, magnitude_gradients[0], gradient);
}

/// W'[i,:] = m[i] V[i,:] / c[i] with c = |V[i,:]|: dm[i] = <G[i,:], V[i,:]> / c[i], dV = m / c (G -
/// <G, V> V / c^2).
template <class T>
void NormalisedWeight<T>::reverse_rows(const T* v, const T* m, T* dm, T* gradient) {
  std::vector<T>& products = rows_;
  multiply_rows(gradient, v, out_, in_, products.data());
  for (std::size_t i = 0; i < out_; ++i) dm[i] += products[i] / row_norms_[i];
  for_each(out_, in_, gradient, [&](std::size_t i, std::size_t j, T& value) {
    const T norm = row_norms_[i];
    const T along = detached_ ? T{0} : products[i] / (norm * norm);
    value = m[i] / norm * (value - along * v[i * in_ + j]);
  });
}

template <class T>
bool NormalisedWeight<T>::separates(const std::array<T*, 2>& magnitudes) const {
  const auto large = [](const T* values, const std::vector<T>& norms) {
    for (std::size_t i = 0; i < norms.size(); ++i)
      if (!(std::abs(values[i]) > static_cast<T>(least_norm) * norms[i])) return false;
    return true;
  };
  switch (kind_) {
    case Normalisation::Kind::rows:
      return large(magnitudes[0], row_norms_);
    case Normalisation::Kind::rows_then_columns:
      return large(magnitudes[0], row_norms_) && large(magnitudes[1], column_norms_);
    case Normalisation::Kind::whole:
      return std::abs(*magnitudes[0]) > static_cast<T>(least_norm) * frozen_norm_;
  }
  return false;
}

template <class T>
typename NormalisedWeight<T>::Scales NormalisedWeight<T>::scales(
    const std::array<T*, 2>& magnitudes) {
  if (kind_ == Normalisation::Kind::whole) {
    std::ranges::fill(rows_, *magnitudes[1] / update_norm_);
    return {rows_.data(), nullptr};
  }
  for (std::size_t i = 0; i < out_; ++i) rows_[i] = magnitudes[0][i] / row_norms_[i];
  for (std::size_t j = 0; j < columns_.size(); ++j)
    columns_[j] = magnitudes[1][j] / column_norms_[j];
  return {rows_.data(), columns_.empty() ? nullptr : columns_.data()};
}

/// With V = W + dW, c and h the norms of V's rows and of H's columns, s = m / c, z = n / h:
///   rows: g = <G, V> by rows = rows / s, rest = -s g / c^2 V.
///   rows_then_columns: q = <G, H> by columns = columns / z, u = <dH, V> by rows with
///     dH = (G - q / h^2 H) diag(z), rest = -s (z q / h^2 H + u / c^2 V).
///   whole: rest = -b <G, dW> / |dW|^3 dW.
template <class T>
void NormalisedWeight<T>::reverse_sums(const T* frozen, const std::array<T*, 2>& magnitudes,
                                       const std::array<T*, 2>& magnitude_gradients,
                                       const Products& products, T* update) {
  if (kind_ == Normalisation::Kind::whole) {
    double sum = 0;
    for (std::size_t i = 0; i < out_; ++i) sum += static_cast<double>(products.rows[i]);
    const double a = *magnitudes[0], b = *magnitudes[1], norm = update_norm_;
    *magnitude_gradients[0] += static_cast<T>((sum - b * products.whole / norm) / a);
    *magnitude_gradients[1] += static_cast<T>(products.whole / norm);
    if (detached_) return;
    const auto along = static_cast<T>(-b * products.whole / (norm * norm * norm));
    for_each(out_, in_, update, [&](std::size_t, std::size_t, T& value) { value *= along; });
    return;
  }
  const T *m = magnitudes[0], *n = magnitudes[1];
  T* dm = magnitude_gradients[0];
  const bool columns = kind_ == Normalisation::Kind::rows_then_columns;
  for (std::size_t j = 0; columns && j < in_; ++j) {
    const T q = products.columns[j] * column_norms_[j] / n[j];
    magnitude_gradients[1][j] += q / column_norms_[j];
    columns_[j] = n[j] / (column_norms_[j] * column_norms_[j] * column_norms_[j]) * q;
  }
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < out_; ++i) {
    const T norm = row_norms_[i], scale = m[i] / norm;
    T product = products.rows[i] / scale;
    if (detached_) {
      dm[i] += product / norm;
      continue;
    }
    T* v = update + i * in_;
    const T* w = frozen + i * in_;
    for (std::size_t j = 0; j < in_; ++j) v[j] += w[j];
    T own = 0;
    if (columns) {
#pragma omp simd reduction(+ : own)
      for (std::size_t j = 0; j < in_; ++j) own += columns_[j] * v[j] * v[j];
      product -= scale * own;
    }
    dm[i] += product / norm;
    const T along = product / (norm * norm);
    for (std::size_t j = 0; j < in_; ++j)
      v[j] *= -scale * ((columns ? scale * columns_[j] : T{0}) + along);
  }
}

template class NormalisedWeight<float>;
template class NormalisedWeight<double>;

}  // namespace rankfold
