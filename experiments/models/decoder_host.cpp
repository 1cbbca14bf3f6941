#include "experiments/models/decoder_host.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/device/work.h"
#include "experiments/models/decoder_host_class.h"

namespace rankfold {

DecoderHost::DecoderHost(DecoderNetwork network, const HostSettings& settings,
                         std::shared_ptr<const Device> device)
    : network_(std::move(network)),
      settings_(settings),
      device_(device),
      linears_(linears()),
      norms_(device),
      arena_(device),
      cut_(network_.score ? network_.padding : -1),
      virtual_(device),
      positions_(network_.limits.positions) {
  for (DecoderLayer& layer : network_.layers)
    for (LayerNorm* norm : layer.norms()) norms_.train(*norm, settings_.parts, all());
  norms_.train(network_.last_norm, settings_.parts, all());
  if (all()) train_network(*all());
  attach(nullptr);
}

void DecoderHost::train_network(TrainedWeights& weights) {
  train_linears(linears_, weights);
  TokenEmbedding& embedding = network_.embedding;
  embedding.gradients = {weights.gradient(embedding.words), weights.gradient(embedding.positions),
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
  virtual_.attach(adapter, network_.catalogue, positions_);
  network_.limits.positions = positions_ - virtual_.count();
  attach_linears(linears_, adapter, network_.catalogue);
  layers_train_ = all() || virtual_.embedded() > 0;
  frozen_layers_ = 0;
  for (std::size_t i = 0; i < network_.layers.size(); ++i) {
    DecoderApplication& application = network_.applications[i];
    application.traces = {};
    application.reach = network_.layers[i].reach(layers_train_, virtual_.has_keys(i));
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
  virtual_.form(pass.training, arena_);
  pass.virtual_tokens = virtual_.embeddings();
  return pass;
}

DecoderPass DecoderHost::start_pass(const Batch& batch, const PassKind& kind) {
  const VirtualKeys keys = virtual_.place_keys(batch.starts, batch.prefixes);
  DecoderPass pass = rows_.start(batch, keys.count);
  pass.virtual_keys = keys;
  static_cast<PassKind&>(pass) = kind;
  return turned(pass);
}

/// Overwrites rows with what goes into the first layer that runs: features, or embeddings.
void DecoderHost::form_input(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows) {
  if (!batch.features.data) return network_.embedding.forward(batch, pass, rows, arena_);
  upload_features(batch.features, rows, *device_);
}

MatrixView<float> DecoderHost::run_layer(std::size_t i, MatrixView<float> rows,
                                         const DecoderPass& pass, DecoderApplication& application) {
  application.learned = pass.virtual_keys.count > 0 ? virtual_.keys(i) : VirtualRows();
  return network_.layers[i].forward(rows, pass, application, arena_);
}

MatrixView<float> DecoderHost::run_layers(const DecoderPass& pass, MatrixView<float> rows,
                                          std::size_t first) {
  for (std::size_t i = first; i < network_.layers.size(); ++i)
    rows = run_layer(i, rows, pass, network_.applications[i]);
  return rows;
}

/// What the layers make of the last token of each sequence.
MatrixView<float> DecoderHost::last_rows(const Batch& batch, const DecoderPass& pass) {
  const std::size_t last = network_.layers.size() - 1;
  MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  form_input(batch, pass, rows);
  for (std::size_t i = batch.features.data ? frozen_layers_ : 0; i < last; ++i)
    rows = run_layer(i, rows, pass, of_all_rows_);
  return run_layer(last, rows, pass, of_last_rows_);
}

void DecoderHost::features(const Batch& given, MatrixView<float> rows) {
  check_batch(given, network_.limits, false);
  check_room_for_features(given, rows, network_.hidden, model());
  const Batch& batch = whole(given);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> x = arena_.take_matrix(batch.tokens(), network_.hidden);
  network_.embedding.forward(batch, pass, x, arena_);
  for (std::size_t i = 0; i < frozen_layers_; ++i) run_layer(i, x, pass, network_.applications[i]);
  download_rows(virtual_.own_rows_of(x, arena_), rows, *device_);
}

/// Of the rows behind the layers, by the last norm and either head. Uses the rows up.
std::vector<float> DecoderHost::logits_of(MatrixView<float> rows) {
  normalise(network_.last_norm, rows, rows, *device_);
  if (network_.score) return downloaded(network_.score->forward(rows, arena_), *device_);
  const MatrixView<float> logits = arena_.take_matrix(rows.rows, network_.output->vocabulary());
  network_.output->logits(rows, logits);
  return downloaded(logits, *device_);
}

/// The checked batch as far as the head reads it, with its virtual tokens.
const Batch& DecoderHost::read_part(const Batch& batch, bool with_labels) {
  check_batch(batch, network_.limits, with_labels);
  check_features(batch, frozen_layers_, network_.hidden, model());
  return whole(cut_.of(batch));
}

std::vector<float> DecoderHost::predict(const Batch& given) {
  const Batch& batch = read_part(given, false);
  const DecoderPass pass = start_pass(batch);
  return logits_of(last_rows(batch, pass));
}

std::vector<std::vector<float>> DecoderHost::hidden_states(const Batch& given) {
  check_batch(given, network_.limits, false);
  const Batch& batch = whole(given);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  std::vector<std::vector<float>> states;
  network_.embedding.forward(batch, pass, rows, arena_);
  states.push_back(downloaded(virtual_.own_rows_of(rows, arena_), *device_));
  for (std::size_t i = 0; i < network_.layers.size(); ++i) {
    run_layer(i, rows, pass, of_all_rows_);
    if (states.size() == network_.layers.size())
      normalise(network_.last_norm, rows, rows, *device_);
    states.push_back(downloaded(virtual_.own_rows_of(rows, arena_), *device_));
  }
  return states;
}

std::vector<float> DecoderHost::token_logits(const Batch& given) {
  expect_language_model();
  check_batch(given, network_.limits, false);
  const Batch& batch = whole(given);
  const DecoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  network_.embedding.forward(batch, pass, rows, arena_);
  return logits_of(virtual_.own_rows_of(run_layers(pass, rows, 0), arena_));
}

KeyValueCache DecoderHost::make_cache(std::span<const std::size_t> tokens) const {
  expect_language_model();
  for (const std::size_t count : tokens)
    if (count > max_tokens())
      throw Error("{}: {} tokens are asked for, expected at most {}", model(), count, max_tokens());
  std::vector<std::size_t> rooms(tokens.begin(), tokens.end());
  for (std::size_t& room : rooms) room += virtual_.count();
  return {network_.layers.size(), network_.key_width, rooms, device_};
}

std::vector<float> DecoderHost::next_logits(const Batch& given, std::span<const std::size_t> cached,
                                            KeyValueCache& cache) {
  expect_language_model();
  if (cache.layers() != network_.layers.size() || cache.width() != network_.key_width)
    throw Error("{}: the cache has {} layers of width {}, expected {} of {}", model(),
                cache.layers(), cache.width(), network_.layers.size(), network_.key_width);
  check_batch(given, network_.limits, false);
  check_cached(given, cached, cache, virtual_.count(), model());
  const Batch& batch = virtual_.with_tokens(given, 0, cached, &cache);
  virtual_.begin(cached, cache, model());
  const DecoderPass pass = turned(rows_.start(batch, cached, cache));
  virtual_.fill(cache);
  const std::vector<float> logits = logits_of(last_rows(batch, pass));
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    cache.add_tokens(cached[s], batch.starts[s + 1] - batch.starts[s]);
  return logits;
}

std::unique_ptr<Host> make_decoder_host(DecoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device) {
  return std::make_unique<DecoderHost>(std::move(network), settings, std::move(device));
}

}  // namespace rankfold
