#include "experiments/models/decoder_host.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <utility>

#include "core/base/error.h"
#include "core/device/arena.h"
#include "core/device/work.h"
#include "experiments/models/blocks/classification_loss.h"
#include "experiments/models/blocks/option_loss.h"
#include "experiments/models/decoder_rows.h"
#include "experiments/models/host_parts.h"
#include "experiments/models/virtual_tokens.h"

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
  void features(const Batch& given, MatrixView<float> rows) override;
  std::vector<float> words(std::span<const std::int32_t> ids) const override {
    return read_words(network_.embedding.words, network_.hidden, network_.limits, ids, *device_);
  }
  std::map<std::string, double> dropouts() const override { return network_.dropouts; }
  const std::vector<std::string>& notes() const override { return network_.notes; }

  void check(const Batch& batch) const override { check_batch(batch, network_.limits, false); }
  std::vector<float> predict(const Batch& given) override;
  double train_pass(const Batch& given, std::uint64_t seed, std::uint64_t step) override;
  std::vector<std::vector<float>> hidden_states(const Batch& given) override;

  double mean_loss(const Batch& given) override;
  std::vector<double> answer_scores(const Batch& given) override;
  std::vector<float> token_logits(const Batch& given) override;
  KeyValueCache make_cache(std::span<const std::size_t> tokens) const override;
  std::vector<float> next_logits(const Batch& given, std::span<const std::size_t> cached,
                                 KeyValueCache& cache) override;

 private:
  const std::string& model() const { return network_.catalogue.model; }
  std::vector<HostLinear*> linears();
  void expect_language_model() const;

  const Batch& read_part(const Batch& batch, bool with_labels);
  const Batch& whole(const Batch& batch) { return virtual_.with_tokens(batch, 0); }
  DecoderPass start_pass(const Batch& batch, const PassKind& kind = {});
  DecoderPass turned(DecoderPass pass);
  void form_input(const Batch& batch, const DecoderPass& pass, MatrixView<float> rows);
  MatrixView<float> run_layer(std::size_t i, MatrixView<float> rows, const DecoderPass& pass,
                              DecoderApplication& application);
  MatrixView<float> run_layers(const DecoderPass& pass, MatrixView<float> rows, std::size_t first);
  MatrixView<float> last_rows(const Batch& batch, const DecoderPass& pass);
  MatrixView<float> all_rows(const Batch& batch, const DecoderPass& pass);
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
  bool layers_train_ = false;
  std::size_t frozen_layers_ = 0;

  Arena arena_;
  DecoderRows rows_;
  PaddingCut cut_;
  std::vector<double> losses_, scores_;  ///< of labelled tokens, of answers
  std::vector<float> scales_;
  VirtualTokens virtual_;
  std::size_t positions_;                                        ///< with those of virtual tokens
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
      cut_(network_.score ? network_.padding : -1),
      virtual_(device),
      positions_(network_.limits.positions) {
  for (DecoderLayer& layer : network_.layers)
    for (LayerNorm* norm : layer.norms()) norms_.train(*norm, settings_.parts);
  norms_.train(network_.last_norm, settings_.parts);
  attach(nullptr);
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
  layers_train_ = virtual_.embedded() > 0;
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
  return tensors;
}

void DecoderHost::zero_gradients() {
  norms_.zero_gradients();
  if (network_.score) network_.score->zero_gradients();
}

void DecoderHost::expect_language_model() const {
  if (!network_.output) throw Error("{}: is a classifier, expected a language model", model());
}

/// The pass with its rotary positions, and the arena empty for it.
DecoderPass DecoderHost::turned(DecoderPass pass) {
  arena_.reset();
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

std::vector<double> DecoderHost::answer_scores(const Batch& given) {
  expect_language_model();
  const Batch& batch = read_part(given, true);
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
  const DecoderPass pass = start_pass(batch, {true, seed, step});
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), network_.hidden);
  const bool of_last_rows = network_.applications.back().last_rows_only;
  MatrixView<float> all(nullptr, rows.rows, rows.columns), gradient = all;
  if (layers_train_) gradient = all = arena_.take_matrix(rows.rows, rows.columns);
  if (of_last_rows) {
    gradient = {nullptr, batch.sequences(), rows.columns};
    if (layers_train_) gradient = arena_.take_matrix(batch.sequences(), rows.columns);
  }
  form_input(batch, pass, rows);
  const MatrixView<float> y = run_layers(pass, rows, batch.features.data ? frozen_layers_ : 0);
  const double value = loss(batch, y, true, gradient);
  for (std::size_t i = network_.layers.size(); i-- > 0;) {
    DecoderApplication& application = network_.applications[i];
    network_.layers[i].backward(pass, application, gradient, all, arena_);
    gradient = all;
    if (!application.reach.input) break;
  }
  if (virtual_.embedded() > 0) network_.embedding.backward(pass, gradient, *device_);
  virtual_.backward();
  return value;
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

}  // namespace

std::unique_ptr<Host> make_decoder_host(DecoderNetwork network, const HostSettings& settings,
                                        std::shared_ptr<const Device> device) {
  return std::make_unique<DecoderHost>(std::move(network), settings, std::move(device));
}

}  // namespace rankfold
