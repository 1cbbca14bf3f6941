#include "experiments/models/shapes.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/network/model_parts.h"
#include "decompositions/loretta.h"
#include "experiments/models/shape_families.h"

namespace rankfold {
namespace {

ModelShape encoder(std::string name, std::string family, std::size_t layers, std::size_t hidden,
                   std::size_t vocabulary) {
  ModelShape shape;
  shape.name = std::move(name);
  shape.family = std::move(family);
  shape.layers = shape.distinct_layers = layers;
  shape.hidden = shape.embedding = hidden;
  shape.intermediate = 4 * hidden;
  shape.head_size = 64;
  shape.heads = shape.key_value_heads = hidden / 64;
  shape.vocabulary = vocabulary;
  shape.positions = shape.position_rows = 512;
  return shape;
}

ModelShape bert(std::string name, std::size_t layers, std::size_t hidden) {
  ModelShape shape = encoder(std::move(name), "bert", layers, hidden, 30522);
  shape.token_types = 2;
  return shape;
}

ModelShape roberta(std::string name, std::size_t layers, std::size_t hidden) {
  ModelShape shape = encoder(std::move(name), "roberta", layers, hidden, 50265);
  shape.position_rows = 514;
  shape.token_types = 1;
  return shape;
}

ModelShape albert_base() {
  ModelShape shape = encoder("albert-base-v2", "albert", 12, 768, 30000);
  shape.distinct_layers = 1;
  shape.embedding = 128;
  shape.token_types = 2;
  return shape;
}

ModelShape deberta(std::string name, std::string family, std::size_t vocabulary,
                   std::size_t relative_rows) {
  ModelShape shape = encoder(std::move(name), std::move(family), 12, 768, vocabulary);
  shape.position_rows = 0;
  shape.relative_rows = relative_rows;
  const bool v2 = shape.family == "deberta-v2";  // whose positions share the keys' and queries' map
  shape.relative_norm = v2;
  shape.position_keys = shape.position_queries = !v2;
  return shape;
}

ModelShape minilm() {
  ModelShape shape = bert("minilm-l6", 6, 384);
  shape.heads = shape.key_value_heads = 12;
  shape.head_size = 32;
  return shape;
}

ModelShape vit_base() {
  ModelShape shape = encoder("vit-base-patch16", "vit", 12, 768, 0);
  shape.positions = shape.position_rows = 14 * 14 + 1;
  shape.patch_values = 3 * 16 * 16;
  return shape;
}

ModelShape gpt2(std::string name, std::size_t layers, std::size_t hidden) {
  ModelShape shape = encoder(std::move(name), "gpt2", layers, hidden, 50257);
  shape.positions = shape.position_rows = 1024;
  return shape;
}

ModelShape llama(std::string name, std::size_t layers, std::size_t hidden, std::size_t intermediate,
                 std::size_t key_value_heads, std::size_t vocabulary, std::size_t positions) {
  ModelShape shape = encoder(std::move(name), "llama", layers, hidden, vocabulary);
  shape.intermediate = intermediate;
  shape.head_size = 128;
  shape.heads = hidden / 128;
  shape.key_value_heads = key_value_heads;
  shape.positions = positions;
  shape.position_rows = 0;
  shape.attention_bias = shape.mlp_bias = false;
  return shape;
}

std::vector<ModelShape> make_built_in_shapes() {
  std::vector<ModelShape> shapes = {
      roberta("roberta-base", 12, 768),
      roberta("roberta-large", 24, 1024),
      bert("bert-base-uncased", 12, 768),
      albert_base(),
      deberta("deberta-base", "deberta", 50265, 1024),
      deberta("deberta-v3-base", "deberta-v2", 128100, 512),
      llama("llama-7b", 32, 4096, 11008, 32, 32000, 2048),
      llama("llama-2-7b", 32, 4096, 11008, 32, 32000, 4096),
      llama("llama-2-13b", 40, 5120, 13824, 40, 32000, 4096),
      llama("llama-2-70b", 80, 8192, 28672, 8, 32000, 4096),
      llama("llama-3-8b", 32, 4096, 14336, 8, 128256, 8192),
      llama("llama-3.2-3b", 28, 3072, 8192, 8, 128256, 131072),
      gpt2("gpt2-medium", 24, 1024),
      gpt2("gpt2-large", 36, 1280),
      vit_base(),
      minilm(),
  };
  for (ModelShape& shape : shapes) shape.parameters = backbone_parameters(shape);
  return shapes;
}

}  // namespace

const std::vector<ModelShape>& built_in_shapes() {
  static const std::vector<ModelShape> shapes = make_built_in_shapes();
  return shapes;
}

ModelShape find_shape(const std::string& name_or_folder) {
  std::vector<std::string> names;
  for (const ModelShape& shape : built_in_shapes()) {
    if (shape.name == name_or_folder) return shape;
    names.push_back(shape.name);
  }
  std::error_code failure;
  if (!name_or_folder.empty() && std::filesystem::exists(name_or_folder, failure))
    return read_shape(name_or_folder);
  throw unknown_name("model (neither a built-in shape nor a folder)", name_or_folder, names);
}

std::size_t norm_parameters(const ModelShape& shape) {
  const std::size_t norms = 2 * shape.distinct_layers + 1;
  if (shape.family == "llama") return norms * shape.hidden;
  if (shape.family == "albert")
    return 2 * shape.embedding + 2 * shape.distinct_layers * 2 * shape.hidden;
  const std::size_t further = (shape.relative_norm ? 1 : 0) + (shape.convolution > 0 ? 1 : 0);
  return (norms + further) * 2 * shape.hidden;
}

std::size_t output_parameters(const ModelShape& shape, std::size_t labels) {
  const bool biased = shape.family != "llama" && shape.family != "gpt2";
  return labels * (shape.hidden + (biased ? 1 : 0));
}

std::size_t head_parameters(const ModelShape& shape, std::size_t labels) {
  const bool dense_is_trained =
      shape.family == "roberta" || shape.family == "deberta" || shape.family == "deberta-v2";
  return output_parameters(shape, labels) +
         (dense_is_trained ? shape.hidden * (shape.hidden + 1) : 0);
}

std::size_t tensor_train_head_parameters(const ModelShape& shape, std::size_t rank) {
  if (shape.family == "llama" || shape.family == "gpt2" || shape.family == "vit")
    throw UsageError("--train tt-head: {} has no dense layer before its output layer", shape.name);
  const std::vector<std::size_t> modes = loretta_shape({}, shape.hidden, shape.hidden);
  if (modes.size() == 1) return modes.front() + shape.hidden;
  std::size_t count = rank * (modes.front() + modes.back());
  for (std::size_t i = 1; i + 1 < modes.size(); ++i) count += rank * rank * modes[i];
  return count + shape.hidden;
}

std::size_t trained_part_parameters(const ModelShape& shape, const std::string& parts,
                                    std::size_t labels, std::size_t rank) {
  if (trim(parts).empty()) return 0;
  const std::vector<std::string> known(model_parts.begin(), model_parts.end());
  std::set<std::string> chosen;
  for (const std::string& part : split(parts, ',')) {
    const std::string name(trim(part));
    if (std::ranges::find(known, name) == known.end())
      throw unknown_name("part of --train", name, known);
    if (!chosen.insert(name).second)
      throw UsageError("--train {}: '{}' stands twice", printable(parts), name);
  }
  if (chosen.contains("head") && (chosen.contains("tt-head") || chosen.contains("output")))
    throw UsageError("--train {}: head is the whole head; expected it without tt-head and output",
                     printable(parts));
  std::size_t count = 0;
  if (chosen.contains("norms")) count += norm_parameters(shape);
  if (chosen.contains("head")) count += head_parameters(shape, labels);
  if (chosen.contains("output")) count += output_parameters(shape, labels);
  if (chosen.contains("tt-head")) {
    if (rank == 0)
      throw UsageError("--train tt-head: found no rank, expected a method with a rank");
    count += tensor_train_head_parameters(shape, rank);
  }
  return count;
}

}  // namespace rankfold
