#include <utility>

#include <fmt/core.h>

#include "experiments/models/encoder_reader.h"
#include "experiments/models/families/family_parts.h"

// ALBERT: one layer's weights for all layers (of a group), and a narrow token embedding.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  ModelShape shape = encoder_preset("albert-base-v2", 12, 768, 30000);
  shape.distinct_layers = 1;
  shape.embedding = 128;
  shape.token_types = 2;
  return {shape};
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_text_encoder(config);
  shape.distinct_layers = read_size(config, "num_hidden_groups", largest_size, 1);
  shape.embedding = read_size(config, "embedding_size");
  require_divisor(config, "num_hidden_groups", shape.distinct_layers, "num_hidden_layers",
                  shape.layers);
  return shape;
}

std::size_t own_norm_parameters(const ModelShape& shape) {
  return 2 * shape.embedding + 2 * shape.distinct_layers * 2 * shape.hidden;
}

/// With the map from the embedding to the hidden states, and the pooler.
std::size_t parameters(const ModelShape& shape) {
  return table_parameters(shape) + shape.distinct_layers * encoder_layer_parameters(shape) +
         own_norm_parameters(shape) + (shape.embedding + 1) * shape.hidden +
         shape.hidden * (shape.hidden + 1);
}

constexpr const char* layer_place = "albert.encoder.albert_layer_groups.0.albert_layers.0";

/// transformers' AlbertForSequenceClassification: its one layer has no dropout behind the
/// feed-forward part.
std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const ModelShape& shape = source.shape;
  require_key(source, "num_hidden_groups", shape.distinct_layers, 1, "no more are computed");
  EncoderDetails details = read_encoder_details(
      shape, source.config, settings.dropout,
      {.hidden_dropout = 0, .attention_dropout = 0, .activation = HiddenActivation::gelu_tanh});
  details.layer.output_dropout = 0;
  EncoderNetwork network = start_network(source, settings, "albert.", details, device);
  FrozenWeights& weights = *network.weights;
  LinearReader linears(shape, weights, device, settings.bfloat16);
  read_embedding(network, "albert.embeddings", shape, details, -1,
                 linears.read_module(MatrixType::embedding_map, 0));
  const std::string name = layer_place;
  network.layers.push_back(read_encoder_layer(
      details, linears, 0, {name + ".attention.LayerNorm", name + ".full_layer_layer_norm"},
      weights, device));
  for (std::size_t step = 0; step < shape.layers; ++step)
    network.steps.push_back({0, EncoderApplication(fmt::format("dropout/{}.{}", name, step),
                                                   step + 1 == shape.layers)});
  HeadDescription head{.dense = "albert.pooler", .output = "classifier"};
  head.dropout = read_dropout(source.config, settings.dropout, "classifier_dropout_prob", 0.1);
  read_head(network, head, settings, device);
  // Heads of other tasks, a pooler that a trained one replaces, and counters 0, 1, 2, ...
  note_unused(network, "albert.",
              {"predictions.", "sop_classifier.", "qa_outputs.", "classifier.", "pooler.",
               "embeddings.position_ids"});
  return make_encoder_host(std::move(network), settings, std::move(device));
}

}  // namespace

const Family& albert_family() {
  static const Family family = {
      .name = "albert",
      .architecture = "Albert",
      .keys = joined(
          {text_encoder_keys(),
           keys_of(ForeignKey::Meaning::read,
                   {"embedding_size", "num_hidden_groups", "classifier_dropout_prob"}),
           {{"inner_group_num", ForeignKey::Meaning::off_only, {"1"}}},
           keys_of(ForeignKey::Meaning::changes_nothing,
                   {"net_structure_type", "gap_size", "num_memory_blocks", "down_scale_factor"})}),
      .modules = {.layer = "albert.encoder.albert_layer_groups.{}.albert_layers.0.",
                  .q = "attention.query",
                  .k = "attention.key",
                  .v = "attention.value",
                  .o = "attention.dense",
                  .up = "ffn",
                  .down = "ffn_output",
                  .embedding_map = "albert.encoder.embedding_hidden_mapping_in",
                  .pooler = "albert.pooler"},
      .adapter_places = {MatrixType::o, MatrixType::down},
      .presets = presets,
      .read = read,
      .norm_parameters = own_norm_parameters,
      .parameters = parameters,
      .load = load};
  return family;
}

}  // namespace rankfold
