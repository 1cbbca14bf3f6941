#include "experiments/models/decoder_reader.h"

#include <utility>

#include <fmt/core.h>

#include "core/base/error.h"
#include "experiments/models/decoder_host.h"
#include "experiments/models/linear_reader.h"

namespace rankfold {
namespace {

/// Heads, whichever is not asked for, and buffers that older versions kept.
bool is_known_to_be_unused(std::string_view name) {
  return name.starts_with("lm_head.") || name.starts_with("score.") ||
         name.ends_with(".rotary_emb.inv_freq") || name.ends_with(".attn.bias") ||
         name.ends_with(".attn.masked_bias");
}

class DecoderReader {
 public:
  DecoderReader(const HostSource& source, const DecoderDetails& details,
                const HostSettings& settings, std::shared_ptr<const Device> device)
      : shape_(source.shape),
        details_(details),
        settings_(settings),
        device_(std::move(device)),
        padding_(read_padding(source.config, details.padding)),
        weights_(settings.random_weights
                     ? std::make_unique<FrozenWeights>(settings.seed, device_)
                     : std::make_unique<FrozenWeights>(source.folder, details.modules.prefix,
                                                       device_, settings.replaced)) {}

  DecoderNetwork read();

 private:
  LayerNorm read_norm(const std::string& module, std::size_t width);
  DecoderLayer read_layer(std::size_t layer, LinearReader& linears);
  void read_heads(DecoderNetwork& network);

  const ModelShape& shape_;
  const DecoderDetails& details_;
  const HostSettings& settings_;
  std::shared_ptr<const Device> device_;
  std::int32_t padding_;
  std::unique_ptr<FrozenWeights> weights_;
};

LayerNorm DecoderReader::read_norm(const std::string& module, std::size_t width) {
  LayerNorm norm;
  norm.weight = weights_->frozen(module + ".weight", {width});
  if (details_.centred) norm.shift = weights_->frozen(module + ".bias", {width});
  norm.epsilon = details_.epsilon;
  norm.name = module;
  norm.centred = details_.centred;
  norm.width = width;
  return norm;
}

DecoderLayer DecoderReader::read_layer(std::size_t layer, LinearReader& linears) {
  DecoderSettings settings;
  settings.heads = shape_.heads;
  settings.key_value_heads = shape_.key_value_heads;
  settings.head_dim = shape_.head_size;
  settings.window = shape_.windows.empty() ? 0 : shape_.windows.at(layer);
  settings.activation = details_.activation;
  settings.hidden_dropout = details_.hidden_dropout;
  settings.attention_dropout = details_.attention_dropout;
  DecoderLayer::Parts parts;
  for (HostLinear& linear : linears.read_layer(layer)) {
    const MatrixType matrix = linear.site().matrix;
    const bool fed = matrix >= MatrixType::gate && matrix <= MatrixType::down;
    (fed ? parts.feed_forward : parts.linears).push_back(std::move(linear));
  }
  const std::string place = fmt::format(fmt::runtime(family_of(shape_).modules.layer), layer);
  const DecoderModules& modules = details_.modules;
  parts.attention_norm = read_norm(place + modules.attention_norm, shape_.hidden);
  parts.feed_forward_norm = read_norm(place + modules.feed_forward_norm, shape_.hidden);
  if (shape_.head_norms) {
    parts.query_norm = read_norm(place + modules.query_norm, shape_.head_size);
    parts.query_norm.groups = shape_.heads;
    parts.key_norm = read_norm(place + modules.key_norm, shape_.head_size);
    parts.key_norm.groups = shape_.key_value_heads;
  }
  return {layer, settings, std::move(parts), device_};
}

void DecoderReader::read_heads(DecoderNetwork& network) {
  if (settings_.output == HostOutput::classifier) {
    const std::string module(family_of(shape_).output_layer);
    network.score.emplace(module, shape_.hidden, network.catalogue.model, settings_, *weights_,
                          device_, network.notes);
    return;
  }
  const std::string output = token_output_tensor,
                    words = std::string(details_.modules.words) + ".weight";
  const bool follows = weights_->replaced() && weights_->replaced()->keeps_ties();
  for (const std::string& tensor : {output, words})
    if (shape_.tied_output && !follows && weights_->is_replaced(tensor))
      throw Error(
          "{}: {} stands in the place of the model's, whose tie_word_embeddings is on: with it the "
          "embeddings and the output would be two tensors",
          settings_.replaced->source(), tensor);
  if (shape_.tied_output && !follows && weights_->differ(output, words))
    throw Error("{}: tie_word_embeddings is on, but {} differs from {}", network.catalogue.model,
                output, words);
  const float* weight = shape_.tied_output
                            ? network.words
                            : weights_->tensor(output, {shape_.vocabulary, shape_.hidden});
  network.output.emplace(weight, shape_.vocabulary, shape_.hidden, device_, settings_.bfloat16);
}

DecoderNetwork DecoderReader::read() {
  DecoderNetwork network;
  network.catalogue = catalogue(shape_);
  const bool tells_tokens = settings_.output == HostOutput::language_model;
  network.limits = {network.catalogue.model, shape_.vocabulary,    0,           shape_.positions,
                    settings_.labels,        settings_.regression, tells_tokens};
  network.padding = padding_;
  if (!details_.padding_trains) network.untrained_word = padding_;
  if (settings_.parts.everything) weights_->train();
  network.hidden = shape_.hidden;
  network.key_width = shape_.key_value_heads * shape_.head_size;
  network.dropouts = {{"hidden", details_.hidden_dropout},
                      {"attention", details_.attention_dropout},
                      {"embedding", details_.embedding_dropout}};
  const DecoderModules& modules = details_.modules;
  network.words =
      weights_->tensor(std::string(modules.words) + ".weight", {shape_.vocabulary, shape_.hidden});
  if (modules.positions)
    network.positions = weights_->tensor(std::string(modules.positions) + ".weight",
                                         {shape_.position_rows, shape_.hidden}) +
                        details_.unused_positions * shape_.hidden;
  if (details_.rotary) network.rotary.emplace(*details_.rotary, device_);
  if (details_.rotary && details_.rotary->scaling == RotarySettings::Scaling::dynamic)
    network.limits.positions =
        static_cast<std::size_t>(static_cast<double>(shape_.positions) * details_.rotary->factor);
  network.embedding_dropout = details_.embedding_dropout;
  LinearReader linears(shape_, *weights_, device_, settings_.bfloat16);
  network.layers.reserve(shape_.layers);
  for (std::size_t layer = 0; layer < shape_.layers; ++layer) {
    network.layers.push_back(read_layer(layer, linears));
    const std::string place =
        fmt::format(fmt::runtime("dropout/" + std::string(family_of(shape_).modules.layer)), layer);
    network.applications.emplace_back(place, !tells_tokens && layer + 1 == shape_.layers);
  }
  network.last_norm = read_norm(modules.last_norm, shape_.hidden);
  read_heads(network);
  if (std::string note = weights_->unused_note(network.catalogue.model, is_known_to_be_unused);
      !note.empty())
    network.notes.push_back(std::move(note));
  network.weights = std::move(weights_);
  return network;
}

}  // namespace

std::unique_ptr<Host> load_decoder(const HostSource& source, const DecoderDetails& details,
                                   const HostSettings& settings,
                                   std::shared_ptr<const Device> device) {
  if (settings.parts.tt_head)
    throw Error("{}: has no dense layer before its output layer, which tt-head replaces",
                source.shape.name);
  return make_decoder_host(DecoderReader(source, details, settings, device).read(), settings,
                           device);
}

}  // namespace rankfold
