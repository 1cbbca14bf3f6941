#include "experiments/models/families/bert.h"

#include <algorithm>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/device/arena.h"
#include "core/device/work.h"
#include "experiments/models/blocks/classification_head.h"
#include "experiments/models/blocks/classification_loss.h"
#include "experiments/models/blocks/embedding_layer.h"
#include "experiments/models/blocks/trained_storage.h"
#include "experiments/models/check_batch.h"
#include "experiments/models/families/bert_weights.h"

namespace rankfold {
namespace {

void copy_rows(MatrixView<const float> from, MatrixView<float> to, const Device& device) {
  const WorkTimer timer(device, Work::elementwise);
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < to.rows; ++i) std::copy_n(from.row(i), to.columns, to.row(i));
}

/// Heads of other tasks, a pooler that a trained one replaces, and counters 0, 1, 2, ...
bool is_known_to_be_unused(std::string_view name) {
  if (name.starts_with("bert.")) name.remove_prefix(5);
  return name.starts_with("cls.") || name.starts_with("qa_outputs.") ||
         name.starts_with("classifier.") || name.starts_with("pooler.") ||
         name == "embeddings.position_ids";
}

void note_unused(std::vector<std::string> names, const std::string& model,
                 std::vector<std::string>& notes) {
  std::erase_if(names, is_known_to_be_unused);
  if (names.empty()) return;
  notes.push_back(
      fmt::format("{}: the checkpoint has {} that no part of the model reads: {}", model,
                  names.size() == 1 ? "a tensor" : fmt::format("{} tensors", names.size()),
                  printable(join(names, ", "), 300)));
}

class Bert final : public Host {
 public:
  Bert(const std::filesystem::path& folder, const BertConfig& config, const HostSettings& settings,
       std::shared_ptr<const Device> device);

  const SiteCatalogue& catalogue() const override { return catalogue_; }
  FrozenLinear<float> frozen(const Site& site) const override;
  void attach(Adapter<float>* adapter) override;
  std::vector<TrainedTensor> trained() override;
  void zero_gradients() override;
  std::vector<DrawnTensor> drawn() const override { return head_->drawn(); }
  std::size_t total_parameters() const override {
    return weights_.elements() + head_->new_elements();
  }
  std::size_t max_tokens() const override { return config_.positions; }
  std::size_t hidden_size() const override { return config_.encoder.hidden; }
  std::size_t frozen_layers() const override { return frozen_layers_; }
  void features(const Batch& batch, MatrixView<float> rows) override;
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
  void train_norm(LayerNorm& norm, const std::string& name);
  void train_norms();

  void check_features(const Batch& batch) const;
  void form_input(std::size_t layer, const Batch& batch, const EncoderPass& pass,
                  MatrixView<float> x);
  EncoderPass start_pass(const Batch& batch);
  MatrixView<float> encode(const Batch& batch, const EncoderPass& pass, MatrixView<float> rows);
  void backward_encoder(const Batch& batch, const EncoderPass& pass, MatrixView<float> d_first,
                        MatrixView<float> rows);

  BertConfig config_;
  HostSettings settings_;
  std::shared_ptr<const Device> device_;
  FrozenWeights weights_;
  SiteCatalogue catalogue_;
  BatchLimits limits_;
  EmbeddingLayer embedding_;
  std::vector<EncoderLayer> layers_;
  std::unique_ptr<ClassificationHead> head_;
  std::vector<TrainedStorage> norms_;
  std::vector<std::string> notes_;
  bool encoder_trains_ = false;
  std::size_t frozen_layers_ = 0;
  std::vector<EncoderApplication> applications_;  ///< one a layer
  ClassificationHead::Kept kept_by_head_;

  Arena arena_;
  std::vector<std::size_t> counting_;  ///< 0, 1, 2, ...
};

Bert::Bert(const std::filesystem::path& folder, const BertConfig& config,
           const HostSettings& settings, std::shared_ptr<const Device> device)
    : config_(config),
      settings_(settings),
      device_(device),
      weights_(settings.random_weights ? FrozenWeights(settings.seed)
                                       : FrozenWeights(folder, "bert.")),
      arena_(device) {
  embedding_ = EmbeddingLayer(read_bert_embeddings(config_, weights_), config_.encoder.hidden,
                              config_.encoder.hidden_dropout);
  catalogue_.model = folder.string();
  limits_ = {catalogue_.model,  config_.vocabulary, config_.types,
             config_.positions, settings_.labels,   settings_.regression};
  catalogue_.layers = config_.layers;
  catalogue_.adapter_places = {MatrixType::o, MatrixType::down};
  layers_.reserve(config_.layers);
  for (std::size_t layer = 0; layer < config_.layers; ++layer) {
    layers_.push_back(read_bert_layer(config_, layer, weights_, device, settings_.bfloat16));
    applications_.emplace_back(fmt::format("dropout/bert.encoder.layer.{}", layer),
                               layer + 1 == config_.layers);
    for (const HostLinear& linear : layers_.back().linears())
      catalogue_.sites.push_back(linear.site());
  }
  head_ = std::make_unique<ClassificationHead>(catalogue_.model, config_.encoder.hidden,
                                               config_.classifier_dropout, settings_, weights_,
                                               device, notes_);
  note_unused(weights_.unused(), catalogue_.model, notes_);
  if (settings_.parts.norms) train_norms();
  attach(nullptr);
}

void Bert::train_norm(LayerNorm& norm, const std::string& name) {
  const auto start = [&](const char* tensor, const float* values) -> TrainedStorage& {
    TrainedStorage& storage = norms_.emplace_back(
        name + tensor, std::vector<std::size_t>{config_.encoder.hidden}, device_);
    std::copy_n(values, storage.value.size(), storage.value.data());
    return storage;
  };
  TrainedStorage& weight = start(".weight", norm.weight);
  norm.weight = weight.value.data();
  norm.weight_gradient = weight.gradient.data();
  TrainedStorage& shift = start(".bias", norm.shift);
  norm.shift = shift.value.data();
  norm.shift_gradient = shift.gradient.data();
}

void Bert::train_norms() {
  train_norm(embedding_.norm(), "bert.embeddings.LayerNorm");
  for (std::size_t layer = 0; layer < config_.layers; ++layer) {
    const std::string place = fmt::format("bert.encoder.layer.{}", layer);
    train_norm(layers_[layer].attention_norm(), place + ".attention.output.LayerNorm");
    train_norm(layers_[layer].output_norm(), place + ".output.LayerNorm");
  }
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

void Bert::attach(Adapter<float>* adapter) {
  const std::vector<Site> sites = adapter ? adapter->stack().sites : std::vector<Site>();
  std::vector<FrozenLinear<float>> frozen_layers;
  for (const Site& site : sites) frozen_layers.push_back(frozen(site));
  if (adapter) adapter->set_frozen(std::move(frozen_layers));
  encoder_trains_ = settings_.parts.norms;
  frozen_layers_ = 0;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    for (HostLinear& linear : layers_[layer].linears()) {
      const auto found = std::ranges::find(sites, linear.site().name, &Site::name);
      const auto index = static_cast<std::size_t>(found - sites.begin());
      linear.attach(found == sites.end() ? nullptr : adapter, index);
    }
    applications_[layer].traces = {};
    applications_[layer].reach = layers_[layer].reach(encoder_trains_);
    encoder_trains_ = applications_[layer].reach.any;
    if (!encoder_trains_) ++frozen_layers_;
  }
  frozen_layers_ = std::min(frozen_layers_, layers_.size() - 1);
  for (std::size_t layer = 0; layer + 1 < layers_.size(); ++layer)
    applications_[layer].keeps_output = layers_[layer + 1].reads_input();
}

std::vector<TrainedTensor> Bert::trained() {
  std::vector<TrainedTensor> tensors = head_->trained_classifier();
  for (TrainedStorage& norm : norms_) tensors.push_back(norm.tensor());
  for (TrainedTensor& tensor : head_->trained_pooler()) tensors.push_back(std::move(tensor));
  return tensors;
}

void Bert::zero_gradients() {
  for (TrainedStorage& norm : norms_) std::ranges::fill(norm.gradient.span(), 0.0f);
  head_->zero_gradients();
}

EncoderPass Bert::start_pass(const Batch& batch) {
  while (counting_.size() < batch.starts.size()) counting_.push_back(counting_.size());
  arena_.reset();
  EncoderPass pass;
  pass.starts = batch.starts;
  pass.firsts = std::span(counting_).first(batch.starts.size());
  return pass;
}

MatrixView<float> Bert::encode(const Batch& batch, const EncoderPass& pass,
                               MatrixView<float> rows) {
  const std::size_t first = batch.features.data ? frozen_layers_ : 0;
  form_input(first, batch, pass, rows);
  for (std::size_t layer = first; layer < layers_.size(); ++layer)
    rows = layers_[layer].forward(rows, pass, applications_[layer], arena_);
  return rows;
}

void Bert::check_features(const Batch& batch) const {
  const MatrixView<const float>& rows = batch.features;
  if (!rows.data) return;
  if (frozen_layers_ == 0)
    throw Error(
        "{}: the batch has features, expected none: no layer is frozen below all that trains",
        catalogue_.model);
  if (rows.rows != batch.tokens() || rows.columns != config_.encoder.hidden)
    throw Error("{}: the batch has features [{}, {}], expected [{}, {}]", catalogue_.model,
                rows.rows, rows.columns, batch.tokens(), config_.encoder.hidden);
}

void Bert::features(const Batch& batch, MatrixView<float> rows) {
  check_batch(batch, limits_, false);
  if (rows.rows != batch.tokens() || rows.columns != config_.encoder.hidden)
    throw Error("{}: the room for features is [{}, {}], expected [{}, {}]", catalogue_.model,
                rows.rows, rows.columns, batch.tokens(), config_.encoder.hidden);
  const EncoderPass pass = start_pass(batch);
  embedding_.forward(batch, pass, rows, arena_);
  for (std::size_t layer = 0; layer < frozen_layers_; ++layer)
    layers_[layer].forward(rows, pass, applications_[layer], arena_);
}

std::vector<float> Bert::predict(const Batch& batch) {
  check_batch(batch, limits_, false);
  check_features(batch);
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), config_.encoder.hidden);
  const MatrixView<float> logits =
      head_->forward(encode(batch, pass, rows), pass, kept_by_head_, arena_);
  return {logits.data, logits.data + logits.rows * logits.columns};
}

std::vector<std::vector<float>> Bert::hidden_states(const Batch& batch) {
  check_batch(batch, limits_, false);
  const EncoderPass pass = start_pass(batch);
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), config_.encoder.hidden);
  std::vector<std::vector<float>> states;
  const auto keep = [&] { states.emplace_back(rows.data, rows.data + rows.rows * rows.columns); };
  embedding_.forward(batch, pass, rows, arena_);
  keep();
  for (const EncoderLayer& layer : layers_) {
    EncoderApplication of_all_rows("");
    layer.forward(rows, pass, of_all_rows, arena_);
    keep();
  }
  return states;
}

double Bert::train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) {
  check_batch(batch, limits_, true);
  check_features(batch);
  EncoderPass pass = start_pass(batch);
  pass.training = true;
  pass.seed = seed;
  pass.step = step;
  const std::size_t hidden = config_.encoder.hidden;
  const MatrixView<float> rows = arena_.take_matrix(batch.tokens(), hidden);
  MatrixView<float> d_first(nullptr, batch.sequences(), hidden);
  if (encoder_trains_) d_first = arena_.take_matrix(batch.sequences(), hidden);
  const MatrixView<float> first_rows = encode(batch, pass, rows);

  double loss = 0;
  {
    const ArenaScope scope(arena_);
    const MatrixView<float> logits = head_->forward(first_rows, pass, kept_by_head_, arena_);
    const MatrixView<float> d_logits = arena_.take_matrix(logits.rows, logits.columns);
    const std::size_t count = logits.rows * logits.columns;
    loss = classification_loss({logits.data, count}, batch.labels, settings_.regression,
                               {d_logits.data, count});
    head_->backward(first_rows, d_logits, pass, kept_by_head_, d_first, arena_);
  }
  if (encoder_trains_) backward_encoder(batch, pass, d_first, rows);
  return loss;
}

/// Overwrites x with what goes into a layer: features, embeddings, or what the layer below handed
/// on in this pass.
void Bert::form_input(std::size_t layer, const Batch& batch, const EncoderPass& pass,
                      MatrixView<float> x) {
  if (batch.features.data && layer == frozen_layers_) return copy_rows(batch.features, x, *device_);
  if (layer == 0) return embedding_.forward(batch, pass, x, arena_);
  layers_[layer - 1].form_output(applications_[layer - 1], x, *device_);
}

/// From the gradient of the first rows; `rows` has room for every token's and passes it down.
void Bert::backward_encoder(const Batch& batch, const EncoderPass& pass, MatrixView<float> d_first,
                            MatrixView<float> rows) {
  MatrixView<float> gradient = d_first;
  for (std::size_t layer = layers_.size(); layer-- > 0;) {
    EncoderApplication& application = applications_[layer];
    const MatrixView<float> x =
        layers_[layer].backward_attention(pass, application, gradient, arena_);
    if (x.data) form_input(layer, batch, pass, x);
    layers_[layer].backward_projections(pass, application, x, gradient, rows, arena_);
    if (!application.reach.input) return;
    gradient = rows;
  }
  embedding_.backward(batch, pass, gradient, arena_);
}

}  // namespace

std::unique_ptr<Host> load_bert(const std::filesystem::path& folder, const ConfigFile& config,
                                const HostSettings& settings,
                                std::shared_ptr<const Device> device) {
  if (settings.labels == 0) throw UsageError("labels: got 0, expected at least 1");
  return std::make_unique<Bert>(folder, read_bert_config(config, settings.dropout), settings,
                                std::move(device));
}

}  // namespace rankfold
