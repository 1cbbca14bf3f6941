#include "decompositions/lora_starts.h"

#include <algorithm>
#include <cmath>

#include "decompositions/common.h"

namespace rankfold {

LoraPair weight_part(Start& start, std::size_t rank, double scale) {
  SingularPart part = leading_part(start, rank);
  const std::size_t width = part.right.size() / rank;
  for (std::size_t p = 0; p < rank; ++p) {
    const double root = std::sqrt(part.values[p] / scale);
    for (std::size_t i = p; i < part.left.size(); i += rank)
      part.left[i] *= part.values[p] > 0 ? root / part.values[p] : 0;
    for (std::size_t j = p * width; j < (p + 1) * width; ++j) part.right[j] *= root;
  }
  return {part.left, part.right};
}

LoraPair orthonormal_part(const Start& start, std::size_t rank) {
  const Site& site = start.site();
  const std::vector<double> weight = start.weight();
  std::vector<double> first(site.out * rank);
  for (std::size_t i = 0; i < site.out; ++i)
    std::copy_n(weight.data() + i * site.in, rank, first.data() + i * rank);
  LoraPair pair{orthonormal_columns({first.data(), site.out, rank}),
                std::vector<double>(rank * site.in, 0.0)};
  for (std::size_t i = 0; i < site.out; ++i)
    for (std::size_t p = 0; p < rank; ++p)
      for (std::size_t j = 0; j < site.in; ++j)
        pair.a[p * site.in + j] += pair.b[i * rank + p] * weight[i * site.in + j];
  return pair;
}

LoraPair gradient_part(const Start& start, std::size_t rank) {
  const Site& site = start.site();
  const std::vector<double> gradient = start.weight_gradient();
  const Svd svd = decompose_svd({gradient.data(), site.out, site.in});
  const std::size_t all = svd.s.size(), first = std::min(rank, all - rank);
  const double scale = std::sqrt(std::sqrt(static_cast<double>(site.out)) / 16);
  LoraPair pair{std::vector<double>(site.out * rank), std::vector<double>(rank * site.in)};
  for (std::size_t i = 0; i < site.out; ++i)
    for (std::size_t p = 0; p < rank; ++p)
      pair.b[i * rank + p] = scale * svd.u[i * all + first + p];
  for (std::size_t j = 0; j < pair.a.size(); ++j) pair.a[j] = scale * svd.v[j];
  return pair;
}

std::vector<double> leading_inputs(const Start& start, std::size_t rank) {
  const std::size_t in = start.site().in;
  const std::vector<double> moments = start.input_moments();
  const SymmetricParts parts = decompose_symmetric({moments.data(), in, in});
  std::vector<double> rows(rank * in);
  for (std::size_t p = 0; p < rank; ++p)
    for (std::size_t j = 0; j < in; ++j) rows[p * in + j] = parts.vectors[j * in + p];
  return rows;
}

}  // namespace rankfold
