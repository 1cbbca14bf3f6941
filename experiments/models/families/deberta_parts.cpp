#include "experiments/models/families/deberta_parts.h"

#include <cmath>
#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

std::vector<ForeignKey> deberta_keys() {
  return joined({text_encoder_keys(),
                 keys_of(ForeignKey::Meaning::read,
                         {"embedding_size", "relative_attention", "max_relative_positions",
                          "pos_att_type", "position_biased_input", "pooler_hidden_size",
                          "pooler_hidden_act", "pooler_dropout", "cls_dropout"}),
                 // The head of masked language models.
                 keys_of(ForeignKey::Meaning::changes_nothing, {"legacy", "padding_idx"})});
}

ModelShape deberta_preset(std::string name, std::size_t vocabulary, std::size_t relative_rows) {
  ModelShape shape = encoder_preset(std::move(name), 12, 768, vocabulary);
  shape.position_rows = 0;
  shape.relative_rows = relative_rows;
  return shape;
}

ModelShape read_deberta_sizes(const ConfigFile& config) {
  ModelShape shape = read_text_sizes(config);
  shape.token_types =
      static_cast<std::size_t>(config.integer("type_vocab_size", 0, largest_size, 0));
  shape.position_rows = config.flag("position_biased_input", true) ? shape.positions : 0;
  shape.embedding = read_size(config, "embedding_size", largest_size, shape.hidden);
  require_size(config, "pooler_hidden_size", shape.hidden);
  return shape;
}

RelativePositions read_relative_positions(const ConfigFile& config, const ModelShape& shape) {
  RelativePositions positions;
  // A list, or the older "c2p|p2c".
  if (config.has("pos_att_type"))
    for (const std::string& part : config.texts("pos_att_type")) {
      const std::string term(trim(part));
      if (term != "c2p" && term != "p2c")
        throw Error("{}: pos_att_type holds '{}', expected c2p and p2c",
                    printable(config.path().string()), printable(term, 80));
      positions.terms.insert(term);
    }
  const std::int64_t span = config.integer("max_relative_positions", -1, largest_size, -1);
  positions.buckets = config.integer("position_buckets", -1, largest_size, -1);
  positions.on = config.flag("relative_attention", false);
  positions.rows = span < 1 ? shape.positions : static_cast<std::size_t>(span);
  return positions;
}

namespace {

HiddenActivation find_pooler_activation(const HostSource& source, const std::string& name) {
  try {
    return parse_activation(name, "");
  } catch (const Error&) {
    throw Error("{}: pooler_hidden_act is '{}', expected tanh, {}", config_name(source),
                printable(name, 80), activation_names);
  }
}

/// The dense layer of the head and what surrounds it.
HeadDescription read_pooler(const HostSource& source, const HostSettings& settings,
                            double hidden_dropout) {
  HeadDescription head{.dense = "pooler.dense", .output = "classifier"};
  const std::string activation =
      source.config ? source.config->text("pooler_hidden_act", "gelu") : "gelu";
  if (activation != "tanh") head.activation = find_pooler_activation(source, activation);
  head.input_dropout = read_dropout(source.config, settings.dropout, "pooler_dropout", 0);
  head.dropout = read_dropout(source.config, settings.dropout, "cls_dropout", hidden_dropout);
  return head;
}

}  // namespace

std::unique_ptr<Host> load_deberta(const HostSource& source, const HostSettings& settings,
                                   std::shared_ptr<const Device> device,
                                   const DebertaVersion& version) {
  const ModelShape& shape = source.shape;
  require_key(source, "embedding_size", shape.embedding, shape.hidden,
              "a map from narrow embeddings is not computed");
  const EncoderDetails details =
      read_encoder_details(shape, source.config, settings.dropout, {.epsilon = 1e-7f});
  EncoderNetwork network = start_network(source, settings, "deberta.", details, device);
  FrozenWeights& weights = *network.weights;
  read_embedding(network, "deberta.embeddings", shape, details);
  const RelativePositions& positions = version.positions;
  if (positions.on) {
    std::optional<LayerNorm> norm;
    if (shape.relative_norm)
      norm = read_norm("deberta.encoder.LayerNorm", shape.hidden, details.epsilon, weights);
    network.relative.emplace(weights.tensor("deberta.encoder.rel_embeddings.weight",
                                            {shape.relative_rows, shape.hidden}),
                             version.buckets, shape.hidden, std::move(norm));
  }
  const std::string place = "deberta.encoder.layer";
  const auto read_relative = [&](LinearReader& linears, std::size_t layer) {
    RelativeAttention attention;
    attention.keys = positions.on && positions.terms.contains("c2p");
    attention.queries = positions.on && positions.terms.contains("p2c");
    // Of the sum of all terms, whether or not relative positions are on.
    attention.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_size) *
                                       static_cast<float>(1 + positions.terms.size()));
    attention.dropout = details.hidden_dropout;
    attention.key_map = linears.read_module(MatrixType::position_k, layer);
    attention.query_map = linears.read_module(MatrixType::position_q, layer);
    return attention;
  };
  read_layers(network, place, details, shape, device, settings.bfloat16, read_relative);
  const HeadDescription head = read_pooler(source, settings, details.hidden_dropout);
  network.dropouts["pooler"] = head.input_dropout;
  read_head(network, head, settings, device);
  // Heads of other tasks, a pooler that a trained one replaces, and positions that are switched
  // off.
  note_unused(network, "deberta.",
              {"cls.", "lm_predictions.", "mask_predictions.", "qa_outputs.", "classifier.",
               "pooler.", "embeddings.position_embeddings", "embeddings.position_ids"});
  return make_encoder_host(std::move(network), settings, std::move(device));
}

std::size_t deberta_norm_parameters(const ModelShape& shape) {
  const std::size_t further = (shape.relative_norm ? 1 : 0) + (shape.convolution > 0 ? 1 : 0);
  return encoder_norm_parameters(shape) + further * 2 * shape.hidden;
}

std::size_t deberta_outer_parameters(const ModelShape& shape) {
  std::size_t count = table_parameters(shape) + deberta_norm_parameters(shape);
  if (shape.embedding != shape.hidden) count += shape.embedding * shape.hidden;
  if (shape.convolution > 0)
    count +=
        shape.hidden * (shape.hidden / shape.convolution_groups) * shape.convolution + shape.hidden;
  return count;
}

}  // namespace rankfold
