#include "experiments/models/blocks/sequence_score.h"

#include <utility>

#include <fmt/ranges.h>

#include "core/base/random.h"

namespace rankfold {

SequenceScore::SequenceScore(const std::string& module, std::size_t hidden,
                             const std::string& model, const HostSettings& settings,
                             FrozenWeights& weights, std::shared_ptr<const Device> device,
                             std::vector<std::string>& notes)
    : labels_(settings.labels),
      hidden_(hidden),
      device_(std::move(device)),
      weight_(module + ".weight", {labels_, hidden_}, device_) {
  const TensorEntry* found = weights.find(weight_.name);
  if (found && found->shape == weight_.shape) {
    device_->copy(weights.frozen(weight_.name, weight_.shape, settings.output_rows),
                  weight_.value.size() * sizeof(float), weight_.value.data());
    return;
  }
  RandomStream(settings.seed, "initialise/" + weight_.name)
      .fill_normal(HostWrite<float>(weight_.value).span(), 0.0, 0.02);
  new_elements_ = weight_.value.size();
  if (found)
    notes.push_back(
        fmt::format("{}: {} of the checkpoint has shape [{}], expected [{}]; it starts anew", model,
                    weight_.name, fmt::join(found->shape, ", "), fmt::join(weight_.shape, ", ")));
}

void SequenceScore::zero_gradients() {
  device_->fill(weight_.gradient.size(), 0.0f, weight_.gradient.data());
}

MatrixView<float> SequenceScore::forward(MatrixView<const float> x, Arena& arena) const {
  const MatrixView<float> logits = arena.take_matrix(x.rows, labels_);
  device_->gemm(false, true, x.rows, labels_, hidden_, 1.0f, x.data, x.stride, weight_.value.data(),
                hidden_, 0.0f, logits.data, logits.stride);
  return logits;
}

void SequenceScore::backward(MatrixView<const float> x, MatrixView<const float> d_logits,
                             MatrixView<float> dx) {
  device_->gemm(true, false, labels_, hidden_, x.rows, 1.0f, d_logits.data, d_logits.stride, x.data,
                x.stride, 1.0f, weight_.gradient.data(), hidden_);
  if (dx.data)
    device_->gemm(false, false, x.rows, hidden_, labels_, 1.0f, d_logits.data, d_logits.stride,
                  weight_.value.data(), hidden_, 0.0f, dx.data, dx.stride);
}

}  // namespace rankfold
