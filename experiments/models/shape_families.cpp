#include "experiments/models/shape_families.h"

#include <string>

#include <fmt/core.h>

namespace rankfold {
namespace {

/// Where a family keeps its matrices: module names with {} for the layer.
struct ModuleNames {
  const char *q, *k, *v, *in_proj, *o, *gate, *up, *down;
};

ModuleNames encoder_names(const char* q, const char* k, const char* v, const char* in_proj) {
  return {
      q, k, v, in_proj, "attention.output.dense", nullptr, "intermediate.dense", "output.dense"};
}

struct Modules {
  std::string layer;  ///< prefix of a layer's modules
  ModuleNames names;
};

Modules modules(const ModelShape& shape) {
  const std::string& family = shape.family;
  if (family == "albert")
    return {"albert.encoder.albert_layer_groups.{}.albert_layers.0.",
            {"attention.query", "attention.key", "attention.value", nullptr, "attention.dense",
             nullptr, "ffn", "ffn_output"}};
  if (family == "deberta")
    return {"deberta.encoder.layer.{}.",
            encoder_names(nullptr, nullptr, nullptr, "attention.self.in_proj")};
  if (family == "deberta-v2")
    return {"deberta.encoder.layer.{}.",
            encoder_names("attention.self.query_proj", "attention.self.key_proj",
                          "attention.self.value_proj", nullptr)};
  if (family == "vit")
    return {"vit.encoder.layer.{}.",
            encoder_names("attention.attention.query", "attention.attention.key",
                          "attention.attention.value", nullptr)};
  if (family == "llama")
    return {"model.layers.{}.",
            {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", nullptr,
             "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"}};
  if (family == "gpt2")
    return {"transformer.h.{}.",
            {"attn.c_attn.q", "attn.c_attn.k", "attn.c_attn.v", nullptr, "attn.c_proj", nullptr,
             "mlp.c_fc", "mlp.c_proj"}};
  return {family + ".encoder.layer.{}.", encoder_names("attention.self.query", "attention.self.key",
                                                       "attention.self.value", nullptr)};
}

/// Weights and biases of one layer, its norms left out.
std::size_t layer_parameters(const ModelShape& shape) {
  const std::size_t hidden = shape.hidden, attention = shape.heads * shape.head_size;
  const std::size_t key_value = shape.key_value_heads * shape.head_size;
  const std::size_t attention_biases = shape.attention_bias ? attention + 2 * key_value : 0;
  if (shape.family == "llama")
    return 2 * hidden * attention + 2 * hidden * key_value + 3 * hidden * shape.intermediate +
           attention_biases + (shape.attention_bias ? hidden : 0) +
           (shape.mlp_bias ? 2 * shape.intermediate + hidden : 0);
  const std::size_t mlp = 2 * hidden * shape.intermediate + shape.intermediate + hidden;
  const std::size_t square = hidden * hidden;
  if (shape.family == "deberta")  // in_proj, q_bias, v_bias, output; pos_proj, pos_q_proj
    return 3 * square + 2 * hidden + square + hidden + mlp + (shape.position_keys ? square : 0) +
           (shape.position_queries ? square + hidden : 0) +
           (shape.talking_heads ? 2 * shape.heads * shape.heads : 0);
  const std::size_t positions = (shape.position_keys ? 1 : 0) + (shape.position_queries ? 1 : 0);
  return 4 * square + attention_biases + hidden + mlp + positions * (square + hidden);
}

}  // namespace

std::size_t backbone_parameters(const ModelShape& shape) {
  const std::size_t hidden = shape.hidden;
  std::size_t count = shape.vocabulary * shape.embedding + shape.position_rows * shape.embedding +
                      shape.token_types * shape.embedding + shape.relative_rows * hidden;
  count += shape.distinct_layers * layer_parameters(shape) + norm_parameters(shape);
  if (shape.family == "vit") count += shape.patch_values * hidden + 2 * hidden;  // class token
  if (shape.family == "albert")
    count += (shape.embedding + 1) * hidden;
  else if (shape.embedding != hidden)
    count += shape.embedding * hidden;
  if (shape.convolution > 0)
    count += hidden * (hidden / shape.convolution_groups) * shape.convolution + hidden;
  if (shape.family == "albert" || shape.family == "bert") count += hidden * (hidden + 1);
  return count;
}

SiteCatalogue catalogue(const ModelShape& shape) {
  SiteCatalogue result;
  result.model = shape.name;
  result.layers = shape.distinct_layers;
  if (shape.family == "llama")
    result.adapter_places = {MatrixType::gate, MatrixType::up, MatrixType::down};
  else if (shape.family != "gpt2")
    result.adapter_places = {MatrixType::o, MatrixType::down};
  const Modules family = modules(shape);
  const std::size_t hidden = shape.hidden, attention = shape.heads * shape.head_size;
  const std::size_t key_value = shape.key_value_heads * shape.head_size;
  for (std::size_t layer = 0; layer < shape.distinct_layers; ++layer) {
    const std::string prefix = fmt::format(fmt::runtime(family.layer), layer);
    const auto add = [&](MatrixType type, const char* module, std::size_t out, std::size_t in,
                         std::size_t heads) {
      if (module != nullptr) result.sites.push_back({prefix + module, type, layer, out, in, heads});
    };
    const ModuleNames& names = family.names;
    add(MatrixType::q, names.q, attention, hidden, shape.heads);
    add(MatrixType::k, names.k, key_value, hidden, shape.key_value_heads);
    add(MatrixType::v, names.v, key_value, hidden, shape.key_value_heads);
    add(MatrixType::o, names.o, hidden, attention, shape.heads);
    add(MatrixType::gate, names.gate, shape.intermediate, hidden, 1);
    add(MatrixType::up, names.up, shape.intermediate, hidden, 1);
    add(MatrixType::down, names.down, hidden, shape.intermediate, 1);
    add(MatrixType::in_proj, names.in_proj, 3 * hidden, hidden, shape.heads);
  }
  return result;
}

}  // namespace rankfold
