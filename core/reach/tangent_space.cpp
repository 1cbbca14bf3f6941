#include "core/reach/tangent_space.h"

#include <algorithm>

#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"
#include "core/reach/tangent_point.h"

namespace rankfold {
namespace {

/// J^T J of a random projection of J.
std::vector<double> project_gram(TangentPoint& point, const std::vector<DeclaredSite>& sites) {
  constexpr std::size_t spare_rows = 16;
  const std::size_t rows = point.size + spare_rows;
  std::vector<double> memory, projected(rows * point.size);
  std::vector<std::vector<double>> updates;
  for (TangentSite& site : point.sites) {
    site.reconstruction.emplace(site.network, point.parameters);
    const Site& shape = sites[updates.size()].site;
    updates.emplace_back();
    if (!site.normalised) continue;
    updates.back().resize(shape.out * shape.in);
    add_update(point, site, updates.back(), memory);
    std::vector<double> formed = updates.back();
    site.normalised->form(site.frozen.data(), magnitudes(point, site, false), false, formed.data());
  }
  std::vector<double> cotangent, used_up;
  for (std::size_t row = 0; row < rows; ++row) {
    for (Parameter<double>& parameter : point.parameters)
      std::ranges::fill(parameter.gradient.span(), 0.0);
    for (std::size_t i = 0; i < point.sites.size(); ++i) {
      TangentSite& site = point.sites[i];
      cotangent.resize(sites[i].site.out * sites[i].site.in);
      RandomStream(tangent_seed, "projection/" + sites[i].site.name, row)
          .fill_uniform(std::span<double>(cotangent), -1, 1);
      if (site.normalised) {
        used_up = updates[i];
        site.normalised->reverse(site.frozen.data(), magnitudes(point, site, false),
                                 magnitudes(point, site, true), used_up.data(), cotangent.data());
      }
      memory.resize(std::max(memory.size(), site.reconstruction->memory_size()));
      site.reconstruction->reverse(*point.device, point.parameters, cotangent.data(),
                                   memory.data());
    }
    for (std::size_t i = 0; i < point.parameters.size(); ++i)
      std::ranges::copy(point.parameters[i].gradient.span(),
                        projected.data() + row * point.size + point.offsets[i]);
  }
  std::vector<double> gram(point.size * point.size);
  point.device->gemm(true, false, point.size, point.size, rows, 1.0, projected.data(), point.size,
                     projected.data(), point.size, 0.0, gram.data(), point.size);
  return gram;
}

/// The rank of M[rows, columns] through the Gram matrix of its shorter side.
std::size_t matrix_rank(const Device& device, const std::vector<double>& matrix, std::size_t rows,
                        std::size_t columns) {
  const bool wide = rows <= columns;
  const std::size_t size = std::min(rows, columns);
  std::vector<double> gram(size * size);
  device.gemm(!wide, wide, size, size, wide ? columns : rows, 1.0, matrix.data(), columns,
              matrix.data(), columns, 0.0, gram.data(), size);
  return rank_of_gram(std::move(gram), size);
}

}  // namespace

std::size_t tangent_rank(const std::string& method, const std::vector<DeclaredSite>& sites,
                         bool own_frozen, const std::shared_ptr<const Device>& device) {
  TangentPoint point = make_point(method, sites, own_frozen, device);
  if (point.size == 0) return 0;
  return rank_of_gram(std::ranges::all_of(point.sites, is_plain) ? contract_gram(point)
                                                                 : project_gram(point, sites),
                      point.size);
}

std::size_t update_rank(const std::string& method, const DeclaredSite& declared,
                        const std::shared_ptr<const Device>& device) {
  TangentPoint point = make_point(method, {declared}, true, device);
  TangentSite& site = point.sites.front();
  site.reconstruction.emplace(site.network, point.parameters);
  const std::size_t out = declared.site.out, in = declared.site.in;
  std::vector<double> update(out * in), memory;
  add_update(point, site, update, memory);
  if (site.normalised) {
    site.normalised->form(site.frozen.data(), magnitudes(point, site, false), false, update.data());
    for (std::size_t i = 0; i < update.size(); ++i) update[i] -= site.frozen[i];
  }
  // Small random projections have the same rank where it is below their size.
  for (const std::size_t size : {std::size_t{64}, std::size_t{512}}) {
    if (size >= std::min(out, in)) break;
    std::vector<double> rows(size * out), columns(in * size), half(size * in), small(size * size);
    RandomStream(tangent_seed, "rows of the rank").fill_normal(std::span<double>(rows), 0, 1);
    RandomStream(tangent_seed, "columns of the rank").fill_normal(std::span<double>(columns), 0, 1);
    device->gemm(false, false, size, in, out, 1.0, rows.data(), out, update.data(), in, 0.0,
                 half.data(), in);
    device->gemm(false, false, size, size, in, 1.0, half.data(), in, columns.data(), size, 0.0,
                 small.data(), size);
    const std::size_t rank = matrix_rank(*device, small, size, size);
    if (rank < size) return rank;
  }
  return matrix_rank(*device, update, out, in);
}

}  // namespace rankfold
