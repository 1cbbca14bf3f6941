#include "experiments/models/encoder_host.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/device/arena.h"
#include "experiments/models/blocks/classification_loss.h"
#include "experiments/models/host_parts.h"

namespace rankfold {
namespace {

class EncoderHost final : public Host {
 public:
  EncoderHost(EncoderNetwork network, const HostSettings& settings,
              std::shared_ptr<const Device> device);

  const SiteCatalogue& catalogue() const override { return network_.catalogue; }
  FrozenLinear<float> frozen(const Site& site) const override {
    return find_frozen(linears_, site, network_.catalogue);
  }
  void attach(Adapter<float>* adapter) override;
  std::vector<TrainedTensor> trained() override;
  void zero_gradients() override;
  std::vector<DrawnTensor> drawn() const override { return network_.head->drawn(); }
  std::vector<DrawnTensor> replaced() const override {
    return list_replaced(network_.weights->replaced());
  }
  std::size_t total_parameters() const override {
    return network_.weights->elements() + network_.head->new_elements();
  }
  std::size_t max_tokens() const override { return network_.limits.positions; }
  std::size_t hidden_size() const override { return network_.hidden; }
  std::size_t frozen_layers() const override { return frozen_steps_; }
  void features(const Batch& batch, MatrixView<float> rows) override;
  std::map<std::string, double> dropouts() const override { return network_.dropouts; }
  const std::vector<std::string>& notes() const override { return network_.notes; }

  void check(const Batch& batch) const override { check_batch(batch, network_.limits, false); }
  std::vector<float> predict(const Batch& batch) override;
  double train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) override;
  double mean_loss(const Batch& batch) override;
  std::vector<std::vector<float>> hidden_states(const Batch& batch) override;

 private:
  const std::string& model() const { return network_.catalogue.model; }
  EncoderLayer& layer(const EncoderNetwork::Step& step) { return network_.layers[step.layer]; }
  std::vector<HostLinear*> linears();
  TrainedWeights* all() { return network_.weights->trained(); }  ///< null unless all trains
  void train_norms();
  void train_network(TrainedWeights& weights);

  EncoderPass start_pass(const Batch& batch, EncoderPass pass = {});
  MatrixView<float> encode(const Batch& batch, const EncoderPass& pass, MatrixView<float> rows);
  void form_input(std::size_t index, const Batch& batch, const EncoderPass& pass,
                  MatrixView<float> x, Trace<float>* trace);
  void backward_encoder(const Batch& batch, const EncoderPass& pass, MatrixView<float> d_first,
                        MatrixView<float> rows);

  EncoderNetwork network_;
  HostSettings settings_;
  std::shared_ptr<const Device> device_;
  std::vector<HostLinear*> linears_;  ///< of all layers, the embedding and the head
  TrainedNorms norms_;
  bool encoder_trains_ = false;
  std::size_t frozen_steps_ = 0;

  Arena arena_;
  ClassificationHead::Kept kept_by_head_;
  Trace<float> kept_by_embedding_;
  std::vector<std::size_t> counting_;  ///< 0, 1, 2, ...
  RelativeRows relative_rows_;
  TableRows table_rows_;
};

EncoderHost::EncoderHost(EncoderNetwork network, const HostSettings& settings,
                         std::shared_ptr<const Device> device)
    : network_(std::move(network)),
      settings_(settings),
      device_(device),
      linears_(linears()),
      norms_(device),
      arena_(device) {
  if (all() || settings_.parts.norms || settings_.parts.norm_shifts) train_norms();
  if (all()) train_network(*all());
  attach(nullptr);
}

void EncoderHost::train_network(TrainedWeights& weights) {
  train_linears(linears_, weights);
  const EmbeddingTables& tables = network_.embedding.tables();
  network_.embedding.train({weights.gradient(tables.words), weights.gradient(tables.positions),
                            weights.gradient(tables.types), network_.padding});
  if (network_.relative) network_.relative->train(weights.gradient(network_.relative->table()));
}

void EncoderHost::train_norms() {
  const auto train = [&](LayerNorm& norm) {
    settings_.parts.norms || all() ? norms_.train(norm) : norms_.train_shift(norm);
  };
  train(network_.embedding.norm());
  for (EncoderLayer& layer : network_.layers) {
    train(layer.attention_norm());
    train(layer.output_norm());
  }
  LayerNorm* const of_positions = network_.relative ? network_.relative->norm() : nullptr;
  if (of_positions) train(*of_positions);
}

std::vector<HostLinear*> EncoderHost::linears() {
  std::vector<HostLinear*> linears;
  for (EncoderLayer& layer : network_.layers)
    for (HostLinear* linear : layer.linears()) linears.push_back(linear);
  if (HostLinear* const map = network_.embedding.map()) linears.push_back(map);
  if (HostLinear* const dense = network_.head->adaptable_dense()) linears.push_back(dense);
  return linears;
}

void EncoderHost::attach(Adapter<float>* adapter) {
  if (adapter && settings_.parts.tt_head)
    for (const Site& site : adapter->stack().sites)
      if (site.matrix == MatrixType::pooler)
        throw Error(
            "{}: a tensor train (--train tt-head) replaces {}, which the adapter attaches to",
            model(), site.name);
  attach_linears(linears_, adapter, network_.catalogue);
  kept_by_head_ = {};
  kept_by_embedding_ = {};
  const HostLinear* const map = network_.embedding.map();
  encoder_trains_ =
      all() || settings_.parts.norms || settings_.parts.norm_shifts || (map && map->adapted());
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
  for (TrainedTensor& tensor : norms_.tensors()) tensors.push_back(std::move(tensor));
  for (TrainedTensor& tensor : network_.head->trained_dense()) tensors.push_back(std::move(tensor));
  if (all())
    for (TrainedTensor& tensor : all()->tensors()) tensors.push_back(std::move(tensor));
  return tensors;
}

void EncoderHost::zero_gradients() {
  norms_.zero_gradients();
  network_.head->zero_gradients();
  if (all()) all()->zero_gradients();
}

EncoderPass EncoderHost::start_pass(const Batch& batch, EncoderPass pass) {
  while (counting_.size() < batch.starts.size()) counting_.push_back(counting_.size());
  arena_.reset();
  if (all()) all()->refresh();
  pass.starts = batch.starts;
  pass.firsts = std::span(counting_).first(batch.starts.size());
  if (network_.relative) network_.relative->start(pass, relative_rows_, arena_);
  return pass;
}

/// Overwrites x with what goes into a step: features, embeddings, or what the step below handed on
/// in this pass. `trace` as EmbeddingLayer::forward has it.
void EncoderHost::form_input(std::size_t index, const Batch& batch, const EncoderPass& pass,
                             MatrixView<float> x, Trace<float>* trace) {
  if (batch.features.data && index == frozen_steps_)
    return upload_features(batch.features, x, *device_);
  if (index == 0) return network_.embedding.forward(batch, pass, x, trace, arena_);
  const EncoderNetwork::Step& below = network_.steps[index - 1];
  layer(below).form_output(below.application, x, *device_);
}

MatrixView<float> EncoderHost::encode(const Batch& batch, const EncoderPass& pass,
                                      MatrixView<float> rows) {
  const std::size_t first = batch.features.data ? frozen_steps_ : 0;
  form_input(first, batch, pass, rows, pass.training ? &kept_by_embedding_ : nullptr);
  for (std::size_t i = first; i < network_.steps.size(); ++i) {
    EncoderNetwork::Step& step = network_.steps[i];
    rows = layer(step).forward(rows, pass, step.application, arena_);
  }
  return rows;
}

void EncoderHost::features(const Batch& batch, MatrixView<float> rows) {
  check_batch(batch, network_.limits, false);
  check_room_for_features(batch, rows, network_.hidden, model());
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> x = arena_.take_matrix(batch.tokens(), network_.hidden);
  network_.embedding.forward(batch, pass, x, nullptr, arena_);
  for (std::size_t i = 0; i < frozen_steps_; ++i) {
    EncoderNetwork::Step& step = network_.steps[i];
    layer(step).forward(x, pass, step.application, arena_);
  }
  download_rows(x, rows, *device_);
}

std::vector<float> EncoderHost::predict(const Batch& batch) {
  check_batch(batch, network_.limits, false);
  check_features(batch, frozen_steps_, network_.hidden, model());
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
  network_.embedding.forward(batch, pass, rows, nullptr, arena_);
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
  check_features(batch, frozen_steps_, network_.hidden, model());
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
    loss =
        classification_loss(logits, batch.labels, {settings_.regression, settings_.label_smoothing},
                            d_logits, *device_);
    network_.head->backward(d_logits, pass, kept_by_head_, d_first, arena_);
  }
  if (encoder_trains_) backward_encoder(batch, pass, d_first, rows);
  return loss;
}

double EncoderHost::mean_loss(const Batch& batch) {
  check_batch(batch, network_.limits, true);
  check_features(batch, frozen_steps_, network_.hidden, model());
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  const MatrixView<float> logits =
      network_.head->forward(encode(batch, pass, rows), pass, kept_by_head_, arena_);
  const MatrixView<float> unused = arena_.take_matrix(logits.rows, logits.columns);
  return classification_loss(logits, batch.labels,
                             {settings_.regression, settings_.label_smoothing}, unused, *device_);
}

/// From the gradient of the first rows; `rows` has room for every token's and passes it down.
void EncoderHost::backward_encoder(const Batch& batch, const EncoderPass& pass,
                                   MatrixView<float> d_first, MatrixView<float> rows) {
  MatrixView<float> gradient = d_first;
  for (std::size_t i = network_.steps.size(); i-- > 0;) {
    EncoderNetwork::Step& step = network_.steps[i];
    const MatrixView<float> x =
        layer(step).backward_attention(pass, step.application, gradient, arena_);
    if (x.data) form_input(i, batch, pass, x, nullptr);
    layer(step).backward_projections(pass, step.application, x, gradient, rows, arena_);
    if (!step.application.reach.input) return;
    gradient = rows;
  }
  network_.embedding.backward(batch, pass, kept_by_embedding_, gradient, table_rows_, arena_);
  if (network_.relative) network_.relative->backward(pass, relative_rows_, arena_);
  if (all()) all()->collect();
}

}  // namespace

std::unique_ptr<Host> make_encoder_host(EncoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device) {
  return std::make_unique<EncoderHost>(std::move(network), settings, std::move(device));
}

}  // namespace rankfold
