#include <utility>

#include <fmt/core.h>

#include "experiments/models/encoder_host.h"
#include "experiments/models/encoder_reader.h"
#include "experiments/models/families/family_parts.h"

// BERT: embeddings, post-norm encoder, pooler (dense and tanh on the first token), classifier. The
// classifier trains; the pooler is frozen unless a tensor train replaces it.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {encoder_preset("bert-base-uncased", 12, 768, 30522),
                                    encoder_preset("minilm-l6", 6, 384, 30522)};
  for (ModelShape& shape : shapes) shape.token_types = 2;
  shapes.back().heads = shapes.back().key_value_heads = 12;
  shapes.back().head_size = 32;
  return shapes;
}

/// With the pooler, which its classifier reads.
std::size_t parameters(const ModelShape& shape) {
  return encoder_parameters(shape) + shape.hidden * (shape.hidden + 1);
}

/// Heads of other tasks, a pooler that a trained one replaces, and counters 0, 1, 2, ...
bool is_known_to_be_unused(std::string_view name) {
  if (name.starts_with("bert.")) name.remove_prefix(5);
  return name.starts_with("cls.") || name.starts_with("qa_outputs.") ||
         name.starts_with("classifier.") || name.starts_with("pooler.") ||
         name == "embeddings.position_ids";
}

/// transformers' BertForSequenceClassification. A checkpoint without a pooler or classifier gets
/// new ones: N(0, 0.02) from (seed, "initialise/<tensor>"), bias 0; notes() says so.
std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const ModelShape& shape = source.shape;
  const EncoderDetails details = read_encoder_details(shape, source.config, settings.dropout);
  EncoderNetwork network;
  network.weights = settings.random_weights ? std::make_unique<FrozenWeights>(settings.seed, device)
                                            : std::make_unique<FrozenWeights>(
                                                  source.folder, std::string("bert."), device);
  FrozenWeights& weights = *network.weights;
  network.catalogue = catalogue(shape);
  const std::string& model = network.catalogue.model;
  network.limits = {model,           shape.vocabulary, shape.token_types,
                    shape.positions, settings.labels,  settings.regression};
  network.hidden = shape.hidden;
  network.dropouts = {{"hidden", details.layer.hidden_dropout},
                      {"attention", details.layer.attention_dropout},
                      {"classifier", details.classifier_dropout}};

  const std::string place = "bert.embeddings.";
  const EmbeddingTables tables = {
      .words =
          weights.tensor(place + "word_embeddings.weight", {shape.vocabulary, shape.embedding}),
      .positions = weights.tensor(place + "position_embeddings.weight",
                                  {shape.position_rows, shape.embedding}),
      .types = weights.tensor(place + "token_type_embeddings.weight",
                              {shape.token_types, shape.embedding})};
  network.embedding = {tables, read_norm(place + "LayerNorm", shape, details.epsilon, weights),
                       shape.hidden, details.layer.hidden_dropout, "dropout/bert.embeddings"};
  network.layers.reserve(shape.layers);
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const std::string name = fmt::format("bert.encoder.layer.{}", layer);
    network.layers.push_back(
        read_encoder_layer(shape, details, network.catalogue, layer,
                           {name + ".attention.output.LayerNorm", name + ".output.LayerNorm"},
                           weights, device, settings.bfloat16));
    network.steps.push_back(
        {layer, EncoderApplication("dropout/" + name, layer + 1 == shape.layers)});
  }
  network.head = std::make_unique<ClassificationHead>(
      HeadModules{model, "bert.pooler.dense", "classifier"}, shape.hidden,
      details.classifier_dropout, settings, weights, device, network.notes);
  note_unused(weights, is_known_to_be_unused, model, network.notes);
  return make_encoder_host(std::move(network), settings, std::move(device));
}

}  // namespace

const Family& bert_family() {
  static const Family family = {
      .name = "bert",
      .architecture = "Bert",
      .keys =
          joined({text_encoder_keys(), keys_of(ForeignKey::Meaning::read, {"classifier_dropout"}),
                  // Of Google's own program, which no release of transformers read.
                  keys_of(ForeignKey::Meaning::changes_nothing,
                          {"directionality", "pooler_fc_size", "pooler_num_attention_heads",
                           "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type"})}),
      .modules = encoder_modules("bert.encoder.layer.{}.", "attention.self.query",
                                 "attention.self.key", "attention.self.value"),
      .adapter_places = {MatrixType::o, MatrixType::down},
      .presets = presets,
      .read = read_text_encoder,
      .norm_parameters = encoder_norm_parameters,
      .parameters = parameters,
      .load = load};
  return family;
}

}  // namespace rankfold
