#include <utility>

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

/// transformers' BertForSequenceClassification. A checkpoint without a pooler or classifier gets
/// new ones: N(0, 0.02) from (seed, "initialise/<tensor>"), bias 0; notes() says so.
std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  const EncoderDetails details =
      read_encoder_details(source.shape, source.config, settings.dropout);
  EncoderNetwork network = start_network(source, settings, "bert.", details, device);
  read_embedding(network, "bert.embeddings", source.shape, details);
  read_layers(network, "bert.encoder.layer", details, source.shape, device, settings.bfloat16);
  HeadDescription head{.dense = "bert.pooler.dense", .output = "classifier"};
  head.dropout =
      read_dropout(source.config, settings.dropout, "classifier_dropout", details.hidden_dropout);
  read_head(network, head, settings, device);
  // Heads of other tasks, a pooler that a trained one replaces, and counters 0, 1, 2, ...
  note_unused(network, "bert.",
              {"cls.", "qa_outputs.", "classifier.", "pooler.", "embeddings.position_ids"});
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
                                 "attention.self.key", "attention.self.value", "bert.pooler.dense"),
      .adapter_places = {MatrixType::o, MatrixType::down},
      .presets = presets,
      .read = read_text_encoder,
      .norm_parameters = encoder_norm_parameters,
      .parameters = parameters,
      .load = load};
  return family;
}

}  // namespace rankfold
