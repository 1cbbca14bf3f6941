#pragma once

#include <vector>

#include "core/network/start.h"

// Starts of LoRA's factors that follow from the weight or from the task's data.

namespace rankfold {

struct LoraPair {
  std::vector<double> b, a;  ///< [out, rank], [rank, in]
};

/// scale B A = the weight's leading singular part, split evenly (PiSSA).
LoraPair weight_part(Start& start, std::size_t rank, double scale);

/// W = Q R: B = Q[:, 1..r], A = R[1..r, :], which is B^T W (OLoRA, section 3); the span of W's
/// first r columns.
LoraPair orthonormal_part(const Start& start, std::size_t rank);

/// With the loss's gradient by the weight, G = U S V^T: A = c V_{1..r}^T, B = c U_{r+1..2r} (the
/// last r columns where there are fewer than 2 r), c = out^(1/4) / sqrt(16) (LoRA-GA, section 3,
/// stable scale).
LoraPair gradient_part(const Start& start, std::size_t rank);

/// Orthonormal rows [rank, in] that hold most of the site's inputs: the leading eigenvectors of the
/// mean of x x^T, which are right singular vectors of the matrix of inputs (EVA).
std::vector<double> leading_inputs(const Start& start, std::size_t rank);

}  // namespace rankfold
