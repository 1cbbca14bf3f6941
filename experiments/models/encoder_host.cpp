#include "experiments/models/encoder_host.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/device/arena.h"
#include "core/device/work.h"
#include "experiments/models/blocks/classification_loss.h"
#include "experiments/models/blocks/trained_storage.h"

namespace rankfold {
namespace {

class EncoderHost final : public Host {
 public:
  EncoderHost(EncoderNetwork network, const HostSettings& settings,
              std::shared_ptr<const Device> device);

  const SiteCatalogue& catalogue() const override { return network_.catalogue; }
  FrozenLinear<float> frozen(const Site& site) const override;
  void attach(Adapter<float>* adapter) override;
  std::vector<TrainedTensor> trained() override;
  void zero_gradients() override;
  std::vector<DrawnTensor> drawn() const override { return network_.head->drawn(); }
  std::size_t total_parameters() const override {
    return network_.weights->elements() + network_.head->new_elements();
  }
  std::size_t max_tokens() const override { return network_.limits.positions; }
  std::size_t hidden_size() const override { return network_.hidden; }
  std::size_t frozen_layers() const override { return frozen_steps_; }
  void features(const Batch& batch, MatrixView<float> rows) override;
  std::map<std::string, double> dropouts() const override { return network_.dropouts; }
  const std::vector<std::string>& notes() const override { return network_.notes; }

  std::vector<float> predict(const Batch& batch) override;
  double train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) override;
  std::vector<std::vector<float>> hidden_states(const Batch& batch) override;

 private:
  const std::string& model() const { return network_.catalogue.model; }
  EncoderLayer& layer(const EncoderNetwork::Step& step) { return network_.layers[step.layer]; }
  void train_norm(LayerNorm& norm, std::size_t width);
  void train_norms();

  void check_features(const Batch& batch) const;
  EncoderPass start_pass(const Batch& batch, EncoderPass pass = {});
  MatrixView<float> encode(const Batch& batch, const EncoderPass& pass, MatrixView<float> rows);
  void form_input(std::size_t index, const Batch& batch, const EncoderPass& pass,
                  MatrixView<float> x);
  void backward_encoder(const Batch& batch, const EncoderPass& pass, MatrixView<float> d_first,
                        MatrixView<float> rows);

  EncoderNetwork network_;
  HostSettings settings_;
  std::shared_ptr<const Device> device_;
  std::vector<TrainedStorage> norms_;
  bool encoder_trains_ = false;
  std::size_t frozen_steps_ = 0;

  Arena arena_;
  ClassificationHead::Kept kept_by_head_;
  std::vector<std::size_t> counting_;  ///< 0, 1, 2, ...
  RelativeRows relative_rows_;
};

EncoderHost::EncoderHost(EncoderNetwork network, const HostSettings& settings,
                         std::shared_ptr<const Device> device)
    : network_(std::move(network)), settings_(settings), device_(device), arena_(device) {
  if (settings_.parts.norms) train_norms();
  attach(nullptr);
}

void EncoderHost::train_norm(LayerNorm& norm, std::size_t width) {
  const auto start = [&](const char* tensor, const float* values) -> TrainedStorage& {
    TrainedStorage& storage =
        norms_.emplace_back(norm.name + tensor, std::vector<std::size_t>{width}, device_);
    device_->copy(values, width * sizeof(float), storage.value.data());
    return storage;
  };
  TrainedStorage& weight = start(".weight", norm.weight);
  norm.weight = weight.value.data();
  norm.weight_gradient = weight.gradient.data();
  TrainedStorage& shift = start(".bias", norm.shift);
  norm.shift = shift.value.data();
  norm.shift_gradient = shift.gradient.data();
}

void EncoderHost::train_norms() {
  train_norm(network_.embedding.norm(), network_.embedding.width());
  for (EncoderLayer& layer : network_.layers) {
    train_norm(layer.attention_norm(), network_.hidden);
    train_norm(layer.output_norm(), network_.hidden);
  }
  LayerNorm* const of_positions = network_.relative ? network_.relative->norm() : nullptr;
  if (of_positions) train_norm(*of_positions, network_.hidden);
}

FrozenLinear<float> EncoderHost::frozen(const Site& site) const {
  for (const EncoderLayer& layer : network_.layers)
    for (const HostLinear& linear : layer.linears()) {
      if (linear.site().name != site.name) continue;
      if (linear.site().out != site.out || linear.site().in != site.in)
        throw Error("{}: site {} is [{}, {}], expected [{}, {}]", model(), site.name, site.out,
                    site.in, linear.site().out, linear.site().in);
      return linear.frozen();
    }
  throw Error("{}: no site {}; sites are named {} and so on", model(), site.name,
              network_.catalogue.sites.front().name);
}

void EncoderHost::attach(Adapter<float>* adapter) {
  const std::vector<Site> sites = adapter ? adapter->stack().sites : std::vector<Site>();
  std::vector<FrozenLinear<float>> frozen_layers;
  for (const Site& site : sites) frozen_layers.push_back(frozen(site));
  if (adapter) adapter->set_frozen(std::move(frozen_layers));
  for (EncoderLayer& layer : network_.layers)
    for (HostLinear& linear : layer.linears()) {
      const auto found = std::ranges::find(sites, linear.site().name, &Site::name);
      const auto index = static_cast<std::size_t>(found - sites.begin());
      linear.attach(found == sites.end() ? nullptr : adapter, index);
    }
  encoder_trains_ = settings_.parts.norms;
  frozen_steps_ = 0;
  std::vector<EncoderNetwork::Step>& steps = network_.steps;
  for (EncoderNetwork::Step& step : steps) {
    step.application.traces = {};
    step.application.reach = layer(step).reach(encoder_trains_);
    encoder_trains_ = step.application.reach.any;
    if (!encoder_trains_) ++frozen_steps_;
  }
  frozen_steps_ = std::min(frozen_steps_, steps.size() - 1);
  for (std::size_t i = 0; i + 1 < steps.size(); ++i)
    steps[i].application.keeps_output = layer(steps[i + 1]).reads_input();
}

std::vector<TrainedTensor> EncoderHost::trained() {
  std::vector<TrainedTensor> tensors = network_.head->trained_output();
  for (TrainedStorage& norm : norms_) tensors.push_back(norm.tensor());
  for (TrainedTensor& tensor : network_.head->trained_dense()) tensors.push_back(std::move(tensor));
  return tensors;
}

void EncoderHost::zero_gradients() {
  for (TrainedStorage& norm : norms_)
    device_->fill(norm.gradient.size(), 0.0f, norm.gradient.data());
  network_.head->zero_gradients();
}

EncoderPass EncoderHost::start_pass(const Batch& batch, EncoderPass pass) {
  while (counting_.size() < batch.starts.size()) counting_.push_back(counting_.size());
  arena_.reset();
  pass.starts = batch.starts;
  pass.firsts = std::span(counting_).first(batch.starts.size());
  if (network_.relative) network_.relative->start(pass, relative_rows_, arena_);
  return pass;
}

/// Overwrites x with what goes into a step: features, embeddings, or what the step below handed on
/// in this pass.
void EncoderHost::form_input(std::size_t index, const Batch& batch, const EncoderPass& pass,
                             MatrixView<float> x) {
  if (batch.features.data && index == frozen_steps_) {
    const WorkTimer timer(*device_, Work::elementwise);
    if (device_->reaches_host()) return device_->copy_matrix(batch.features, x);
    for (std::size_t i = 0; i < x.rows; ++i)
      device_->upload(batch.features.row(i), x.columns * sizeof(float), x.row(i));
    return;
  }
  if (index == 0) return network_.embedding.forward(batch, pass, x, arena_);
  const EncoderNetwork::Step& below = network_.steps[index - 1];
  layer(below).form_output(below.application, x, *device_);
}

MatrixView<float> EncoderHost::encode(const Batch& batch, const EncoderPass& pass,
                                      MatrixView<float> rows) {
  const std::size_t first = batch.features.data ? frozen_steps_ : 0;
  form_input(first, batch, pass, rows);
  for (std::size_t i = first; i < network_.steps.size(); ++i) {
    EncoderNetwork::Step& step = network_.steps[i];
    rows = layer(step).forward(rows, pass, step.application, arena_);
  }
  return rows;
}

void EncoderHost::check_features(const Batch& batch) const {
  const MatrixView<const float>& rows = batch.features;
  if (!rows.data) return;
  if (frozen_steps_ == 0)
    throw Error(
        "{}: the batch has features, expected none: no layer is frozen below all that trains",
        model());
  if (rows.rows != batch.tokens() || rows.columns != network_.hidden)
    throw Error("{}: the batch has features [{}, {}], expected [{}, {}]", model(), rows.rows,
                rows.columns, batch.tokens(), network_.hidden);
}

void EncoderHost::features(const Batch& batch, MatrixView<float> rows) {
  check_batch(batch, network_.limits, false);
  if (rows.rows != batch.tokens() || rows.columns != network_.hidden)
    throw Error("{}: the room for features is [{}, {}], expected [{}, {}]", model(), rows.rows,
                rows.columns, batch.tokens(), network_.hidden);
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> x = arena_.take_matrix(batch.tokens(), network_.hidden);
  network_.embedding.forward(batch, pass, x, arena_);
  for (std::size_t i = 0; i < frozen_steps_; ++i) {
    EncoderNetwork::Step& step = network_.steps[i];
    layer(step).forward(x, pass, step.application, arena_);
  }
  for (std::size_t i = 0; i < x.rows; ++i)
    device_->download(x.row(i), x.columns * sizeof(float), rows.row(i));
}

std::vector<float> EncoderHost::predict(const Batch& batch) {
  check_batch(batch, network_.limits, false);
  check_features(batch);
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  const MatrixView<float> logits =
      network_.head->forward(encode(batch, pass, rows), pass, kept_by_head_, arena_);
  std::vector<float> result(logits.rows * logits.columns);
  device_->download(logits.data, result.size() * sizeof(float), result.data());
  return result;
}

std::vector<std::vector<float>> EncoderHost::hidden_states(const Batch& batch) {
  check_batch(batch, network_.limits, false);
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  std::vector<std::vector<float>> states;
  const auto keep = [&] {
    std::vector<float>& state = states.emplace_back(rows.rows * rows.columns);
    device_->download(rows.data, state.size() * sizeof(float), state.data());
  };
  network_.embedding.forward(batch, pass, rows, arena_);
  keep();
  for (const EncoderNetwork::Step& step : network_.steps) {
    EncoderApplication of_all_rows("");
    layer(step).forward(rows, pass, of_all_rows, arena_);
    keep();
  }
  return states;
}

double EncoderHost::train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) {
  check_batch(batch, network_.limits, true);
  check_features(batch);
  EncoderPass training;
  training.training = true;
  training.seed = seed;
  training.step = step;
  const EncoderPass pass = start_pass(batch, training);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  MatrixView<float> d_first(nullptr, batch.sequences(), network_.hidden);
  if (encoder_trains_) d_first = arena_.take_matrix(batch.sequences(), network_.hidden);
  const MatrixView<float> first_rows = encode(batch, pass, rows);

  double loss = 0;
  {
    const ArenaScope scope(arena_);
    const MatrixView<float> logits =
        network_.head->forward(first_rows, pass, kept_by_head_, arena_);
    const MatrixView<float> d_logits = arena_.take_matrix(logits.rows, logits.columns);
    loss = classification_loss(logits, batch.labels, settings_.regression, d_logits, *device_);
    network_.head->backward(d_logits, pass, kept_by_head_, d_first, arena_);
  }
  if (encoder_trains_) backward_encoder(batch, pass, d_first, rows);
  return loss;
}

/// From the gradient of the first rows; `rows` has room for every token's and passes it down.
void EncoderHost::backward_encoder(const Batch& batch, const EncoderPass& pass,
                                   MatrixView<float> d_first, MatrixView<float> rows) {
  MatrixView<float> gradient = d_first;
  for (std::size_t i = network_.steps.size(); i-- > 0;) {
    EncoderNetwork::Step& step = network_.steps[i];
    const MatrixView<float> x =
        layer(step).backward_attention(pass, step.application, gradient, arena_);
    if (x.data) form_input(i, batch, pass, x);
    layer(step).backward_projections(pass, step.application, x, gradient, rows, arena_);
    if (!step.application.reach.input) return;
    gradient = rows;
  }
  network_.embedding.backward(batch, pass, gradient, arena_);
  if (network_.relative) network_.relative->backward(pass, arena_);
}

}  // namespace

std::unique_ptr<Host> make_encoder_host(EncoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device) {
  return std::make_unique<EncoderHost>(std::move(network), settings, std::move(device));
}

}  // namespace rankfold
