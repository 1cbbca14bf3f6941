#include "experiments/models/encoder_reader.h"

#include <algorithm>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

std::string config_name(const HostSource& source) {
  return printable(source.config ? source.config->path().string() : source.shape.name);
}

void require_key(const HostSource& source, const char* key, std::size_t value, std::size_t expected,
                 const char* reason) {
  if (value != expected)
    throw Error("{}: {} is {}, expected {}: {}", config_name(source), key, value, expected, reason);
}

EncoderDetails read_encoder_details(const ModelShape& shape,
                                    const std::optional<ConfigFile>& config, double dropout,
                                    const EncoderDefaults& defaults) {
  EncoderDetails details;
  details.layer.hidden = shape.hidden;
  details.layer.heads = shape.heads;
  details.layer.intermediate = shape.intermediate;
  details.layer.activation = read_activation(config, "hidden_act", defaults.activation);
  details.epsilon = read_epsilon(config, "layer_norm_eps", defaults.epsilon);
  details.hidden_dropout =
      read_dropout(config, dropout, "hidden_dropout_prob", defaults.hidden_dropout);
  details.layer.attention_output_dropout = details.layer.output_dropout = details.hidden_dropout;
  details.padding = read_padding(config, defaults.padding);
  details.layer.attention_dropout =
      read_dropout(config, dropout, "attention_probs_dropout_prob", defaults.attention_dropout);
  return details;
}

EncoderNetwork start_network(const HostSource& source, const HostSettings& settings,
                             const std::string& prefix, const EncoderDetails& details,
                             const std::shared_ptr<const Device>& device) {
  const ModelShape& shape = source.shape;
  EncoderNetwork network;
  network.weights = settings.random_weights ? std::make_unique<FrozenWeights>(settings.seed, device)
                                            : std::make_unique<FrozenWeights>(
                                                  source.folder, prefix, device, settings.replaced);
  network.catalogue = catalogue(shape);
  network.limits = {network.catalogue.model, shape.vocabulary, shape.token_types,
                    shape.positions,         settings.labels,  settings.regression};
  network.hidden = shape.hidden;
  network.padding = details.padding;
  if (settings.parts.everything) network.weights->train();
  network.dropouts = {{"hidden", details.hidden_dropout},
                      {"attention", details.layer.attention_dropout}};
  return network;
}

void read_embedding(EncoderNetwork& network, const std::string& place, const ModelShape& shape,
                    const EncoderDetails& details, std::int32_t padding,
                    std::optional<HostLinear> map) {
  FrozenWeights& weights = *network.weights;
  const auto table = [&](const char* module, std::size_t rows) {
    return rows == 0 ? nullptr
                     : weights.tensor(place + module + ".weight", {rows, shape.embedding});
  };
  const EmbeddingTables tables = {.words = table(".word_embeddings", shape.vocabulary),
                                  .positions = table(".position_embeddings", shape.position_rows),
                                  .types = table(".token_type_embeddings", shape.token_types),
                                  .padding = padding};
  network.embedding = {tables,
                       read_norm(place + ".LayerNorm", shape.embedding, details.epsilon, weights),
                       shape.embedding,
                       details.hidden_dropout,
                       "dropout/" + place,
                       std::move(map)};
}

void read_head(EncoderNetwork& network, HeadDescription description, const HostSettings& settings,
               const std::shared_ptr<const Device>& device) {
  description.model = network.catalogue.model;
  network.dropouts["classifier"] = description.dropout;
  const auto pooler = std::ranges::find(network.catalogue.sites, MatrixType::pooler, &Site::matrix);
  if (pooler != network.catalogue.sites.end()) description.site = *pooler;
  network.head = std::make_unique<ClassificationHead>(
      std::move(description), network.hidden, settings, *network.weights, device, network.notes);
}

LayerNorm read_norm(const std::string& name, std::size_t width, float epsilon,
                    FrozenWeights& weights) {
  LayerNorm norm;
  norm.weight = weights.frozen(name + ".weight", {width});
  norm.shift = weights.frozen(name + ".bias", {width});
  norm.epsilon = epsilon;
  norm.name = name;
  norm.width = width;
  return norm;
}

EncoderLayer read_encoder_layer(const EncoderDetails& details, LinearReader& linears,
                                std::size_t layer, const EncoderNorms& norms,
                                FrozenWeights& weights, std::shared_ptr<const Device> device,
                                const RelativeReader& relative) {
  EncoderLayer::Parts parts;
  parts.linears = linears.read_layer(layer);
  parts.attention_norm = read_norm(norms.attention, details.layer.hidden, details.epsilon, weights);
  parts.output_norm = read_norm(norms.output, details.layer.hidden, details.epsilon, weights);
  if (relative) parts.relative = relative(linears, layer);
  return EncoderLayer(details.layer, std::move(parts), std::move(device));
}

void read_layers(EncoderNetwork& network, const std::string& place, const EncoderDetails& details,
                 const ModelShape& shape, const std::shared_ptr<const Device>& device,
                 bool bfloat16, const RelativeReader& relative) {
  LinearReader linears(shape, *network.weights, device, bfloat16);
  network.layers.reserve(shape.layers);
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const std::string name = fmt::format("{}.{}", place, layer);
    network.layers.push_back(read_encoder_layer(
        details, linears, layer, {name + ".attention.output.LayerNorm", name + ".output.LayerNorm"},
        *network.weights, device, relative));
    network.steps.push_back(
        {layer, EncoderApplication("dropout/" + name, layer + 1 == shape.layers)});
  }
}

void note_unused(EncoderNetwork& network, std::string_view prefix,
                 std::initializer_list<std::string_view> expected) {
  std::string note =
      network.weights->unused_note(network.catalogue.model, [&](std::string_view name) {
        if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
        return std::ranges::any_of(
            expected, [&](std::string_view beginning) { return name.starts_with(beginning); });
      });
  if (!note.empty()) network.notes.push_back(std::move(note));
}

}  // namespace rankfold
