#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/models/families/family.h"

// What files of families share; nothing else includes it.

namespace rankfold {

/// Far beyond any model, and small enough that no count of its parameters overflows.
inline constexpr std::int32_t largest_size = 1'000'000;

/// A positive size of a config.json. Throws Error naming the file and the key.
std::size_t read_size(const ConfigFile& config, const char* key, std::size_t limit = largest_size);
std::size_t read_size(const ConfigFile& config, const char* key, std::size_t limit,
                      std::size_t fallback);
/// Throws Error unless `value`, which `key` tells, divides `whole`, which `of` tells.
void require_divisor(const ConfigFile& config, const char* key, std::size_t value, const char* of,
                     std::size_t whole);
/// Throws Error where `key` tells another size than the other sizes have it.
void require_size(const ConfigFile& config, const char* key, std::size_t expected);

/// What config.json calls the sizes that every family has.
struct SizeKeys {
  const char *layers = "num_hidden_layers", *hidden = "hidden_size", *heads = "num_attention_heads",
             *intermediate = "intermediate_size", *positions = "max_position_embeddings";
  const char* head_size = nullptr;    ///< where heads may have a size of their own,
  std::size_t usual_head_size = 0;    ///< this where the file does not tell; 0: hidden / heads
  bool intermediate_of_four = false;  ///< 4 * hidden where the file does not tell
};
/// Layers, hidden, heads, intermediate, and the vocabulary and positions of text.
ModelShape read_layer_sizes(const ConfigFile& config, const SizeKeys& keys = {});
ModelShape read_text_sizes(const ConfigFile& config, const SizeKeys& keys = {});
/// The same with position and type embeddings.
ModelShape read_text_encoder(const ConfigFile& config);

/// A preset with heads of 64 and an intermediate of 4 * hidden.
ModelShape encoder_preset(std::string name, std::size_t layers, std::size_t hidden,
                          std::size_t vocabulary);

/// Of encoders, and of those that read text.
std::vector<ForeignKey> encoder_keys();
std::vector<ForeignKey> text_encoder_keys();

/// query, key, value below `attention`, BERT's names of the other matrices, and the pooler.
FamilyModules encoder_modules(const char* layer, const char* q, const char* k, const char* v,
                              const char* pooler = nullptr);

/// Rows of the embeddings: tokens, positions, types, relative positions.
std::size_t table_parameters(const ModelShape& shape);
/// One layer of an encoder with biases, its norms left out.
std::size_t encoder_layer_parameters(const ModelShape& shape);
/// The MLP of one, and q, k and v's biases.
std::size_t encoder_mlp_parameters(const ModelShape& shape);
std::size_t attention_bias_parameters(const ModelShape& shape);
/// (2 layers + 1) norms of a weight and a bias.
std::size_t encoder_norm_parameters(const ModelShape& shape);
/// All of these: the embeddings, the layers and their norms.
std::size_t encoder_parameters(const ModelShape& shape);

}  // namespace rankfold
