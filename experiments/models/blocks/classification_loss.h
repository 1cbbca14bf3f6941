#pragma once

#include <span>

#include "core/device/device.h"

namespace rankfold {

/// The loss that logits [sequences, labels] are judged by.
struct ClassificationLoss {
  bool regression = false;  ///< the squared error, over all columns of a row against its one target
  double smoothing = 0;     ///< of the labels of a cross-entropy; see LayerOperations::cross_entropy
};

/// The mean loss over a batch: cross-entropy where labels are class indices, or the squared error.
/// d_logits receives dLoss/dlogits. Both matrices lie without gaps.
double classification_loss(MatrixView<const float> logits, std::span<const float> labels,
                           const ClassificationLoss& kind, MatrixView<float> d_logits,
                           const Device& device);

}  // namespace rankfold
