#include "experiments/models/bert.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include <fmt/ranges.h>

#include "core/error.h"
#include "core/random.h"
#include "experiments/models/bert_weights.h"
#include "experiments/models/check_batch.h"
#include "experiments/models/classification_loss.h"
#include "experiments/models/tensor_train_head.h"

namespace rankfold {
namespace {

/// A trained tensor's memory.
struct TrainedStorage {
  std::string name;
  std::vector<std::size_t> shape;
  Buffer<float> value, gradient;
};

class Bert final : public Host {
 public:
  Bert(const std::filesystem::path& folder, const BertConfig& config, const HostSettings& settings,
       std::shared_ptr<const Backend> backend);

  const SiteCatalogue& catalogue() const override { return catalogue_; }
  FrozenLinear<float> frozen(const Site& site) const override;
  void attach(Adapter<float>* adapter) override;
  std::vector<TrainedTensor> trained() override;
  void zero_gradients() override;
  std::vector<DrawnTensor> drawn() const override;
  std::size_t total_parameters() const override;
  std::size_t max_tokens() const override { return config_.positions; }
  std::map<std::string, double> dropouts() const override {
    return {{"hidden", config_.encoder.hidden_dropout},
            {"attention", config_.encoder.attention_dropout},
            {"classifier", config_.classifier_dropout}};
  }
  const std::vector<std::string>& notes() const override { return notes_; }

  std::vector<float> predict(const Batch& batch) override;
  double train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) override;
  std::vector<std::vector<float>> hidden_states(const Batch& batch) override;

 private:
  TrainedStorage& add_trained(const std::string& name, std::vector<std::size_t> shape);
  void train_norm(LayerNorm& norm, const std::string& name);
  void load_pooler();
  void load_classifier();
  Dropout dropout(const char* place, double p, const EncoderPass& pass) const;

  MatrixView<float> embed(const Batch& batch, const EncoderPass& pass);
  MatrixView<float> encode(const Batch& batch, const EncoderPass& pass);
  void pool(MatrixView<const float> first_rows, MatrixView<float> pooled, bool keep);
  void classify(MatrixView<const float> pooled, std::vector<float>& logits) const;
  void backward_head(std::size_t sequences, const EncoderPass& pass);
  void backward_encoder(std::size_t tokens, const EncoderPass& pass);

  BertConfig config_;
  HostSettings settings_;
  std::shared_ptr<const Backend> backend_;
  FrozenWeights weights_;
  SiteCatalogue catalogue_;
  BatchLimits limits_;
  BertEmbeddings embeddings_;
  std::vector<EncoderLayer> layers_;
  FrozenLinear<float> pooler_;
  std::vector<float> new_pooler_;  ///< weight and bias where the checkpoint has none
  std::unique_ptr<Adapter<float>> tensor_train_head_;
  Trace<float> tensor_train_trace_;
  std::vector<TrainedStorage> trained_;  ///< classifier weight, classifier bias, norms
  std::vector<std::string> notes_;
  std::size_t new_elements_ = 0;
  bool encoder_trains_ = false;

  EncoderScratch scratch_;
  Memory embedded_, embedded_normalised_, embedded_deviations_;
  Memory pooled_, classified_, d_pooled_, gradient_, other_gradient_;
  std::vector<float> logits_, d_logits_;
};

Bert::Bert(const std::filesystem::path& folder, const BertConfig& config,
           const HostSettings& settings, std::shared_ptr<const Backend> backend)
    : config_(config),
      settings_(settings),
      backend_(backend),
      weights_(folder, "bert."),
      scratch_(backend),
      embedded_(backend),
      embedded_normalised_(backend),
      embedded_deviations_(backend),
      pooled_(backend),
      classified_(backend),
      d_pooled_(backend),
      gradient_(backend),
      other_gradient_(backend) {
  embeddings_ = read_bert_embeddings(config_, weights_);
  catalogue_.model = folder.string();
  limits_ = {catalogue_.model,  config_.vocabulary, config_.types,
             config_.positions, settings_.labels,   settings_.regression};
  catalogue_.layers = config_.layers;
  catalogue_.adapter_places = {MatrixType::o, MatrixType::down};
  layers_.reserve(config_.layers);
  for (std::size_t layer = 0; layer < config_.layers; ++layer) {
    layers_.push_back(read_bert_layer(config_, layer, weights_, backend, settings_.bfloat16));
    for (const HostLinear& linear : layers_.back().linears())
      catalogue_.sites.push_back(linear.site());
  }
  load_classifier();
  if (settings_.parts.tt_head)
    tensor_train_head_ = make_tensor_train_head("bert.pooler.dense", config_.encoder.hidden,
                                                settings_.parts.tt_rank, settings_.seed, backend);
  else
    load_pooler();
  if (settings_.parts.norms) {
    train_norm(embeddings_.norm, "bert.embeddings.LayerNorm");
    for (std::size_t layer = 0; layer < config_.layers; ++layer) {
      const std::string place = fmt::format("bert.encoder.layer.{}", layer);
      train_norm(layers_[layer].attention_norm(), place + ".attention.output.LayerNorm");
      train_norm(layers_[layer].output_norm(), place + ".output.LayerNorm");
    }
  }
  attach(nullptr);
}

TrainedStorage& Bert::add_trained(const std::string& name, std::vector<std::size_t> shape) {
  const std::size_t size =
      std::accumulate(shape.begin(), shape.end(), std::size_t{1}, std::multiplies<>());
  return trained_.emplace_back(
      TrainedStorage{name, std::move(shape), {backend_, size}, {backend_, size}});
}

void Bert::train_norm(LayerNorm& norm, const std::string& name) {
  TrainedStorage& weight = add_trained(name + ".weight", {config_.encoder.hidden});
  std::copy_n(norm.weight, weight.value.size(), weight.value.data());
  norm.weight = weight.value.data();
  norm.weight_gradient = weight.gradient.data();
  TrainedStorage& shift = add_trained(name + ".bias", {config_.encoder.hidden});
  std::copy_n(norm.shift, shift.value.size(), shift.value.data());
  norm.shift = shift.value.data();
  norm.shift_gradient = shift.gradient.data();
}

void Bert::load_pooler() {
  const std::size_t hidden = config_.encoder.hidden;
  if (weights_.find("bert.pooler.dense.weight")) {
    pooler_.weight = weights_.tensor("bert.pooler.dense.weight", {hidden, hidden});
    pooler_.bias = weights_.tensor("bert.pooler.dense.bias", {hidden});
    return;
  }
  new_pooler_.assign(hidden * hidden + hidden, 0.0f);
  RandomStream(settings_.seed, "initialise/bert.pooler.dense.weight")
      .fill_normal(std::span(new_pooler_).first(hidden * hidden), 0.0, 0.02);
  pooler_ = {new_pooler_.data(), new_pooler_.data() + hidden * hidden};
  new_elements_ += new_pooler_.size();
  notes_.push_back(
      fmt::format("{}: no bert.pooler.dense in the checkpoint; it is frozen at new "
                  "weights N(0, 0.02) of seed {}",
                  catalogue_.model, settings_.seed));
}

void Bert::load_classifier() {
  const std::size_t hidden = config_.encoder.hidden;
  const std::vector<std::size_t> shape = {settings_.labels, hidden};
  add_trained("classifier.weight", shape);
  add_trained("classifier.bias", {settings_.labels});
  Buffer<float>& weight = trained_[0].value;
  Buffer<float>& bias = trained_[1].value;
  const TensorEntry* found = weights_.find("classifier.weight");
  if (found && found->shape == shape) {
    std::copy_n(weights_.tensor("classifier.weight", shape), weight.size(), weight.data());
    std::copy_n(weights_.tensor("classifier.bias", {settings_.labels}), bias.size(), bias.data());
    return;
  }
  RandomStream(settings_.seed, "initialise/classifier.weight")
      .fill_normal(weight.span(), 0.0, 0.02);
  new_elements_ += weight.size() + bias.size();
  if (found)
    notes_.push_back(
        fmt::format("{}: classifier.weight of the checkpoint has shape [{}], expected "
                    "[{}]; the classifier starts anew",
                    catalogue_.model, fmt::join(found->shape, ", "), fmt::join(shape, ", ")));
}

FrozenLinear<float> Bert::frozen(const Site& site) const {
  for (const EncoderLayer& layer : layers_)
    for (const HostLinear& linear : layer.linears()) {
      if (linear.site().name != site.name) continue;
      if (linear.site().out != site.out || linear.site().in != site.in)
        throw Error("{}: site {} is [{}, {}], expected [{}, {}]", catalogue_.model, site.name,
                    site.out, site.in, linear.site().out, linear.site().in);
      return linear.frozen();
    }
  throw Error("{}: no site {}; sites are named {} and so on", catalogue_.model, site.name,
              catalogue_.sites.front().name);
}

std::vector<Host::DrawnTensor> Bert::drawn() const {
  if (new_pooler_.empty()) return {};
  const std::size_t hidden = config_.encoder.hidden;
  const std::span<const float> values(new_pooler_);
  return {{"bert.pooler.dense.weight", {hidden, hidden}, values.first(hidden * hidden)},
          {"bert.pooler.dense.bias", {hidden}, values.last(hidden)}};
}

void Bert::attach(Adapter<float>* adapter) {
  const std::vector<Site> sites = adapter ? adapter->stack().sites : std::vector<Site>();
  std::vector<FrozenLinear<float>> frozen_layers;
  for (const Site& site : sites) frozen_layers.push_back(frozen(site));
  if (adapter) adapter->set_frozen(std::move(frozen_layers));
  encoder_trains_ = settings_.parts.norms;
  for (EncoderLayer& layer : layers_) {
    for (HostLinear& linear : layer.linears()) {
      const auto found = std::ranges::find(sites, linear.site().name, &Site::name);
      const auto index = static_cast<std::size_t>(found - sites.begin());
      linear.attach(found == sites.end() ? nullptr : adapter, index);
    }
    encoder_trains_ = layer.plan(encoder_trains_);
  }
}

std::vector<TrainedTensor> Bert::trained() {
  std::vector<TrainedTensor> tensors;
  for (TrainedStorage& tensor : trained_)
    tensors.push_back({tensor.name, tensor.shape, tensor.value.span(), tensor.gradient.span()});
  if (tensor_train_head_)
    for (Parameter<float>& parameter : tensor_train_head_->parameters())
      tensors.push_back({"bert.pooler.dense." + parameter.factor, parameter.shape,
                         parameter.value.span(), parameter.gradient.span()});
  return tensors;
}

void Bert::zero_gradients() {
  for (TrainedStorage& tensor : trained_) std::ranges::fill(tensor.gradient.span(), 0.0f);
  if (tensor_train_head_) tensor_train_head_->zero_gradients();
}

std::size_t Bert::total_parameters() const {
  return weights_.elements() + new_elements_ +
         (tensor_train_head_ ? tensor_train_head_->parameter_count() : 0);
}

Dropout Bert::dropout(const char* place, double p, const EncoderPass& pass) const {
  return pass.training && p > 0 ? Dropout(p, pass.seed, place, pass.step) : Dropout();
}

MatrixView<float> Bert::embed(const Batch& batch, const EncoderPass& pass) {
  const std::size_t hidden = config_.encoder.hidden;
  const MatrixView<float> sums = embedded_normalised_.matrix(batch.tokens(), hidden);
#pragma omp parallel for schedule(static)
  for (std::size_t s = 0; s < batch.sequences(); ++s)
    for (std::size_t t = batch.starts[s]; t < batch.starts[s + 1]; ++t) {
      float* row = sums.row(t);
      std::copy_n(embeddings_.words + static_cast<std::size_t>(batch.ids[t]) * hidden, hidden, row);
      add_row(hidden, embeddings_.types + static_cast<std::size_t>(batch.type_ids[t]) * hidden,
              row);
      add_row(hidden, embeddings_.positions + (t - batch.starts[s]) * hidden, row);
    }
  const MatrixView<float> embedded = embedded_.matrix(batch.tokens(), hidden);
  add_and_normalise(embeddings_.norm, sums, nullptr, Dropout(), {}, sums.data,
                    embedded_deviations_.reserve(batch.tokens()), embedded);
  apply_dropout(dropout("dropout/bert.embeddings", config_.encoder.hidden_dropout, pass), embedded);
  return embedded;
}

MatrixView<float> Bert::encode(const Batch& batch, const EncoderPass& pass) {
  MatrixView<float> rows = embed(batch, pass);
  for (std::size_t layer = 0; layer < layers_.size(); ++layer)
    rows = layers_[layer].forward(rows, pass, layer + 1 == layers_.size(), scratch_);
  return rows;
}

void Bert::pool(MatrixView<const float> first_rows, MatrixView<float> pooled, bool keep) {
  const std::size_t hidden = config_.encoder.hidden;
  if (tensor_train_head_) {
    std::fill_n(pooled.data, pooled.rows * hidden, 0.0f);
    tensor_train_head_->forward(0, first_rows, pooled, keep ? &tensor_train_trace_ : nullptr);
  } else {
    for (std::size_t s = 0; s < pooled.rows; ++s) std::copy_n(pooler_.bias, hidden, pooled.row(s));
    backend_->gemm(false, true, pooled.rows, hidden, hidden, 1.0f, first_rows.data,
                   first_rows.stride, pooler_.weight, hidden, 1.0f, pooled.data, pooled.stride);
  }
  for (std::size_t i = 0; i < pooled.rows * hidden; ++i) pooled.data[i] = std::tanh(pooled.data[i]);
}

void Bert::classify(MatrixView<const float> pooled, std::vector<float>& logits) const {
  const std::size_t hidden = config_.encoder.hidden, labels = settings_.labels;
  logits.resize(pooled.rows * labels);
  for (std::size_t s = 0; s < pooled.rows; ++s)
    std::ranges::copy(trained_[1].value.span(), logits.data() + s * labels);
  backend_->gemm(false, true, pooled.rows, labels, hidden, 1.0f, pooled.data, pooled.stride,
                 trained_[0].value.data(), hidden, 1.0f, logits.data(), labels);
}

EncoderPass start_pass(const Batch& batch) {
  EncoderPass pass;
  pass.starts = batch.starts;
  pass.firsts.resize(batch.starts.size());
  std::iota(pass.firsts.begin(), pass.firsts.end(), std::size_t{0});
  return pass;
}

std::vector<float> Bert::predict(const Batch& batch) {
  check_batch(batch, limits_, false);
  const MatrixView<float> first_rows = encode(batch, start_pass(batch));
  const MatrixView<float> pooled = pooled_.matrix(first_rows.rows, first_rows.columns);
  pool(first_rows, pooled, false);
  std::vector<float> logits;
  classify(pooled, logits);
  return logits;
}

std::vector<std::vector<float>> Bert::hidden_states(const Batch& batch) {
  check_batch(batch, limits_, false);
  const EncoderPass pass = start_pass(batch);
  MatrixView<float> rows = embed(batch, pass);
  std::vector<std::vector<float>> states;
  const auto keep = [&] { states.emplace_back(rows.data, rows.data + rows.rows * rows.columns); };
  keep();
  for (EncoderLayer& layer : layers_) {
    rows = layer.forward(rows, pass, false, scratch_);
    keep();
  }
  return states;
}

double Bert::train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) {
  check_batch(batch, limits_, true);
  EncoderPass pass = start_pass(batch);
  pass.training = true;
  pass.seed = seed;
  pass.step = step;
  const MatrixView<float> first_rows = encode(batch, pass);
  const std::size_t sequences = first_rows.rows, hidden = first_rows.columns;
  const MatrixView<float> pooled = pooled_.matrix(sequences, hidden);
  pool(first_rows, pooled, true);
  const MatrixView<float> classified = classified_.matrix(sequences, hidden);
  std::copy_n(pooled.data, sequences * hidden, classified.data);
  apply_dropout(dropout("dropout/classifier", config_.classifier_dropout, pass), classified);
  classify(classified, logits_);
  d_logits_.resize(logits_.size());
  const double loss = classification_loss(logits_, batch.labels, settings_.regression, d_logits_);
  // Layers hand the gradient down in place: it starts with room for every token.
  gradient_.reserve(batch.tokens() * hidden);
  backward_head(sequences, pass);
  if (encoder_trains_) backward_encoder(batch.tokens(), pass);
  return loss;
}

void Bert::backward_head(std::size_t sequences, const EncoderPass& pass) {
  const std::size_t hidden = config_.encoder.hidden, labels = settings_.labels;
  backend_->gemm(true, false, labels, hidden, sequences, 1.0f, d_logits_.data(), labels,
                 classified_.data(), hidden, 1.0f, trained_[0].gradient.data(), hidden);
  for (std::size_t i = 0; i < d_logits_.size(); ++i)
    trained_[1].gradient.data()[i % labels] += d_logits_[i];
  if (!encoder_trains_ && !tensor_train_head_) return;

  const MatrixView<float> d_pooled = d_pooled_.matrix(sequences, hidden);
  backend_->gemm(false, false, sequences, hidden, labels, 1.0f, d_logits_.data(), labels,
                 trained_[0].value.data(), hidden, 0.0f, d_pooled.data, hidden);
  apply_dropout(dropout("dropout/classifier", config_.classifier_dropout, pass), d_pooled);
  const float* pooled = pooled_.data();
  for (std::size_t i = 0; i < sequences * hidden; ++i)
    d_pooled.data[i] *= 1.0f - pooled[i] * pooled[i];
  MatrixView<float> d_first(nullptr, sequences, hidden);
  if (encoder_trains_) d_first = gradient_.matrix(sequences, hidden);
  if (tensor_train_head_) {
    if (d_first.data) std::fill_n(d_first.data, sequences * hidden, 0.0f);
    tensor_train_head_->backward(0, layers_.back().output(sequences), d_pooled, tensor_train_trace_,
                                 d_first);
  } else {
    backend_->gemm(false, false, sequences, hidden, hidden, 1.0f, d_pooled.data, hidden,
                   pooler_.weight, hidden, 0.0f, d_first.data, hidden);
  }
}

void Bert::backward_encoder(std::size_t tokens, const EncoderPass& pass) {
  const std::size_t hidden = config_.encoder.hidden;
  for (std::size_t layer = layers_.size(); layer-- > 0;) {
    const MatrixView<float> x = layer == 0 ? MatrixView<float>(embedded_.data(), tokens, hidden)
                                           : layers_[layer - 1].output(tokens);
    layers_[layer].backward(x, pass, layer + 1 == layers_.size(), gradient_, other_gradient_,
                            scratch_);
    if (!layers_[layer].reaches_input()) return;
  }
  const MatrixView<float> d_embedded(gradient_.data(), tokens, hidden);
  apply_dropout(dropout("dropout/bert.embeddings", config_.encoder.hidden_dropout, pass),
                d_embedded);
  add_norm_gradients(embeddings_.norm, d_embedded, embedded_normalised_.data());
}

}  // namespace

std::unique_ptr<Host> load_bert(const std::filesystem::path& folder, const ConfigFile& config,
                                const HostSettings& settings,
                                std::shared_ptr<const Backend> backend) {
  if (settings.labels == 0) throw UsageError("labels: got 0, expected at least 1");
  return std::make_unique<Bert>(folder, read_bert_config(config, settings.dropout), settings,
                                std::move(backend));
}

}  // namespace rankfold
