#include "decompositions/common.h"

#include <cmath>
#include <numeric>
#include <random>

#include "core/base/error.h"

namespace rankfold {

LargestSides::LargestSides(const Stack& stack) {
  for (const Site& site : stack.sites) {
    out = std::max(out, site.out);
    in = std::max(in, site.in);
  }
}

void expect_virtual(const std::string& method, const Site& site) {
  if (!is_virtual(site.matrix))
    throw UsageError("[{}] site {}: the method acts on no weight, expected rows of virtual tokens",
                     method, site.name);
}

std::size_t site_position(const Stack& stack, const Site& site) {
  return static_cast<std::size_t>(std::ranges::find(stack.sites, site.name, &Site::name) -
                                  stack.sites.begin());
}

std::vector<double> row_norms(const std::vector<double>& matrix, std::size_t rows) {
  const std::size_t columns = matrix.size() / rows;
  std::vector<double> norms(rows, 0.0);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t j = 0; j < columns; ++j)
      norms[i] += matrix[i * columns + j] * matrix[i * columns + j];
    norms[i] = std::sqrt(norms[i]);
  }
  return norms;
}

std::vector<double> column_norms(const std::vector<double>& matrix, std::size_t rows) {
  const std::size_t columns = matrix.size() / rows;
  std::vector<double> norms(columns, 0.0);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      norms[j] += matrix[i * columns + j] * matrix[i * columns + j];
  for (double& norm : norms) norm = std::sqrt(norm);
  return norms;
}

SingularPart leading_part(Start& start, std::size_t rank) {
  const Svd& svd = start.weight_svd();
  const std::size_t rows = start.site().out, columns = start.site().in, all = svd.s.size();
  SingularPart part{std::vector<double>(rows * rank), {}, {}};
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t p = 0; p < rank; ++p) part.left[i * rank + p] = svd.u[i * all + p] * svd.s[p];
  part.right.assign(svd.v.begin(), svd.v.begin() + static_cast<std::ptrdiff_t>(rank * columns));
  part.values.assign(svd.s.begin(), svd.s.begin() + static_cast<std::ptrdiff_t>(rank));
  return part;
}

std::size_t head_size(const std::string& method, const Site& site) {
  if (site.heads == 0 || site.out % site.heads != 0)
    throw UsageError("[{}] site {}: {} heads do not divide its {} outputs", method, site.name,
                     site.heads, site.out);
  return site.out / site.heads;
}

Factor from_seed(Factor factor) {
  factor.trainable = false;
  factor.storage = Storage::seed;
  return factor;
}

std::vector<std::size_t> torch_permutation(std::size_t size, std::size_t count,
                                           std::uint32_t seed) {
  std::mt19937 generator(seed);
  std::vector<std::size_t> places(size);
  std::iota(places.begin(), places.end(), std::size_t{0});
  for (std::size_t i = 0; i < std::min(count, size - 1); ++i)
    std::swap(places[i], places[i + generator() % (size - i)]);
  places.resize(count);
  return places;
}

std::vector<std::size_t> prime_factors(std::size_t size) {
  std::vector<std::size_t> primes;
  for (std::size_t divisor = 2; divisor * divisor <= size; ++divisor)
    for (; size % divisor == 0; size /= divisor) primes.push_back(divisor);
  if (size > 1) primes.push_back(size);
  return primes;
}

std::vector<std::size_t> balanced_axes(std::size_t size) {
  // Primes from the largest on, each to the smallest axis.
  const std::vector<std::size_t> primes = prime_factors(size);
  std::vector<std::size_t> axes(3, 1);
  for (std::size_t i = primes.size(); i-- > 0;) *std::ranges::min_element(axes) *= primes[i];
  std::ranges::sort(axes, std::greater<>());
  while (axes.size() > 2 && axes.back() == 1) axes.pop_back();
  return axes;
}

}  // namespace rankfold
