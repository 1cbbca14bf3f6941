#include "experiments/models/families/bert_weights.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

LayerNorm read_norm(const std::string& name, const BertConfig& config, FrozenWeights& weights) {
  LayerNorm norm;
  norm.weight = weights.tensor(name + ".weight", {config.encoder.hidden});
  norm.shift = weights.tensor(name + ".bias", {config.encoder.hidden});
  norm.epsilon = config.epsilon;
  return norm;
}

}  // namespace

BertConfig read_bert_config(const ConfigFile& file, double dropout) {
  BertConfig config;
  EncoderSettings& encoder = config.encoder;
  encoder.hidden = file.count("hidden_size");
  encoder.heads = file.count("num_attention_heads");
  encoder.intermediate = file.count("intermediate_size");
  if (encoder.hidden % encoder.heads != 0)
    throw Error("{}: hidden_size {} is no multiple of num_attention_heads {}",
                printable(file.path().string()), encoder.hidden, encoder.heads);
  encoder.activation = parse_activation(file.text("hidden_act"), printable(file.path().string()));
  config.layers = file.count("num_hidden_layers");
  config.vocabulary = file.count("vocab_size");
  config.positions = file.count("max_position_embeddings");
  config.types = file.count("type_vocab_size");
  config.epsilon = static_cast<float>(file.number("layer_norm_eps", 0.0, 1.0, 1e-12));
  const auto probability = [&](const char* key, double fallback) {
    return dropout >= 0 ? dropout : file.number(key, 0.0, 0.999, fallback);
  };
  encoder.hidden_dropout = probability("hidden_dropout_prob", 0.1);
  encoder.attention_dropout = probability("attention_probs_dropout_prob", 0.1);
  config.classifier_dropout = probability("classifier_dropout", encoder.hidden_dropout);
  return config;
}

BertEmbeddings read_bert_embeddings(const BertConfig& config, FrozenWeights& weights) {
  const std::size_t hidden = config.encoder.hidden;
  const std::string name = "bert.embeddings.";
  BertEmbeddings embeddings;
  embeddings.words = weights.tensor(name + "word_embeddings.weight", {config.vocabulary, hidden});
  embeddings.positions =
      weights.tensor(name + "position_embeddings.weight", {config.positions, hidden});
  embeddings.types = weights.tensor(name + "token_type_embeddings.weight", {config.types, hidden});
  embeddings.norm = read_norm(name + "LayerNorm", config, weights);
  return embeddings;
}

EncoderLayer read_bert_layer(const BertConfig& config, std::size_t layer, FrozenWeights& weights,
                             std::shared_ptr<const Device> device, bool bfloat16) {
  const std::size_t hidden = config.encoder.hidden, inner = config.encoder.intermediate;
  const std::string place = fmt::format("bert.encoder.layer.{}", layer);
  struct Row {
    MatrixType matrix;
    const char* module;
    std::size_t out, in;
  };
  EncoderLayer::Parts parts;
  for (const Row& row : {Row{MatrixType::q, ".attention.self.query", hidden, hidden},
                         Row{MatrixType::k, ".attention.self.key", hidden, hidden},
                         Row{MatrixType::v, ".attention.self.value", hidden, hidden},
                         Row{MatrixType::o, ".attention.output.dense", hidden, hidden},
                         Row{MatrixType::up, ".intermediate.dense", inner, hidden},
                         Row{MatrixType::down, ".output.dense", hidden, inner}}) {
    Site site;
    site.name = place + row.module;
    site.matrix = row.matrix;
    site.layer = layer;
    site.out = row.out;
    site.in = row.in;
    site.heads = config.encoder.heads;
    FrozenLinear<float> frozen;
    frozen.weight = weights.tensor(site.name + ".weight", {row.out, row.in});
    frozen.bias = weights.tensor(site.name + ".bias", {row.out});
    parts.linears.emplace_back(std::move(site), frozen, device, bfloat16);
  }
  parts.attention_norm = read_norm(place + ".attention.output.LayerNorm", config, weights);
  parts.output_norm = read_norm(place + ".output.LayerNorm", config, weights);
  return EncoderLayer(config.encoder, std::move(parts), device);
}

}  // namespace rankfold
