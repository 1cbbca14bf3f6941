#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <vector>

#include <xtensor/xadapt.hpp>
#include <xtensor/xtensor.hpp>

#include "core/adapter/adapter.h"
#include "core/base/error.h"

// Arrays of rankfold as xtensor expressions, for programs that calculate with them. Views take no
// copy: they read and write the numbers where they lie, and live no longer than these.

namespace rankfold {

namespace views {

template <class T>
auto of_shape(std::span<T> values, const std::vector<std::size_t>& shape) {
  return xt::adapt<xt::layout_type::row_major>(values.data(), values.size(), xt::no_ownership(),
                                               shape);
}

}  // namespace views

/// The value of a factor, over its modes.
template <class T>
auto view_value(Parameter<T>& parameter) {
  return views::of_shape(parameter.value.span(), parameter.shape);
}
template <class T>
auto view_value(const Parameter<T>& parameter) {
  return views::of_shape(parameter.value.span(), parameter.shape);
}

/// Its gradient; frozen factors have none: an array of no numbers.
template <class T>
auto view_gradient(const Parameter<T>& parameter) {
  return views::of_shape(parameter.gradient.span(),
                         parameter.trainable ? parameter.shape : std::vector<std::size_t>{0});
}

/// A matrix [rows, columns] whose rows may lie apart, such as an update that a source reads.
template <class T>
auto view_matrix(MatrixView<T> matrix) {
  return xt::adapt(matrix.data, matrix.rows * matrix.columns, xt::no_ownership(),
                   std::array<std::size_t, 2>{matrix.rows, matrix.columns},
                   std::array<std::ptrdiff_t, 2>{static_cast<std::ptrdiff_t>(matrix.stride), 1});
}

/// W' - W [out, in] of one site as an array of its own. Throws as Adapter::reconstruct does,
/// and Error for a site that the stack does not have.
template <class T>
xt::xtensor<T, 2> reconstruct(const Adapter<T>& adapter, std::size_t index) {
  const std::vector<Site>& sites = adapter.stack().sites;
  if (index >= sites.size())
    throw Error("[{}] site {}: expected one of 0 to {}", adapter.method(), index, sites.size() - 1);
  const Site& site = sites[index];
  xt::xtensor<T, 2> update = xt::empty<T>({site.out, site.in});
  adapter.reconstruct(index, {update.data(), site.out, site.in});
  return update;
}

}  // namespace rankfold
