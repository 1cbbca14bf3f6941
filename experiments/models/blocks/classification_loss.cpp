#include "experiments/models/blocks/classification_loss.h"

namespace rankfold {

double classification_loss(MatrixView<const float> logits, std::span<const float> labels,
                           bool regression, MatrixView<float> d_logits, const Device& device) {
  return regression ? device.squared_error(logits, labels, d_logits)
                    : device.cross_entropy(logits, labels, d_logits);
}

}  // namespace rankfold
