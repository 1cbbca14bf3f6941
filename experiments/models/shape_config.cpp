#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/models/config_file.h"
#include "experiments/models/config_keys.h"
#include "experiments/models/shape_families.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Far beyond any model, and small enough that no count of its parameters overflows.
constexpr std::int32_t largest_size = 1'000'000;
constexpr std::size_t most_layers = 10'000;

std::size_t size(const ConfigFile& config, const char* key, std::size_t limit = largest_size) {
  const std::size_t value = config.count(key);
  if (value > limit)
    throw Error("{}: {} is {}, expected at most {}", printable(config.path().string()), key, value,
                limit);
  return value;
}

std::size_t size_or(const ConfigFile& config, const char* key, std::size_t fallback) {
  return config.has(key) ? size(config, key) : fallback;
}

void require_divisor(const ConfigFile& config, const char* key, std::size_t value, const char* of,
                     std::size_t whole) {
  if (whole % value != 0)
    throw Error("{}: {} is {}, expected a divisor of {} {}", printable(config.path().string()), key,
                value, of, whole);
}

ModelShape read_sizes(const ConfigFile& config, const std::string& family) {
  ModelShape shape;
  shape.family = family;
  const bool gpt2 = family == "gpt2";
  const char* heads = gpt2 ? "n_head" : "num_attention_heads";
  const char* hidden = gpt2 ? "n_embd" : "hidden_size";
  shape.layers = size(config, gpt2 ? "n_layer" : "num_hidden_layers", most_layers);
  shape.distinct_layers = shape.layers;
  shape.hidden = shape.embedding = size(config, hidden);
  shape.heads = shape.key_value_heads = size(config, heads);
  shape.intermediate =
      gpt2 ? size_or(config, "n_inner", 4 * shape.hidden) : size(config, "intermediate_size");
  require_divisor(config, heads, shape.heads, hidden, shape.hidden);
  shape.head_size = shape.hidden / shape.heads;
  if (family != "vit") {
    shape.vocabulary = size(config, "vocab_size");
    shape.positions = size(config, gpt2 ? "n_positions" : "max_position_embeddings");
  }
  return shape;
}

/// Kinds of relative attention: a list, or the older "c2p|p2c".
std::set<std::string> read_position_terms(const ConfigFile& config) {
  if (!config.has("pos_att_type")) return {};
  std::vector<std::string> terms = config.texts("pos_att_type");
  for (std::string& term : terms) {
    term = trim(term);
    if (term != "c2p" && term != "p2c")
      throw Error("{}: pos_att_type holds '{}', expected c2p and p2c",
                  printable(config.path().string()), printable(term, 80));
  }
  return {terms.begin(), terms.end()};
}

void require_hidden(const ConfigFile& config, const char* key, std::size_t expected) {
  const std::size_t value = size_or(config, key, expected);
  if (value != expected)
    throw Error("{}: {} is {}, expected {} as the other sizes have it",
                printable(config.path().string()), key, value, expected);
}

void read_second_version(const ConfigFile& config, ModelShape& shape) {
  require_hidden(config, "attention_head_size", shape.head_size);
  bool normalises = false;
  for (const std::string& part : config.texts("norm_rel_ebd", "none")) {
    const std::string word(trim(part));
    if (word != "none" && word != "layer_norm")
      throw Error("{}: norm_rel_ebd holds '{}', expected none or layer_norm",
                  printable(config.path().string()), printable(word, 80));
    normalises = normalises || word == "layer_norm";
  }
  shape.relative_norm = normalises;
  shape.convolution =
      static_cast<std::size_t>(config.integer("conv_kernel_size", 0, largest_size, 0));
  shape.convolution_groups = size_or(config, "conv_groups", 1);
  require_divisor(config, "conv_groups", shape.convolution_groups, "hidden_size", shape.hidden);
}

void read_relative_positions(const ConfigFile& config, ModelShape& shape) {
  shape.token_types =
      static_cast<std::size_t>(config.integer("type_vocab_size", 0, largest_size, 0));
  shape.position_rows = config.flag("position_biased_input", true) ? shape.positions : 0;
  shape.embedding = size_or(config, "embedding_size", shape.hidden);
  require_hidden(config, "pooler_hidden_size", shape.hidden);
  shape.talking_heads = config.flag("talking_head", false);
  const bool v2 = shape.family == "deberta-v2";
  if (v2) read_second_version(config, shape);
  const std::set<std::string> terms = read_position_terms(config);
  const std::int64_t span = config.integer("max_relative_positions", -1, largest_size, -1);
  const std::int64_t buckets = config.integer("position_buckets", -1, largest_size, -1);
  if (!config.flag("relative_attention", false)) return;
  const bool shares = v2 && config.flag("share_att_key", false);
  shape.position_keys = !shares && terms.contains("c2p");
  shape.position_queries = !shares && terms.contains("p2c");
  std::size_t rows = span < 1 ? shape.positions : static_cast<std::size_t>(span);
  if (v2 && buckets > 0) rows = static_cast<std::size_t>(buckets);
  shape.relative_rows = 2 * rows;
}

void read_patches(const ConfigFile& config, ModelShape& shape) {
  const std::size_t image = size(config, "image_size", 10'000), patch = size(config, "patch_size");
  require_divisor(config, "patch_size", patch, "image_size", image);
  shape.positions = shape.position_rows = (image / patch) * (image / patch) + 1;
  shape.patch_values = size_or(config, "num_channels", 3) * patch * patch;
  shape.attention_bias = config.flag("qkv_bias", true);
}

void read_groups(const ConfigFile& config, ModelShape& shape) {
  shape.distinct_layers = size_or(config, "num_hidden_groups", 1);
  shape.embedding = size(config, "embedding_size");
  require_divisor(config, "num_hidden_groups", shape.distinct_layers, "num_hidden_layers",
                  shape.layers);
}

/// RoBERTa's positions start behind the padding index.
void read_shifted_positions(const ConfigFile& config, ModelShape& shape) {
  const std::int64_t padding = config.values().contains("pad_token_id")
                                   ? config.integer("pad_token_id", 0, largest_size)
                                   : 1;
  const auto unused = static_cast<std::size_t>(padding) + 1;
  if (shape.positions <= unused)
    throw Error("{}: max_position_embeddings is {}, expected more than pad_token_id + 1, {}",
                printable(config.path().string()), shape.positions, unused);
  shape.positions -= unused;
}

void read_family(const ConfigFile& config, ModelShape& shape) {
  const std::string& family = shape.family;
  if (family == "deberta" || family == "deberta-v2") return read_relative_positions(config, shape);
  if (family == "vit") return read_patches(config, shape);
  if (family == "llama") {
    shape.key_value_heads = size_or(config, "num_key_value_heads", shape.heads);
    shape.head_size = size_or(config, "head_dim", shape.head_size);
    if (shape.head_size % 2 != 0)
      throw Error("{}: head_dim is {}, expected an even number: rotary positions turn pairs",
                  printable(config.path().string()), shape.head_size);
    shape.attention_bias = config.flag("attention_bias", false);
    shape.mlp_bias = config.flag("mlp_bias", false);
    return require_divisor(config, "num_key_value_heads", shape.key_value_heads,
                           "num_attention_heads", shape.heads);
  }
  shape.position_rows = shape.positions;
  if (family == "gpt2") return;
  shape.token_types = size(config, "type_vocab_size");
  if (family == "roberta") read_shifted_positions(config, shape);
  if (family == "albert") read_groups(config, shape);
}

}  // namespace

ModelShape read_shape(const fs::path& folder) {
  std::error_code failure;
  if (!fs::is_directory(folder, failure))
    throw Error("{}: is not a folder; expected a model folder with config.json",
                printable(folder.string()));
  const ConfigFile config(folder / "config.json");
  const std::vector<std::string> known = {"albert", "bert",  "deberta", "deberta-v2",
                                          "gpt2",   "llama", "roberta", "vit"};
  const std::string family = config.text("model_type");
  if (std::ranges::find(known, family) == known.end())
    throw Error("{}: {}", printable(config.path().string()),
                unknown_name("model_type", family, known).what());
  expect_known_config(config, family);
  ModelShape shape = read_sizes(config, family);
  read_family(config, shape);
  const fs::path absolute = fs::weakly_canonical(folder, failure);
  shape.name = failure ? folder.string() : absolute.filename().string();
  shape.parameters = backbone_parameters(shape);
  return shape;
}

}  // namespace rankfold
