#include "experiments/models/blocks/classification_head.h"

#include <utility>

#include <fmt/ranges.h>

#include "core/adapter/frozen_product.h"
#include "core/base/random.h"
#include "experiments/models/blocks/tensor_train_head.h"

namespace rankfold {
namespace {

std::vector<TrainedStorage> trained_layer(const std::string& module, std::size_t out,
                                          std::size_t in,
                                          const std::shared_ptr<const Device>& device) {
  std::vector<TrainedStorage> layer;
  layer.emplace_back(module + ".weight", std::vector<std::size_t>{out, in}, device);
  layer.emplace_back(module + ".bias", std::vector<std::size_t>{out}, device);
  return layer;
}

/// Adds to the gradients of a layer's weight and bias.
void add_gradients(const Device& device, MatrixView<const float> dy, MatrixView<const float> x,
                   std::span<TrainedStorage> layer) {
  device.gemm(true, false, dy.columns, x.columns, dy.rows, 1.0f, dy.data, dy.stride, x.data,
              x.stride, 1.0f, layer[0].gradient.data(), x.columns);
  device.add_column_sums(dy, layer[1].gradient.data());
}

}  // namespace

ClassificationHead::ClassificationHead(HeadDescription description, std::size_t hidden,
                                       const HostSettings& settings, FrozenWeights& weights,
                                       std::shared_ptr<const Device> device,
                                       std::vector<std::string>& notes)
    : description_(std::move(description)),
      hidden_(hidden),
      labels_(settings.labels),
      input_place_("dropout/" + description_.dense),
      output_place_("dropout/" + description_.output),
      seed_(settings.seed),
      device_(std::move(device)),
      output_(trained_layer(description_.output, labels_, hidden_, device_)) {
  load_output(weights, settings, notes);
  if (settings.parts.tt_head)
    tensor_train_ = make_tensor_train_head<float>(description_.dense, hidden_,
                                                  settings.parts.tt_rank, seed_, device_);
  else if (description_.trains_dense || settings.parts.everything)
    load_trained_dense(weights);
  else
    load_frozen_dense(weights, notes);
  if (!tensor_train_ && trained_dense_.empty() && description_.site)
    linear_.emplace(*description_.site, dense_, device_);
}

void ClassificationHead::read(FrozenWeights& weights, std::span<TrainedStorage> layer,
                              std::span<const std::size_t> rows) const {
  for (TrainedStorage& storage : layer)
    device_->copy(weights.frozen(storage.name, storage.shape, rows),
                  storage.value.size() * sizeof(float), storage.value.data());
}

void ClassificationHead::draw(std::span<TrainedStorage> layer) {
  RandomStream(seed_, "initialise/" + layer[0].name)
      .fill_normal(HostWrite<float>(layer[0].value).span(), 0.0, 0.02);
  for (const TrainedStorage& storage : layer) new_elements_ += storage.value.size();
}

void ClassificationHead::load_output(FrozenWeights& weights, const HostSettings& settings,
                                     std::vector<std::string>& notes) {
  const TrainedStorage& weight = output_[0];
  const TensorEntry* found = weights.find(weight.name);
  if (found && found->shape == weight.shape) return read(weights, output_, settings.output_rows);
  draw(output_);
  if (found)
    notes.push_back(
        fmt::format("{}: {} of the checkpoint has shape [{}], expected "
                    "[{}]; the classifier starts anew",
                    description_.model, weight.name, fmt::join(found->shape, ", "),
                    fmt::join(weight.shape, ", ")));
}

void ClassificationHead::load_trained_dense(FrozenWeights& weights) {
  trained_dense_ = trained_layer(description_.dense, hidden_, hidden_, device_);
  if (weights.find(trained_dense_[0].name))
    read(weights, trained_dense_);
  else
    draw(trained_dense_);
  dense_.weight = trained_dense_[0].value.data();
  dense_.bias = trained_dense_[1].value.data();
}

void ClassificationHead::load_frozen_dense(FrozenWeights& weights,
                                           std::vector<std::string>& notes) {
  const std::string weight = description_.dense + ".weight";
  if (weights.find(weight)) {
    dense_.weight = weights.frozen(weight, {hidden_, hidden_});
    dense_.bias = weights.frozen(description_.dense + ".bias", {hidden_});
    return;
  }
  new_dense_.assign(hidden_ * hidden_ + hidden_, 0.0f);
  RandomStream(seed_, "initialise/" + weight)
      .fill_normal(std::span(new_dense_).first(hidden_ * hidden_), 0.0, 0.02);
  dense_.weight = place_on_device(device_, std::span<const float>(new_dense_), placed_);
  dense_.bias = dense_.weight + hidden_ * hidden_;
  new_elements_ += new_dense_.size();
  notes.push_back(
      fmt::format("{}: no {} in the checkpoint; it is frozen at new "
                  "weights N(0, 0.02) of seed {}",
                  description_.model, description_.dense, seed_));
}

std::vector<TrainedTensor> ClassificationHead::trained_output() {
  return {output_[0].tensor(), output_[1].tensor()};
}

std::vector<TrainedTensor> ClassificationHead::trained_dense() {
  std::vector<TrainedTensor> tensors;
  for (TrainedStorage& storage : trained_dense_) {
    tensors.push_back(storage.tensor());
    if (!description_.trains_dense) tensors.back().part = TrainedTensor::Part::network;
  }
  if (tensor_train_)
    for (Parameter<float>& parameter : tensor_train_->parameters())
      tensors.push_back({description_.dense + "." + parameter.factor,
                         parameter.shape,
                         {parameter.value.data(), parameter.value.size()},
                         {parameter.gradient.data(), parameter.gradient.size()}});
  return tensors;
}

void ClassificationHead::zero_gradients() {
  for (std::vector<TrainedStorage>* layer : {&output_, &trained_dense_})
    for (TrainedStorage& storage : *layer)
      device_->fill(storage.gradient.size(), 0.0f, storage.gradient.data());
  if (tensor_train_) tensor_train_->zero_gradients();
}

std::vector<Host::DrawnTensor> ClassificationHead::drawn() const {
  if (new_dense_.empty()) return {};
  const std::span<const float> values(new_dense_);
  return {{description_.dense + ".weight", {hidden_, hidden_}, values.first(hidden_ * hidden_)},
          {description_.dense + ".bias", {hidden_}, values.last(hidden_)}};
}

std::size_t ClassificationHead::new_elements() const {
  return new_elements_ + (tensor_train_ ? tensor_train_->parameter_count() : 0);
}

MatrixView<float> ClassificationHead::forward(MatrixView<const float> x, const EncoderPass& pass,
                                              Kept& kept, Arena& arena) const {
  const auto take = [&] { return arena.take_matrix(x.rows, hidden_); };
  kept.input = x;
  if (const Dropout drop = input_dropout(pass); drop.active()) {
    const MatrixView<float> dropped = take();
    device_->copy_matrix(x, dropped);
    apply_dropout(drop, dropped, *device_);
    kept.input = dropped;
  }
  kept.pooled = take();
  kept.dense = description_.activation ? take() : kept.pooled;
  Trace<float>* const trace = pass.training ? &kept.trace : nullptr;
  if (tensor_train_)
    tensor_train_->forward(0, kept.input, kept.dense, trace);
  else if (is_adapted())
    linear_->forward(kept.input, kept.dense, trace);
  else
    frozen_forward(*device_, dense_, kept.input, kept.dense, Bias::add);
  if (description_.activation)
    device_->activate(*description_.activation, kept.dense, nullptr, kept.pooled, pass.training);
  else
    device_->tanh(kept.pooled);
  kept.classified = take();
  device_->copy_matrix(kept.pooled, kept.classified);
  apply_dropout(dropout(pass), kept.classified, *device_);
  const MatrixView<float> logits = arena.take_matrix(x.rows, labels_);
  device_->fill_rows(output_[1].value.data(), logits);
  device_->gemm(false, true, x.rows, labels_, hidden_, 1.0f, kept.classified.data,
                kept.classified.stride, output_[0].value.data(), hidden_, 1.0f, logits.data,
                logits.stride);
  return logits;
}

void ClassificationHead::backward(MatrixView<const float> d_logits, const EncoderPass& pass,
                                  const Kept& kept, MatrixView<float> dx, Arena& arena) {
  const ArenaScope scope(arena);
  add_gradients(*device_, d_logits, kept.classified, output_);
  if (!dx.data && !tensor_train_ && !is_adapted() && trained_dense_.empty()) return;

  const MatrixView<float> d_pooled = arena.take_matrix(d_logits.rows, hidden_);
  device_->gemm(false, false, d_pooled.rows, hidden_, labels_, 1.0f, d_logits.data, d_logits.stride,
                output_[0].value.data(), hidden_, 0.0f, d_pooled.data, hidden_);
  apply_dropout(dropout(pass), d_pooled, *device_);
  if (description_.activation)
    device_->multiply_matrix(kept.dense, d_pooled);
  else
    device_->tanh_backward(kept.pooled, d_pooled);
  backward_dense(d_pooled, kept, dx);
  if (dx.data) apply_dropout(input_dropout(pass), dx, *device_);
}

void ClassificationHead::backward_dense(MatrixView<const float> d_dense, const Kept& kept,
                                        MatrixView<float> dx) {
  if (tensor_train_) {
    const SiteMatrix<const float> d_output{0, d_dense};
    tensor_train_->backward({&d_output, 1}, kept.input, kept.trace, dx, Into::overwrite);
    return;
  }
  if (is_adapted()) return linear_->backward(kept.input, d_dense, kept.trace, dx, Into::overwrite);
  if (!trained_dense_.empty()) add_gradients(*device_, d_dense, kept.input, trained_dense_);
  if (dx.data) frozen_backward<float>(*device_, dense_, d_dense, dx, Into::overwrite);
}

}  // namespace rankfold
