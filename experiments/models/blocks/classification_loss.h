#pragma once

#include <span>

#include "core/device/device.h"

namespace rankfold {

/// The mean loss over a batch of logits [sequences, labels]: cross-entropy where labels are class
/// indices, or the squared error where `regression` (over all `labels` columns of a row, each
/// against the one target). d_logits receives dLoss/dlogits. Both matrices lie without gaps.
double classification_loss(MatrixView<const float> logits, std::span<const float> labels,
                           bool regression, MatrixView<float> d_logits, const Device& device);

}  // namespace rankfold
