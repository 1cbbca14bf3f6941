#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/encoder_reader.h"
#include "experiments/models/families/family_parts.h"

// RoBERTa, and XLM-RoBERTa and CamemBERT, which are the same under other names: BERT whose
// positions start behind the padding index, and whose classifier has a dense layer of its own that
// trains.

namespace rankfold {
namespace {

std::vector<ModelShape> presets() {
  std::vector<ModelShape> shapes = {encoder_preset("roberta-base", 12, 768, 50265),
                                    encoder_preset("roberta-large", 24, 1024, 50265)};
  for (ModelShape& shape : shapes) {
    shape.position_rows = 514;
    shape.token_types = 1;
  }
  return shapes;
}

std::vector<ModelShape> no_presets() {
  return {};
}

std::int32_t padding_of(const ConfigFile& config) {
  return config.values().contains("pad_token_id")
             ? static_cast<std::int32_t>(config.integer("pad_token_id", 0, largest_size))
             : 1;
}

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_text_encoder(config);
  const auto unused = static_cast<std::size_t>(padding_of(config)) + 1;
  if (shape.positions <= unused)
    throw Error("{}: max_position_embeddings is {}, expected more than pad_token_id + 1, {}",
                printable(config.path().string()), shape.positions, unused);
  shape.positions -= unused;
  return shape;
}

/// transformers' RobertaForSequenceClassification, whose names the others have too.
std::unique_ptr<Host> load(const HostSource& source, const HostSettings& settings,
                           std::shared_ptr<const Device> device) {
  // The built-in shapes have another epsilon than a config.json that tells none.
  const EncoderDetails details = read_encoder_details(source.shape, source.config, settings.dropout,
                                                      {.epsilon = source.config ? 1e-12f : 1e-5f, .padding = 1});
  EncoderNetwork network = start_network(source, settings, "roberta.", details, device);
  read_embedding(network, "roberta.embeddings", source.shape, details,
                 source.config ? padding_of(*source.config) : 1);
  read_layers(network, "roberta.encoder.layer", details, source.shape, device, settings.bfloat16);
  HeadDescription head{.dense = "classifier.dense", .output = "classifier.out_proj"};
  head.trains_dense = true;
  head.dropout = head.input_dropout =
      read_dropout(source.config, settings.dropout, "classifier_dropout", details.hidden_dropout);
  read_head(network, head, settings, device);
  // Heads of other tasks, a pooler that no classifier reads, and counters and zeros.
  note_unused(network, "roberta.",
              {"lm_head.", "qa_outputs.", "classifier.", "pooler.", "embeddings.position_ids",
               "embeddings.token_type_ids"});
  return make_encoder_host(std::move(network), settings, std::move(device));
}

Family family_of_name(std::string_view name, std::string_view architecture,
                      std::vector<ModelShape> (*presets)()) {
  return {.name = name,
          .architecture = architecture,
          .keys = joined({keys_of(ForeignKey::Meaning::read, {"pad_token_id"}), text_encoder_keys(),
                          keys_of(ForeignKey::Meaning::read, {"classifier_dropout"})}),
          .modules = encoder_modules("roberta.encoder.layer.{}.", "attention.self.query",
                                     "attention.self.key", "attention.self.value"),
          .adapter_places = {MatrixType::o, MatrixType::down},
          .trains_dense = true,
          .output_layer = "classifier.out_proj",
          .presets = presets,
          .read = read,
          .norm_parameters = encoder_norm_parameters,
          .parameters = encoder_parameters,
          .load = load};
}

}  // namespace

const Family& camembert_family() {
  static const Family family = family_of_name("camembert", "Camembert", no_presets);
  return family;
}

const Family& roberta_family() {
  static const Family family = family_of_name("roberta", "Roberta", presets);
  return family;
}

const Family& xlm_roberta_family() {
  static const Family family = family_of_name("xlm-roberta", "XLMRoberta", no_presets);
  return family;
}

}  // namespace rankfold
