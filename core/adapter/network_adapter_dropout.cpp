#include <algorithm>
#include <string>
#include <type_traits>

#include <fmt/format.h>

#include "core/adapter/network_adapter.h"
#include "core/device/dropout.h"

// Dropout of what the factors of NetworkAdapter see.

namespace rankfold {

template <class T>
std::string NetworkAdapter<T>::dropout_obstacle(std::size_t index) const {
  const CompiledSite& site = sites_[index];
  if (site.stages.empty()) {
    const auto reads = [](const CompiledSite& other) { return !other.stages.empty(); };
    return std::ranges::any_of(sites_, reads) ? "" : "reads no input";
  }
  if (this->places_[index] != Place::beside)
    return this->places_[index] == Place::after ? "acts after the weight"
                                                : "acts before the weight";
  if (site.normalised) return "normalises the weight with its update";
  if (std::ranges::all_of(site.stages.front().network.terms, &CompiledTerm::constant))
    return "adds a bias, which reads no input";
  return std::is_same_v<T, float> ? "" : "is computed in double, which has no dropout";
}

/// x *= the factors of the dropout of one of the call's sites.
template <class T>
void NetworkAdapter<T>::drop(const Trace<T>& trace, std::size_t site, MatrixView<T> x) const {
  if constexpr (std::is_same_v<T, float>)
    apply_dropout(
        Dropout(trace.dropout.probability, trace.dropout.seed,
                fmt::format("dropout/adapter/{}/{}", trace.call, this->stack_.sites[site].name),
                trace.dropout.pass),
        x, *this->device_);
}

/// What the factors of a site see of X.
template <class T>
MatrixView<const T> NetworkAdapter<T>::kept_input(const Trace<T>& trace, std::size_t site,
                                                  MatrixView<const T> x) const {
  const MatrixView<T> kept(reserve(dropped_, x.rows * x.columns), x.rows, x.columns);
  this->device_->copy_matrix(x, kept);
  drop(trace, site, kept);
  return kept;
}

/// Adds to the output of a site's frozen weight.
template <class T>
void NetworkAdapter<T>::forward_dropped(const SitesProgram& entry, const Output& output,
                                        MatrixView<const T> x, const Trace<T>& trace) const {
  run_forward(entry, kept_input(trace, output.site, x), {&output, 1});
}

/// Adds to the gradients, and to dX, which has that through the site's frozen weight.
template <class T>
void NetworkAdapter<T>::backward_dropped(const SitesProgram& entry, const Gradient& d_output,
                                         MatrixView<const T> x, const Trace<T>& trace,
                                         MatrixView<T> dx) {
  MatrixView<T> d_kept(nullptr, x.rows, x.columns);
  if (dx.data) {
    d_kept.data = reserve(d_dropped_, x.rows * x.columns);
    this->device_->fill(x.rows * x.columns, T{0}, d_kept.data);
  }
  run_backward(entry, kept_input(trace, d_output.site, x), {&d_output, 1}, d_kept, true);
  if (!dx.data) return;
  drop(trace, d_output.site, d_kept);
  this->device_->add_matrix(d_kept, dx);
}

template class NetworkAdapter<float>;
template class NetworkAdapter<double>;

}  // namespace rankfold
