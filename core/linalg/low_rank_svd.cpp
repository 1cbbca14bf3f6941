#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

constexpr std::size_t first_width = 32;

double square(std::span<const double> values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

/// U[m,k] = left[m,width] U'[width,k] of the small matrix.
Svd widen(const Svd& small, const std::vector<double>& left, std::size_t rows, std::size_t width,
          const Device& device) {
  const std::size_t count = small.s.size();
  Svd svd{std::vector<double>(rows * count), small.s, small.v};
  device.gemm(false, false, rows, count, width, 1.0, left.data(), width, small.u.data(), count, 0.0,
              svd.u.data(), count);
  return svd;
}

}  // namespace

Svd decompose_low_rank(MatrixView<const double> a, double tolerance, const Device& device) {
  if (!(tolerance > 0 && tolerance < 1))
    throw Error("linear algebra: a tolerance of {}, expected one between 0 and 1", tolerance);
  expect_host_memory(device, "linear algebra");
  const std::size_t rows = a.rows, columns = a.columns;
  std::vector<double> whole;
  for (std::size_t row = 0; row < rows; ++row)
    whole.insert(whole.end(), a.row(row), a.row(row) + columns);
  const double allowed = tolerance * tolerance * square(whole);
  for (std::size_t width = first_width; 2 * width < std::min(rows, columns); width *= 2) {
    std::vector<double> probes(columns * width), products(rows * width), small(width * columns);
    RandomStream(0, "low rank/probes").fill_normal(std::span(probes), 0.0, 1.0);
    device.gemm(false, false, rows, width, columns, 1.0, whole.data(), columns, probes.data(),
                width, 0.0, products.data(), width);
    const std::vector<double> basis = orthonormal_columns({products.data(), rows, width});
    device.gemm(true, false, width, columns, rows, 1.0, basis.data(), width, whole.data(), columns,
                0.0, small.data(), columns);
    std::vector<double> rest = whole;
    device.gemm(false, false, rows, columns, width, -1.0, basis.data(), width, small.data(),
                columns, 1.0, rest.data(), columns);
    if (square(rest) <= allowed)
      return widen(decompose_svd({small.data(), width, columns}), basis, rows, width, device);
  }
  return decompose_svd({whole.data(), rows, columns});
}

}  // namespace rankfold
