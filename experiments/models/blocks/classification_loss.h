#pragma once

#include <span>

namespace rankfold {

/// The mean loss over a batch of logits [sequences, labels] (row-major): cross-entropy where
/// labels are class indices, or the squared error where `regression` (over all `labels` columns of
/// a row, each against the one target). d_logits receives dLoss/dlogits.
double classification_loss(std::span<const float> logits, std::span<const float> labels,
                           bool regression, std::span<float> d_logits);

}  // namespace rankfold
