#include "core/fit/measure.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <span>

#include "core/fit/compression.h"
#include "core/fit/multi_product.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

bool same_products(const SiteNetwork& a, const SiteNetwork& b) {
  const auto equal = [](const std::vector<Axis>& x, const std::vector<Axis>& y) {
    return std::ranges::equal(x, y, [](const Axis& p, const Axis& q) {
      return p.mode == q.mode && p.size == q.size && p.stride == q.stride;
    });
  };
  return equal(a.data, b.data) &&
         std::ranges::equal(a.terms, b.terms, [&](const FitTerm& x, const FitTerm& y) {
           return std::ranges::equal(x.operands, y.operands, equal, &FitOperand::axes,
                                     &FitOperand::axes);
         });
}

/// The norm by the fast sum of squares where that is in range.
template <class T>
double norm_of(const T* values, std::size_t count) {
  constexpr double least = sizeof(T) == 4 ? 1e-20 : 1e-280, most = sizeof(T) == 4 ? 1e30 : 1e300;
  const double square = sum_of_squares(values, count);
  return square > least && square < most ? std::sqrt(square) : norm(std::span(values, count));
}

/// `change` maps dW_s to what is compared with the source's matrix, in place.
template <class T>
SiteResiduals measure_changed(const std::vector<SiteNetwork>& networks, const Adapter<T>& adapter,
                              const UpdateSource<T>& source,
                              const std::shared_ptr<const Device>& device,
                              const std::function<void(std::size_t, Buffer<T>&)>& change) {
  const std::vector<Site>& sites = adapter.stack().sites;
  // One plan for neighbours of one structure.
  std::vector<std::shared_ptr<std::vector<MultiProduct<T>>>> products(sites.size());
  for (std::size_t i = 0; i < sites.size(); ++i) {
    if (i > 0 && same_products(networks[i - 1], networks[i])) {
      products[i] = products[i - 1];
      continue;
    }
    products[i] = std::make_shared<std::vector<MultiProduct<T>>>();
    for (const FitTerm& term : networks[i].terms) {
      std::vector<std::vector<Axis>> axes;
      for (const FitOperand& operand : term.operands) axes.push_back(operand.axes);
      products[i]->emplace_back(axes, networks[i].data);
    }
  }
  SiteResiduals result{std::vector<double>(sites.size()), std::vector<double>(sites.size()),
                       std::vector<int>(sites.size())};
  for_each(sites.size(), [&](std::size_t i) {
    const std::size_t size = sites[i].out * sites[i].in;
    std::vector<T> scratch;
    Buffer<T> dense(device, size);
    ProductMemory<T> memory;
    for (std::size_t t = 0; t < networks[i].terms.size(); ++t) {
      const FitTerm& term = networks[i].terms[t];
      std::vector<const T*> operands;
      for (const FitOperand& operand : term.operands)
        operands.push_back(adapter.parameters()[operand.parameter].value.data() + operand.offset);
      (*products[i])[t].run(*device, operands, static_cast<T>(term.scale), dense.data(), t == 0,
                            memory);
    }
    change(i, dense);
    const T* matrix = source.read(i, scratch);
    result.sizes[i] = norm_of(matrix, size);
    T* difference = dense.data();
    for (std::size_t j = 0; j < size; ++j) difference[j] = matrix[j] - difference[j];
    result.left[i] = norm_of(difference, size);
    source.release(i);
  });
  return result;
}

}  // namespace

int SiteResiduals::unit() const {
  std::optional<int> largest;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    if (sizes[i] > 0 || left[i] > 0)
      largest = std::max(largest.value_or(exponents[i]), exponents[i]);
  return largest.value_or(0);
}

double SiteResiduals::size() const {
  return total(sizes);
}

double SiteResiduals::total(const std::vector<double>& norms) const {
  std::vector<double> all;
  const int common = unit();
  for (std::size_t i = 0; i < norms.size(); ++i)
    all.push_back(std::scalbn(norms[i], exponents[i] - common));
  return norm<double>(all);
}

double SiteResiduals::relative_error() const {
  const double rest = total(left);
  return rest > 0 ? rest / size() : 0;
}

std::vector<double> SiteResiduals::site_errors() const {
  std::vector<double> errors;
  for (std::size_t i = 0; i < sizes.size(); ++i)
    errors.push_back(left[i] > 0 ? left[i] / sizes[i] : 0);
  return errors;
}

template <class T>
SiteResiduals measure(const std::vector<SiteNetwork>& networks, const Adapter<T>& adapter,
                      const UpdateSource<T>& source, std::shared_ptr<const Device> device) {
  return measure_changed<T>(networks, adapter, source, device, [](std::size_t, Buffer<T>&) {});
}

SiteResiduals measure_weighted(const std::vector<SiteNetwork>& networks,
                               const Adapter<double>& adapter, const UpdateSource<double>& weighted,
                               const InputMetrics& metrics, std::shared_ptr<const Device> device) {
  return measure_changed<double>(
      networks, adapter, weighted, device, [&](std::size_t site, Buffer<double>& dense) {
        Buffer<double> product(device, dense.size());
        multiply_by_root(metrics.at(site), *device, dense.data(), adapter.stack().sites[site].out,
                         product.data());
        dense = std::move(product);
      });
}

template SiteResiduals measure(const std::vector<SiteNetwork>&, const Adapter<float>&,
                               const UpdateSource<float>&, std::shared_ptr<const Device>);
template SiteResiduals measure(const std::vector<SiteNetwork>&, const Adapter<double>&,
                               const UpdateSource<double>&, std::shared_ptr<const Device>);

}  // namespace rankfold
