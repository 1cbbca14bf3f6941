#include "experiments/models/blocks/classification_head.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/ranges.h>

#include "core/adapter/frozen_product.h"
#include "core/base/random.h"
#include "core/device/row_kernels.h"
#include "experiments/models/blocks/tensor_train_head.h"

namespace rankfold {

ClassificationHead::ClassificationHead(const std::string& model, std::size_t hidden, double dropout,
                                       const HostSettings& settings, FrozenWeights& weights,
                                       std::shared_ptr<const Device> device,
                                       std::vector<std::string>& notes)
    : hidden_(hidden),
      labels_(settings.labels),
      dropout_(dropout),
      seed_(settings.seed),
      device_(std::move(device)),
      weight_("classifier.weight", {labels_, hidden_}, device_),
      bias_("classifier.bias", {labels_}, device_) {
  load_classifier(model, weights, notes);
  if (settings.parts.tt_head)
    tensor_train_ = make_tensor_train_head<float>("bert.pooler.dense", hidden_,
                                                  settings.parts.tt_rank, seed_, device_);
  else
    load_pooler(model, weights, notes);
}

void ClassificationHead::load_classifier(const std::string& model, FrozenWeights& weights,
                                         std::vector<std::string>& notes) {
  const TensorEntry* found = weights.find(weight_.name);
  if (found && found->shape == weight_.shape) {
    std::copy_n(weights.tensor(weight_.name, weight_.shape), weight_.value.size(),
                weight_.value.data());
    std::copy_n(weights.tensor(bias_.name, bias_.shape), bias_.value.size(), bias_.value.data());
    return;
  }
  RandomStream(seed_, "initialise/classifier.weight").fill_normal(weight_.value.span(), 0.0, 0.02);
  new_elements_ += weight_.value.size() + bias_.value.size();
  if (found)
    notes.push_back(
        fmt::format("{}: classifier.weight of the checkpoint has shape [{}], expected "
                    "[{}]; the classifier starts anew",
                    model, fmt::join(found->shape, ", "), fmt::join(weight_.shape, ", ")));
}

void ClassificationHead::load_pooler(const std::string& model, FrozenWeights& weights,
                                     std::vector<std::string>& notes) {
  if (weights.find("bert.pooler.dense.weight")) {
    pooler_.weight = weights.tensor("bert.pooler.dense.weight", {hidden_, hidden_});
    pooler_.bias = weights.tensor("bert.pooler.dense.bias", {hidden_});
    return;
  }
  new_pooler_.assign(hidden_ * hidden_ + hidden_, 0.0f);
  RandomStream(seed_, "initialise/bert.pooler.dense.weight")
      .fill_normal(std::span(new_pooler_).first(hidden_ * hidden_), 0.0, 0.02);
  pooler_ = {new_pooler_.data(), new_pooler_.data() + hidden_ * hidden_};
  new_elements_ += new_pooler_.size();
  notes.push_back(
      fmt::format("{}: no bert.pooler.dense in the checkpoint; it is frozen at new "
                  "weights N(0, 0.02) of seed {}",
                  model, seed_));
}

std::vector<TrainedTensor> ClassificationHead::trained_classifier() {
  return {weight_.tensor(), bias_.tensor()};
}

std::vector<TrainedTensor> ClassificationHead::trained_pooler() {
  std::vector<TrainedTensor> tensors;
  if (tensor_train_)
    for (Parameter<float>& parameter : tensor_train_->parameters())
      tensors.push_back({"bert.pooler.dense." + parameter.factor, parameter.shape,
                         parameter.value.span(), parameter.gradient.span()});
  return tensors;
}

void ClassificationHead::zero_gradients() {
  std::ranges::fill(weight_.gradient.span(), 0.0f);
  std::ranges::fill(bias_.gradient.span(), 0.0f);
  if (tensor_train_) tensor_train_->zero_gradients();
}

std::vector<Host::DrawnTensor> ClassificationHead::drawn() const {
  if (new_pooler_.empty()) return {};
  const std::span<const float> values(new_pooler_);
  return {{"bert.pooler.dense.weight", {hidden_, hidden_}, values.first(hidden_ * hidden_)},
          {"bert.pooler.dense.bias", {hidden_}, values.last(hidden_)}};
}

std::size_t ClassificationHead::new_elements() const {
  return new_elements_ + (tensor_train_ ? tensor_train_->parameter_count() : 0);
}

void ClassificationHead::pool(MatrixView<const float> x, MatrixView<float> pooled,
                              Trace<float>* trace) const {
  if (tensor_train_)
    tensor_train_->forward(0, x, pooled, trace);
  else
    frozen_forward(*device_, pooler_, x, pooled, Bias::add);
  for (std::size_t i = 0; i < pooled.rows * hidden_; ++i)
    pooled.data[i] = std::tanh(pooled.data[i]);
}

MatrixView<float> ClassificationHead::forward(MatrixView<const float> x, const EncoderPass& pass,
                                              Kept& kept, Arena& arena) const {
  kept.pooled = arena.take_matrix(x.rows, hidden_);
  pool(x, kept.pooled, pass.training ? &kept.tensor_train : nullptr);
  kept.classified = arena.take_matrix(x.rows, hidden_);
  std::copy_n(kept.pooled.data, x.rows * hidden_, kept.classified.data);
  apply_dropout(dropout(pass), kept.classified, arena);
  const MatrixView<float> logits = arena.take_matrix(x.rows, labels_);
  for (std::size_t s = 0; s < x.rows; ++s) std::ranges::copy(bias_.value.span(), logits.row(s));
  device_->gemm(false, true, x.rows, labels_, hidden_, 1.0f, kept.classified.data,
                kept.classified.stride, weight_.value.data(), hidden_, 1.0f, logits.data,
                logits.stride);
  return logits;
}

void ClassificationHead::backward(MatrixView<const float> x, MatrixView<const float> d_logits,
                                  const EncoderPass& pass, const Kept& kept, MatrixView<float> dx,
                                  Arena& arena) {
  const ArenaScope scope(arena);
  const std::size_t sequences = x.rows;
  device_->gemm(true, false, labels_, hidden_, sequences, 1.0f, d_logits.data, d_logits.stride,
                kept.classified.data, hidden_, 1.0f, weight_.gradient.data(), hidden_);
  for (std::size_t s = 0; s < sequences; ++s)
    add_row(labels_, d_logits.row(s), bias_.gradient.data());
  if (!dx.data && !tensor_train_) return;

  const MatrixView<float> d_pooled = arena.take_matrix(sequences, hidden_);
  device_->gemm(false, false, sequences, hidden_, labels_, 1.0f, d_logits.data, d_logits.stride,
                weight_.value.data(), hidden_, 0.0f, d_pooled.data, hidden_);
  apply_dropout(dropout(pass), d_pooled, arena);
  for (std::size_t i = 0; i < sequences * hidden_; ++i)
    d_pooled.data[i] *= 1.0f - kept.pooled.data[i] * kept.pooled.data[i];
  if (tensor_train_) {
    const SiteMatrix<const float> d_output{0, d_pooled};
    tensor_train_->backward({&d_output, 1}, x, kept.tensor_train, dx, Into::overwrite);
  } else {
    frozen_backward<float>(*device_, pooler_, d_pooled, dx, Into::overwrite);
  }
}

}  // namespace rankfold
