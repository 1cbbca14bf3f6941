#include "experiments/models/families/family_parts.h"

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

std::size_t read_size(const ConfigFile& config, const char* key, std::size_t limit) {
  const std::size_t value = config.count(key);
  if (value > limit)
    throw Error("{}: {} is {}, expected at most {}", printable(config.path().string()), key, value,
                limit);
  return value;
}

std::size_t read_size(const ConfigFile& config, const char* key, std::size_t limit,
                      std::size_t fallback) {
  return config.has(key) ? read_size(config, key, limit) : fallback;
}

void require_divisor(const ConfigFile& config, const char* key, std::size_t value, const char* of,
                     std::size_t whole) {
  if (whole % value != 0)
    throw Error("{}: {} is {}, expected a divisor of {} {}", printable(config.path().string()), key,
                value, of, whole);
}

void require_size(const ConfigFile& config, const char* key, std::size_t expected) {
  const std::size_t value = read_size(config, key, largest_size, expected);
  if (value != expected)
    throw Error("{}: {} is {}, expected {} as the other sizes have it",
                printable(config.path().string()), key, value, expected);
}

ModelShape read_layer_sizes(const ConfigFile& config, const SizeKeys& keys) {
  constexpr std::size_t most_layers = 10'000;
  ModelShape shape;
  shape.layers = shape.distinct_layers = read_size(config, keys.layers, most_layers);
  shape.hidden = shape.embedding = read_size(config, keys.hidden);
  shape.heads = shape.key_value_heads = read_size(config, keys.heads);
  shape.intermediate = keys.intermediate_of_four
                           ? read_size(config, keys.intermediate, largest_size, 4 * shape.hidden)
                           : read_size(config, keys.intermediate);
  if (keys.head_size)
    shape.head_size = read_size(config, keys.head_size, largest_size, keys.usual_head_size);
  if (shape.head_size > 0) return shape;
  require_divisor(config, keys.heads, shape.heads, keys.hidden, shape.hidden);
  shape.head_size = shape.hidden / shape.heads;
  return shape;
}

ModelShape read_text_sizes(const ConfigFile& config, const SizeKeys& keys) {
  ModelShape shape = read_layer_sizes(config, keys);
  shape.vocabulary = read_size(config, "vocab_size");
  shape.positions = read_size(config, keys.positions);
  return shape;
}

ModelShape read_text_encoder(const ConfigFile& config) {
  ModelShape shape = read_text_sizes(config);
  shape.position_rows = shape.positions;
  shape.token_types = read_size(config, "type_vocab_size");
  return shape;
}

ModelShape encoder_preset(std::string name, std::size_t layers, std::size_t hidden,
                          std::size_t vocabulary) {
  ModelShape shape;
  shape.name = std::move(name);
  shape.layers = shape.distinct_layers = layers;
  shape.hidden = shape.embedding = hidden;
  shape.intermediate = 4 * hidden;
  shape.head_size = 64;
  shape.heads = shape.key_value_heads = hidden / 64;
  shape.vocabulary = vocabulary;
  shape.positions = shape.position_rows = 512;
  return shape;
}

std::vector<ForeignKey> encoder_keys() {
  return keys_of(
      ForeignKey::Meaning::read,
      {"hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
       "layer_norm_eps", "hidden_dropout_prob", "attention_probs_dropout_prob"});
}

std::vector<ForeignKey> text_encoder_keys() {
  return joined({encoder_keys(),
                 keys_of(ForeignKey::Meaning::read,
                         {"vocab_size", "max_position_embeddings", "type_vocab_size"}),
                 {{"position_embedding_type", ForeignKey::Meaning::off_only, {"\"absolute\""}}}});
}

FamilyModules encoder_modules(const char* layer, const char* q, const char* k, const char* v,
                              const char* pooler) {
  return {.layer = layer,
          .q = q,
          .k = k,
          .v = v,
          .o = "attention.output.dense",
          .up = "intermediate.dense",
          .down = "output.dense",
          .pooler = pooler};
}

std::size_t table_parameters(const ModelShape& shape) {
  return (shape.vocabulary + shape.position_rows + shape.token_types) * shape.embedding +
         shape.relative_rows * shape.hidden;
}

std::size_t encoder_mlp_parameters(const ModelShape& shape) {
  return 2 * shape.hidden * shape.intermediate + shape.intermediate + shape.hidden;
}

std::size_t attention_bias_parameters(const ModelShape& shape) {
  return shape.attention_bias ? (shape.heads + 2 * shape.key_value_heads) * shape.head_size : 0;
}

std::size_t encoder_layer_parameters(const ModelShape& shape) {
  return 4 * shape.hidden * shape.hidden + attention_bias_parameters(shape) + shape.hidden +
         encoder_mlp_parameters(shape);
}

std::size_t encoder_norm_parameters(const ModelShape& shape) {
  return (2 * shape.distinct_layers + 1) * 2 * shape.hidden;
}

std::size_t encoder_parameters(const ModelShape& shape) {
  return table_parameters(shape) + shape.layers * encoder_layer_parameters(shape) +
         encoder_norm_parameters(shape);
}

}  // namespace rankfold
