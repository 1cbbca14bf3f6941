#include "core/adapter/normalised_weight.h"

#include <algorithm>
#include <cmath>

namespace rankfold {
namespace {

constexpr double least_norm = 1e-12;

template <class T>
T root_of(double square) {
  return static_cast<T>(std::max(std::sqrt(square), least_norm));
}

template <class T>
void take_roots(const HostRead<T>& squares, std::vector<T>& norms) {
  for (std::size_t i = 0; i < norms.size(); ++i)
    norms[i] = root_of<T>(static_cast<double>(squares[i]));
}

}  // namespace

template <class T>
double sum_by_rows(const Device& device, MatrixView<const T> a, const T* b, T* sums) {
  device.sum_rows(a, b, static_cast<const T*>(nullptr), sums);
  double sum = 0;
  for (const T part : HostRead<T>(device, sums, a.rows)) sum += static_cast<double>(part);
  return sum;
}

template <class T>
NormalisedWeight<T>::NormalisedWeight(Normalisation::Kind kind, bool detached, std::size_t out,
                                      std::size_t in, std::shared_ptr<const Device> device)
    : kind_(kind), detached_(detached), out_(out), in_(in), device_(std::move(device)) {
  for (Buffer<T>& row : rows_) row = Buffer<T>(device_, out);
  if (kind != Normalisation::Kind::whole) row_norms_.resize(out);
  if (kind != Normalisation::Kind::rows_then_columns) return;
  column_norms_.resize(in);
  for (Buffer<T>& column : columns_) column = Buffer<T>(device_, in);
}

template <class T>
double NormalisedWeight<T>::sum_whole(const T* a, const T* b) {
  return sum_by_rows<T>(*device_, {a, out_, in_}, b, rows_[0].data());
}

template <class T>
void NormalisedWeight<T>::form(const T* frozen, const std::array<T*, 2>& magnitudes, bool hold,
                               T* weight) {
  if (kind_ == Normalisation::Kind::whole) {
    if (!hold) {
      frozen_norm_ = root_of<T>(sum_whole(frozen, frozen));
      update_norm_ = root_of<T>(sum_whole(weight, weight));
    }
    const T a = read(magnitudes[0], 1)[0] / frozen_norm_,
            b = read(magnitudes[1], 1)[0] / update_norm_;
    return device_->combine(out_ * in_, a, frozen, b, weight);
  }
  device_->add_matrix({frozen, out_, in_}, view(weight));
  const T* const no_factors = nullptr;
  if (!hold) {
    device_->sum_rows(view(weight), weight, no_factors, rows_[0].data());
    take_roots(HostRead<T>(rows_[0]), row_norms_);
  }
  {
    const HostRead<T> m = read(magnitudes[0], out_);
    const HostWrite<T> scales(rows_[0]);
    for (std::size_t i = 0; i < out_; ++i) scales[i] = m[i] / row_norms_[i];
  }
  device_->scale_rows(rows_[0].data(), view(weight));
  if (kind_ == Normalisation::Kind::rows) return;
  if (!hold) {
    device_->sum_columns(view(weight), weight, no_factors, columns_[0].data());
    take_roots(HostRead<T>(columns_[0]), column_norms_);
  }
  {
    const HostRead<T> n = read(magnitudes[1], in_);
    const HostWrite<T> scales(columns_[0]);
    for (std::size_t j = 0; j < in_; ++j) scales[j] = n[j] / column_norms_[j];
  }
  device_->scale_columns(columns_[0].data(), view(weight));
}

template <class T>
void NormalisedWeight<T>::reverse(const T* frozen, const std::array<T*, 2>& magnitudes,
                                  const std::array<T*, 2>& magnitude_gradients, T* update,
                                  T* gradient) {
  if (kind_ == Normalisation::Kind::whole) {
    const auto product = static_cast<T>(sum_whole(gradient, update));
    write(magnitude_gradients[0], 1)[0] +=
        static_cast<T>(sum_whole(gradient, frozen)) / frozen_norm_;
    write(magnitude_gradients[1], 1)[0] += product / update_norm_;
    device_->fill(out_, read(magnitudes[1], 1)[0] / update_norm_, rows_[0].data());
    device_->fill(out_, detached_ ? T{0} : product / (update_norm_ * update_norm_),
                  rows_[1].data());
    return device_->project_rows(rows_[0].data(), rows_[1].data(), update, view(gradient));
  }
  T* v = update;
  device_->add_matrix({frozen, out_, in_}, view(v));
  if (kind_ == Normalisation::Kind::rows_then_columns)
    reverse_columns(v, magnitudes, magnitude_gradients[1], gradient);
  reverse_rows(v, magnitudes[0], magnitude_gradients[0], gradient);
}

/// With H[i,j] = m[i] V[i,j] / |V[i,:]|: dH in place of G; H's rows are DoRA's.
template <class T>
void NormalisedWeight<T>::reverse_columns(const T* v, const std::array<T*, 2>& magnitudes, T* dn,
                                          T* gradient) {
  {
    const HostRead<T> m = read(magnitudes[0], out_);
    const HostWrite<T> scale(rows_[0]);
    for (std::size_t i = 0; i < out_; ++i) scale[i] = m[i] / row_norms_[i];
  }
  device_->sum_columns(view(gradient), v, rows_[0].data(), columns_[0].data());
  {
    const HostRead<T> n = read(magnitudes[1], in_);
    const HostWrite<T> d = write(dn, in_), scales(columns_[0]), along(columns_[1]);
    for (std::size_t j = 0; j < in_; ++j) {
      const T product = scales[j], norm = column_norms_[j];
      d[j] += product / norm;
      scales[j] = n[j] / norm;
      along[j] = detached_ ? T{0} : product / (norm * norm);
    }
  }
  device_->project_columns(columns_[0].data(), columns_[1].data(), rows_[0].data(), v,
                           view(gradient));
}

/// W'[i,:] = m[i] V[i,:] / c[i] with c = |V[i,:]|: dm[i] = <G[i,:], V[i,:]> / c[i], dV = m / c (G -
/// <G, V> V / c^2).
template <class T>
void NormalisedWeight<T>::reverse_rows(const T* v, const T* m, T* dm, T* gradient) {
  device_->sum_rows(view(gradient), v, static_cast<const T*>(nullptr), rows_[0].data());
  {
    const HostRead<T> lengths = read(m, out_);
    const HostWrite<T> d = write(dm, out_), scales(rows_[0]), along(rows_[1]);
    for (std::size_t i = 0; i < out_; ++i) {
      const T product = scales[i], norm = row_norms_[i];
      d[i] += product / norm;
      scales[i] = lengths[i] / norm;
      along[i] = detached_ ? T{0} : product / (norm * norm);
    }
  }
  device_->project_rows(rows_[0].data(), rows_[1].data(), v, view(gradient));
}

template <class T>
bool NormalisedWeight<T>::separates(const std::array<T*, 2>& magnitudes) const {
  const auto large = [&](const T* values, const std::vector<T>& norms) {
    const HostRead<T> found = read(values, norms.size());
    for (std::size_t i = 0; i < norms.size(); ++i)
      if (!(std::abs(found[i]) > static_cast<T>(least_norm) * norms[i])) return false;
    return true;
  };
  switch (kind_) {
    case Normalisation::Kind::rows:
      return large(magnitudes[0], row_norms_);
    case Normalisation::Kind::rows_then_columns:
      return large(magnitudes[0], row_norms_) && large(magnitudes[1], column_norms_);
    case Normalisation::Kind::whole:
      return std::abs(read(magnitudes[0], 1)[0]) > static_cast<T>(least_norm) * frozen_norm_;
  }
  return false;
}

template <class T>
typename NormalisedWeight<T>::Scales NormalisedWeight<T>::scales(
    const std::array<T*, 2>& magnitudes) {
  if (kind_ == Normalisation::Kind::whole) {
    device_->fill(out_, read(magnitudes[1], 1)[0] / update_norm_, rows_[0].data());
    return {rows_[0].data(), nullptr};
  }
  const HostRead<T> m = read(magnitudes[0], out_);
  const HostWrite<T> rows(rows_[0]);
  for (std::size_t i = 0; i < out_; ++i) rows[i] = m[i] / row_norms_[i];
  if (!has_columns()) return {rows_[0].data(), nullptr};
  const HostRead<T> n = read(magnitudes[1], in_);
  const HostWrite<T> columns(columns_[0]);
  for (std::size_t j = 0; j < in_; ++j) columns[j] = n[j] / column_norms_[j];
  return {rows_[0].data(), columns_[0].data()};
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
  const HostRead<T> row_products = read(products.rows, out_);
  if (kind_ == Normalisation::Kind::whole) {
    double sum = 0;
    for (const T part : row_products) sum += static_cast<double>(part);
    const double a = read(magnitudes[0], 1)[0], b = read(magnitudes[1], 1)[0], norm = update_norm_;
    write(magnitude_gradients[0], 1)[0] += static_cast<T>((sum - b * products.whole / norm) / a);
    write(magnitude_gradients[1], 1)[0] += static_cast<T>(products.whole / norm);
    if (detached_) return;
    device_->fill(out_, static_cast<T>(-b * products.whole / (norm * norm * norm)),
                  rows_[0].data());
    return device_->scale_rows(rows_[0].data(), view(update));
  }
  if (has_columns()) {
    const HostRead<T> n = read(magnitudes[1], in_), sums = read(products.columns, in_);
    const HostWrite<T> dn = write(magnitude_gradients[1], in_), columns(columns_[0]);
    for (std::size_t j = 0; j < in_; ++j) {
      const T norm = column_norms_[j], q = sums[j] * norm / n[j];
      dn[j] += q / norm;
      columns[j] = n[j] / (norm * norm * norm) * q;
    }
  }
  if (!detached_) {
    device_->add_matrix({frozen, out_, in_}, view(update));
    if (has_columns()) device_->sum_rows(view(update), update, columns_[0].data(), rows_[2].data());
  }
  {
    const HostRead<T> m = read(magnitudes[0], out_);
    const HostWrite<T> dm = write(magnitude_gradients[0], out_), outer(rows_[0]), inner(rows_[1]),
                       along(rows_[2]);
    for (std::size_t i = 0; i < out_; ++i) {
      const T norm = row_norms_[i], scale = m[i] / norm;
      T product = row_products[i] / scale;
      if (has_columns() && !detached_) product -= scale * along[i];
      dm[i] += product / norm;
      along[i] = product / (norm * norm);
      inner[i] = scale;
      outer[i] = has_columns() ? -scale : -scale * (T{0} + along[i]);
    }
  }
  if (detached_) return;
  if (has_columns())
    device_->scale_rows_by_columns(rows_[0].data(), rows_[1].data(), columns_[0].data(),
                                   rows_[2].data(), view(update));
  else
    device_->scale_rows(rows_[0].data(), view(update));
}

template double sum_by_rows(const Device&, MatrixView<const float>, const float*, float*);
template double sum_by_rows(const Device&, MatrixView<const double>, const double*, double*);
template class NormalisedWeight<float>;
template class NormalisedWeight<double>;

}  // namespace rankfold
