#include "experiments/models/blocks/classification_head.h"

#include <utility>

#include <fmt/ranges.h>

#include "core/adapter/frozen_product.h"
#include "core/base/random.h"
#include "experiments/models/blocks/tensor_train_head.h"

namespace rankfold {

ClassificationHead::ClassificationHead(HeadModules modules, std::size_t hidden, double dropout,
                                       const HostSettings& settings, FrozenWeights& weights,
                                       std::shared_ptr<const Device> device,
                                       std::vector<std::string>& notes)
    : modules_(std::move(modules)),
      hidden_(hidden),
      labels_(settings.labels),
      dropout_(dropout),
      dropout_place_("dropout/" + modules_.classifier),
      seed_(settings.seed),
      device_(std::move(device)),
      weight_(modules_.classifier + ".weight", {labels_, hidden_}, device_),
      bias_(modules_.classifier + ".bias", {labels_}, device_) {
  load_classifier(weights, notes);
  if (settings.parts.tt_head)
    tensor_train_ = make_tensor_train_head<float>(modules_.pooler, hidden_, settings.parts.tt_rank,
                                                  seed_, device_);
  else
    load_pooler(weights, notes);
}

void ClassificationHead::load_classifier(FrozenWeights& weights, std::vector<std::string>& notes) {
  const TensorEntry* found = weights.find(weight_.name);
  if (found && found->shape == weight_.shape) {
    for (TrainedStorage* storage : {&weight_, &bias_})
      device_->copy(weights.tensor(storage->name, storage->shape),
                    storage->value.size() * sizeof(float), storage->value.data());
    return;
  }
  RandomStream(seed_, "initialise/" + weight_.name)
      .fill_normal(HostWrite<float>(weight_.value).span(), 0.0, 0.02);
  new_elements_ += weight_.value.size() + bias_.value.size();
  if (found)
    notes.push_back(
        fmt::format("{}: {} of the checkpoint has shape [{}], expected "
                    "[{}]; the classifier starts anew",
                    modules_.model, weight_.name, fmt::join(found->shape, ", "),
                    fmt::join(weight_.shape, ", ")));
}

void ClassificationHead::load_pooler(FrozenWeights& weights, std::vector<std::string>& notes) {
  const std::string weight = modules_.pooler + ".weight";
  if (weights.find(weight)) {
    pooler_.weight = weights.tensor(weight, {hidden_, hidden_});
    pooler_.bias = weights.tensor(modules_.pooler + ".bias", {hidden_});
    return;
  }
  new_pooler_.assign(hidden_ * hidden_ + hidden_, 0.0f);
  RandomStream(seed_, "initialise/" + weight)
      .fill_normal(std::span(new_pooler_).first(hidden_ * hidden_), 0.0, 0.02);
  pooler_.weight = place_on_device(device_, std::span<const float>(new_pooler_), placed_);
  pooler_.bias = pooler_.weight + hidden_ * hidden_;
  new_elements_ += new_pooler_.size();
  notes.push_back(
      fmt::format("{}: no {} in the checkpoint; it is frozen at new "
                  "weights N(0, 0.02) of seed {}",
                  modules_.model, modules_.pooler, seed_));
}

std::vector<TrainedTensor> ClassificationHead::trained_classifier() {
  return {weight_.tensor(), bias_.tensor()};
}

std::vector<TrainedTensor> ClassificationHead::trained_pooler() {
  std::vector<TrainedTensor> tensors;
  if (tensor_train_)
    for (Parameter<float>& parameter : tensor_train_->parameters())
      tensors.push_back({modules_.pooler + "." + parameter.factor,
                         parameter.shape,
                         {parameter.value.data(), parameter.value.size()},
                         {parameter.gradient.data(), parameter.gradient.size()}});
  return tensors;
}

void ClassificationHead::zero_gradients() {
  for (TrainedStorage* storage : {&weight_, &bias_})
    device_->fill(storage->gradient.size(), 0.0f, storage->gradient.data());
  if (tensor_train_) tensor_train_->zero_gradients();
}

std::vector<Host::DrawnTensor> ClassificationHead::drawn() const {
  if (new_pooler_.empty()) return {};
  const std::span<const float> values(new_pooler_);
  return {{modules_.pooler + ".weight", {hidden_, hidden_}, values.first(hidden_ * hidden_)},
          {modules_.pooler + ".bias", {hidden_}, values.last(hidden_)}};
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
  device_->tanh(pooled);
}

MatrixView<float> ClassificationHead::forward(MatrixView<const float> x, const EncoderPass& pass,
                                              Kept& kept, Arena& arena) const {
  kept.pooled = arena.take_matrix(x.rows, hidden_);
  pool(x, kept.pooled, pass.training ? &kept.tensor_train : nullptr);
  kept.classified = arena.take_matrix(x.rows, hidden_);
  device_->copy_matrix(kept.pooled, kept.classified);
  apply_dropout(dropout(pass), kept.classified, *device_);
  const MatrixView<float> logits = arena.take_matrix(x.rows, labels_);
  device_->fill_rows(bias_.value.data(), logits);
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
  device_->add_column_sums(d_logits, bias_.gradient.data());
  if (!dx.data && !tensor_train_) return;

  const MatrixView<float> d_pooled = arena.take_matrix(sequences, hidden_);
  device_->gemm(false, false, sequences, hidden_, labels_, 1.0f, d_logits.data, d_logits.stride,
                weight_.value.data(), hidden_, 0.0f, d_pooled.data, hidden_);
  apply_dropout(dropout(pass), d_pooled, *device_);
  device_->tanh_backward(kept.pooled, d_pooled);
  if (tensor_train_) {
    const SiteMatrix<const float> d_output{0, d_pooled};
    tensor_train_->backward({&d_output, 1}, x, kept.tensor_train, dx, Into::overwrite);
  } else {
    frozen_backward<float>(*device_, pooler_, d_pooled, dx, Into::overwrite);
  }
}

}  // namespace rankfold
