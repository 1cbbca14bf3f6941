#include "experiments/models/blocks/classification_loss.h"

namespace rankfold {

double classification_loss(MatrixView<const float> logits, std::span<const float> labels,
                           const ClassificationLoss& kind, MatrixView<float> d_logits,
                           const Device& device) {
  return kind.regression ? device.squared_error(logits, labels, d_logits)
                         : device.cross_entropy(logits, labels, kind.smoothing, d_logits);
}

}  // namespace rankfold
