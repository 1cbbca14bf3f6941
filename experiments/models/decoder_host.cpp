#include "experiments/models/decoder_host.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/device/arena.h"
#include "core/device/work.h"
#include "experiments/models/blocks/classification_loss.h"
#include "experiments/models/blocks/embedding_layer.h"
#include "experiments/models/blocks/option_loss.h"
#include "experiments/models/decoder_rows.h"
#include "experiments/models/host_parts.h"

namespace rankfold {
namespace {

class DecoderHost final : public Host {
 public:
  DecoderHost(DecoderNetwork network, const HostSettings& settings,
              std::shared_ptr<const Device> device);

  const SiteCatalogue& catalogue() const override { return network_.catalogue; }
  FrozenLinear<float> frozen(const Site& site) const override {
    return find_frozen(linears_, site, network_.catalogue);
  }
  void attach(Adapter<float>* adapter) override;
  std::vector<TrainedTensor> trained() override;
  void zero_gradients() override;
  std::vector<DrawnTensor> drawn() const override { return {}; }
  std::vector<DrawnTensor> replaced() const override {
    return list_replaced(network_.weights->replaced());
  }
  std::size_t total_parameters() const override {
    return network_.weights->elements() + (network_.score ? network_.score->new_elements() : 0);
  }
  std::size_t max_tokens() const override { return network_.limits.positions; }
  std::size_t hidden_size() const override { return network_.hidden; }
  std::size_t frozen_layers() const override { return frozen_layers_; }
  void features(const Batch& batch, MatrixView<float> rows) override;
  std::map<std::string, double> dropouts() const override { return network_.dropouts; }
  const std::vector<std::string>& notes() const override { return network_.notes; }

  void check(const Batch& batch) const override { check_batch(batch, network_.limits, false); }
  std::vector<float> predict(const Batch& given) override;
  double train_pass(const Batch& given, std::uint64_t seed, std::uint64_t step) override;
  std::vector<std::vector<float>> hidden_states(const Batch& batch) override;

  double mean_loss(const Batch& given) override;
  std::vector<double> answer_scores(const Batch& batch) override;
  std::vector<float> token_logits(const Batch& batch) override;
  KeyValueCache make_cache(std::span<const std::size_t> tokens) const override;
  std::vector<float> next_logits(const Batch& batch, std::span<const std::size_t> cached,
                                 KeyValueCache& cache) override;

 private:
  const std::string& model() const { return network_.catalogue.model; }
  std::vector<HostLinear*> linears();
  TrainedWeights* all() { return network_.weights->trained(); }  ///< null unless all trains
  void train_network(TrainedWeights& weights);
  void backward_embedding(const Batch& batch, const DecoderPass& pass, MatrixView<float> gradient);
  void expect_language_model() const;

  const Batch& read_part(const Batch& batch, bool with_labels);
  DecoderPass start_pass(const Batch& batch) { return turned(rows_.start(batch)); }
  DecoderPass turned(DecoderPass pass);
  void embed(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows);
  void form_input(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows);
  MatrixView<float> run_layers(const DecoderPass& pass, MatrixView<float> rows, std::size_t first);
  MatrixView<float> last_rows(const Batch& batch, const DecoderPass& pass);
  MatrixView<float> all_rows(const Batch& batch, const DecoderPass& pass);
  std::vector<float> downloaded(MatrixView<const float> x) const;
  std::vector<float> logits_of(MatrixView<float> rows);
  double classify(const Batch& batch, MatrixView<const float> rows, bool training,
                  MatrixView<float> gradient);
  double predict_tokens(const Batch& batch, MatrixView<const float> rows, bool training,
                        MatrixView<float> gradient);
  double loss(const Batch& batch, MatrixView<const float> rows, bool training,
              MatrixView<float> gradient);

  DecoderNetwork network_;
  HostSettings settings_;
  std::shared_ptr<const Device> device_;
  std::vector<HostLinear*> linears_;  ///< of all layers
  TrainedNorms norms_;
  TableGradients table_gradients_;
  std::vector<std::size_t> words_;  ///< of a pass whose embedding trains
  bool layers_train_ = false;
  std::size_t frozen_layers_ = 0;

  Arena arena_;
  DecoderRows rows_;
  PaddingCut cut_;
  std::vector<double> losses_, scores_;  ///< of labelled tokens, of answers
  std::vector<float> scales_;
  DecoderApplication of_all_rows_{""}, of_last_rows_{"", true};  ///< of passes without backward
};

DecoderHost::DecoderHost(DecoderNetwork network, const HostSettings& settings,
                         std::shared_ptr<const Device> device)
    : network_(std::move(network)),
      settings_(settings),
      device_(device),
      linears_(linears()),
      norms_(device),
      arena_(device),
      cut_(network_.score ? network_.padding : -1) {
  const auto train = [&](LayerNorm& norm) {
    settings_.parts.norms || all() ? norms_.train(norm) : norms_.train_shift(norm);
  };
  if (all() || settings_.parts.norms || settings_.parts.norm_shifts) {
    for (DecoderLayer& layer : network_.layers)
      for (LayerNorm* norm : layer.norms()) train(*norm);
    train(network_.last_norm);
  }
  if (all()) train_network(*all());
  attach(nullptr);
}

void DecoderHost::train_network(TrainedWeights& weights) {
  train_linears(linears_, weights);
  table_gradients_ = {weights.gradient(network_.words), weights.gradient(network_.positions),
                      nullptr, network_.untrained_word};
  if (network_.output) network_.output->train(weights.gradient(network_.output->weight()));
}

std::vector<HostLinear*> DecoderHost::linears() {
  std::vector<HostLinear*> linears;
  for (DecoderLayer& layer : network_.layers)
    for (HostLinear* linear : layer.linears()) linears.push_back(linear);
  return linears;
}

void DecoderHost::attach(Adapter<float>* adapter) {
  attach_linears(linears_, adapter, network_.catalogue);
  layers_train_ = all() != nullptr;
  frozen_layers_ = 0;
  for (std::size_t i = 0; i < network_.layers.size(); ++i) {
    DecoderApplication& application = network_.applications[i];
    application.traces = {};
    application.reach = network_.layers[i].reach(layers_train_);
    layers_train_ = application.reach.any;
    if (!layers_train_) ++frozen_layers_;
  }
  frozen_layers_ = std::min(frozen_layers_, network_.layers.size() - 1);
}

std::vector<TrainedTensor> DecoderHost::trained() {
  std::vector<TrainedTensor> tensors;
  if (network_.score) tensors.push_back(network_.score->trained());
  for (TrainedTensor& tensor : norms_.tensors()) tensors.push_back(std::move(tensor));
  if (all())
    for (TrainedTensor& tensor : all()->tensors()) tensors.push_back(std::move(tensor));
  return tensors;
}

void DecoderHost::zero_gradients() {
  norms_.zero_gradients();
  if (network_.score) network_.score->zero_gradients();
  if (all()) all()->zero_gradients();
}

void DecoderHost::expect_language_model() const {
  if (!network_.output) throw Error("{}: is a classifier, expected a language model", model());
}

/// The pass with its rotary positions, and the arena empty for it.
DecoderPass DecoderHost::turned(DecoderPass pass) {
  arena_.reset();
  if (all()) all()->refresh();
  if (network_.rotary) pass.turn = network_.rotary->of_length(rows_.longest());
  return pass;
}

void DecoderHost::embed(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows) {
  const WorkTimer timer(*device_, Work::elementwise);
  device_->embed_tokens(network_.words, network_.positions, batch.ids, pass.positions, rows);
  device_->apply_dropout(pass.dropout(network_.embedding_dropout, "dropout/embeddings"), rows);
}

/// Overwrites rows with what goes into the first layer that runs: features, or embeddings.
void DecoderHost::form_input(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows) {
  if (!batch.features.data) return embed(batch, pass, rows);
  upload_features(batch.features, rows, *device_);
}

MatrixView<float> DecoderHost::run_layers(const DecoderPass& pass, MatrixView<float> rows,
                                          std::size_t first) {
  for (std::size_t i = first; i < network_.layers.size(); ++i)
    rows = network_.layers[i].forward(rows, pass, network_.applications[i], arena_);
  return rows;
}

/// What the layers make of the last token of each sequence.
MatrixView<float> DecoderHost::last_rows(const Batch& batch, const DecoderPass& pass) {
  const std::size_t last = network_.layers.size() - 1;
  MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  form_input(batch, pass, rows);
  for (std::size_t i = batch.features.data ? frozen_layers_ : 0; i < last; ++i)
    rows = network_.layers[i].forward(rows, pass, of_all_rows_, arena_);
  return network_.layers[last].forward(rows, pass, of_last_rows_, arena_);
}

void DecoderHost::features(const Batch& batch, MatrixView<float> rows) {
  check_batch(batch, network_.limits, false);
  check_room_for_features(batch, rows, network_.hidden, model());
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> x = arena_.take_matrix(batch.tokens(), network_.hidden);
  embed(batch, pass, x);
  for (std::size_t i = 0; i < frozen_layers_; ++i)
    network_.layers[i].forward(x, pass, network_.applications[i], arena_);
  download_rows(x, rows, *device_);
}

std::vector<float> DecoderHost::downloaded(MatrixView<const float> x) const {
  std::vector<float> values(x.rows * x.columns);
  device_->download(x.data, values.size() * sizeof(float), values.data());
  return values;
}

/// Of the rows behind the layers, by the last norm and either head. Uses the rows up.
std::vector<float> DecoderHost::logits_of(MatrixView<float> rows) {
  normalise(network_.last_norm, rows, rows, *device_);
  if (network_.score) return downloaded(network_.score->forward(rows, arena_));
  const MatrixView<float> logits = arena_.take_matrix(rows.rows, network_.output->vocabulary());
  network_.output->logits(rows, logits);
  return downloaded(logits);
}

/// The checked batch as far as the head reads it.
const Batch& DecoderHost::read_part(const Batch& batch, bool with_labels) {
  check_batch(batch, network_.limits, with_labels);
  check_features(batch, frozen_layers_, network_.hidden, model());
  return cut_.of(batch);
}

std::vector<float> DecoderHost::predict(const Batch& given) {
  const Batch& batch = read_part(given, false);
  const DecoderPass pass = start_pass(batch);
  return logits_of(last_rows(batch, pass));
}

std::vector<std::vector<float>> DecoderHost::hidden_states(const Batch& batch) {
  check_batch(batch, network_.limits, false);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  std::vector<std::vector<float>> states;
  embed(batch, pass, rows);
  states.push_back(downloaded(rows));
  for (const DecoderLayer& layer : network_.layers) {
    layer.forward(rows, pass, of_all_rows_, arena_);
    if (states.size() == network_.layers.size())
      normalise(network_.last_norm, rows, rows, *device_);
    states.push_back(downloaded(rows));
  }
  return states;
}

double DecoderHost::classify(const Batch& batch, MatrixView<const float> rows, bool training,
                             MatrixView<float> gradient) {
  const ArenaScope scope(arena_);
  const MatrixView<float> normed = arena_.take_matrix(rows.rows, rows.columns);
  normalise(network_.last_norm, rows, normed, *device_);
  const MatrixView<float> logits = network_.score->forward(normed, arena_),
                          d_logits = arena_.take_matrix(logits.rows, logits.columns);
  const double loss = classification_loss(
      logits, batch.labels, {settings_.regression, settings_.label_smoothing}, d_logits, *device_);
  if (!training) return loss;
  MatrixView<float> d_normed(nullptr, rows.rows, rows.columns);
  if (gradient.data || network_.last_norm.weight_gradient)
    d_normed = arena_.take_matrix(rows.rows, rows.columns);
  network_.score->backward(normed, d_logits, d_normed);
  if (d_normed.data)
    normalise_backward(network_.last_norm, d_normed, rows, false, gradient, *device_);
  return loss;
}

double DecoderHost::predict_tokens(const Batch& batch, MatrixView<const float> rows, bool training,
                                   MatrixView<float> gradient) {
  rows_.find_labels(batch);
  const bool back = training && (gradient.data || network_.last_norm.weight_gradient);
  const std::size_t labelled = rows_.labelled().size();
  losses_.resize(labelled);
  scales_.assign(back ? labelled : 0, 1.0f / static_cast<float>(labelled));
  double loss = 0;
  if (!batch.options.empty()) {
    // How much a token weighs follows from the scores of all options.
    network_.output->losses(network_.last_norm, rows, rows_.labelled(), rows_.labels(), losses_,
                            arena_);
    score_answers(losses_, rows_.answers(), scores_);
    loss = option_loss({rows_.answers(), batch.options, batch.labels}, scores_, scales_);
    if (!back) return loss;
  }
  network_.output->losses_and_gradients(network_.last_norm, rows, rows_.labelled(), rows_.labels(),
                                        scales_, losses_, gradient, arena_);
  if (!batch.options.empty()) return loss;
  return std::accumulate(losses_.begin(), losses_.end(), 0.0) / static_cast<double>(labelled);
}

double DecoderHost::loss(const Batch& batch, MatrixView<const float> rows, bool training,
                         MatrixView<float> gradient) {
  return network_.score ? classify(batch, rows, training, gradient)
                        : predict_tokens(batch, rows, training, gradient);
}

/// What the layers make of every token, without dropout.
MatrixView<float> DecoderHost::all_rows(const Batch& batch, const DecoderPass& pass) {
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  form_input(batch, pass, rows);
  return run_layers(pass, rows, batch.features.data ? frozen_layers_ : 0);
}

double DecoderHost::mean_loss(const Batch& given) {
  const Batch& batch = read_part(given, true);
  const DecoderPass pass = start_pass(batch);
  if (network_.score) return loss(batch, last_rows(batch, pass), false, {});
  return loss(batch, all_rows(batch, pass), false, {});
}

std::vector<double> DecoderHost::answer_scores(const Batch& batch) {
  expect_language_model();
  read_part(batch, true);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> rows = all_rows(batch, pass);
  rows_.find_labels(batch);
  losses_.resize(rows_.labelled().size());
  network_.output->losses(network_.last_norm, rows, rows_.labelled(), rows_.labels(), losses_,
                          arena_);
  std::vector<double> scores;
  score_answers(losses_, rows_.answers(), scores);
  return scores;
}

double DecoderHost::train_pass(const Batch& given, std::uint64_t seed, std::uint64_t step) {
  const Batch& batch = read_part(given, true);
  DecoderPass pass = start_pass(batch);
  pass.training = true;
  pass.seed = seed;
  pass.step = step;
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  const bool of_last_rows = network_.applications.back().last_rows_only;
  MatrixView<float> of_all(nullptr, rows.rows, rows.columns), gradient = of_all;
  if (layers_train_) gradient = of_all = arena_.take_matrix(rows.rows, rows.columns);
  if (of_last_rows) {
    gradient = {nullptr, batch.sequences(), rows.columns};
    if (layers_train_) gradient = arena_.take_matrix(batch.sequences(), rows.columns);
  }
  form_input(batch, pass, rows);
  const MatrixView<float> y = run_layers(pass, rows, batch.features.data ? frozen_layers_ : 0);
  const double value = loss(batch, y, true, gradient);
  for (std::size_t i = network_.layers.size(); i-- > 0;) {
    DecoderApplication& application = network_.applications[i];
    network_.layers[i].backward(pass, application, gradient, of_all, arena_);
    if (!application.reach.input) break;
    gradient = of_all;
  }
  if (all()) backward_embedding(batch, pass, gradient);
  return value;
}

/// From the gradient of what goes into the first layer, which is used up.
void DecoderHost::backward_embedding(const Batch& batch, const DecoderPass& pass,
                                     MatrixView<float> gradient) {
  const WorkTimer timer(*device_, Work::elementwise);
  device_->apply_dropout(pass.dropout(network_.embedding_dropout, "dropout/embeddings"), gradient);
  words_.assign(batch.ids.begin(), batch.ids.end());
  add_to_table(gradient, words_, table_gradients_.padding, table_gradients_.words, *device_);
  add_to_table(gradient, pass.positions, -1, table_gradients_.positions, *device_);
  all()->collect();
}

std::vector<float> DecoderHost::token_logits(const Batch& batch) {
  expect_language_model();
  check_batch(batch, network_.limits, false);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  embed(batch, pass, rows);
  return logits_of(run_layers(pass, rows, 0));
}

KeyValueCache DecoderHost::make_cache(std::span<const std::size_t> tokens) const {
  expect_language_model();
  for (const std::size_t count : tokens)
    if (count > max_tokens())
      throw Error("{}: {} tokens are asked for, expected at most {}", model(), count, max_tokens());
  return {network_.layers.size(), network_.key_width, tokens, device_};
}

std::vector<float> DecoderHost::next_logits(const Batch& batch, std::span<const std::size_t> cached,
                                            KeyValueCache& cache) {
  expect_language_model();
  if (cache.layers() != network_.layers.size() || cache.width() != network_.key_width)
    throw Error("{}: the cache has {} layers of width {}, expected {} of {}", model(),
                cache.layers(), cache.width(), network_.layers.size(), network_.key_width);
  check_batch(batch, network_.limits, false);
  check_cached(batch, cached, cache, model());
  const std::vector<float> logits =
      logits_of(last_rows(batch, turned(rows_.start(batch, cached, cache))));
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    cache.add_tokens(cached[s], batch.starts[s + 1] - batch.starts[s]);
  return logits;
}

}  // namespace

std::unique_ptr<Host> make_decoder_host(DecoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device) {
  return std::make_unique<DecoderHost>(std::move(network), settings, std::move(device));
}

}  // namespace rankfold
