#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/families/family_parts.h"

// RoBERTa: BERT whose positions start behind the padding index, and whose classifier has a dense
// layer of its own.

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

ModelShape read(const ConfigFile& config) {
  ModelShape shape = read_text_encoder(config);
  const std::int64_t padding = config.values().contains("pad_token_id")
                                   ? config.integer("pad_token_id", 0, largest_size)
                                   : 1;
  const auto unused = static_cast<std::size_t>(padding) + 1;
  if (shape.positions <= unused)
    throw Error("{}: max_position_embeddings is {}, expected more than pad_token_id + 1, {}",
                printable(config.path().string()), shape.positions, unused);
  shape.positions -= unused;
  return shape;
}

}  // namespace

const Family& roberta_family() {
  static const Family family = {
      .name = "roberta",
      .architecture = "Roberta",
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
      .parameters = encoder_parameters};
  return family;
}

}  // namespace rankfold
