#include <algorithm>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/text.h"
#include "experiments/models/config_file.h"
#include "experiments/models/shape_families.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Far beyond any model, and small enough that no count of its parameters overflows.
constexpr std::size_t largest_size = 1'000'000, most_layers = 10'000;

std::size_t size(const ConfigFile& config, const char* key, std::size_t limit = largest_size) {
  const std::size_t value = config.count(key);
  if (value > limit)
    throw Error("{}: {} is {}, expected at most {}", config.path().string(), key, value, limit);
  return value;
}

std::size_t size_or(const ConfigFile& config, const char* key, std::size_t fallback) {
  return config.has(key) ? size(config, key) : fallback;
}

void require_divisor(const ConfigFile& config, const char* key, std::size_t value, const char* of,
                     std::size_t whole) {
  if (whole % value != 0)
    throw Error("{}: {} is {}, expected a divisor of {} {}", config.path().string(), key, value, of,
                whole);
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
  if (!config.has("head_dim")) require_divisor(config, heads, shape.heads, hidden, shape.hidden);
  shape.head_size = shape.hidden / shape.heads;
  if (family != "vit") {
    shape.vocabulary = size(config, "vocab_size");
    shape.positions = size(config, gpt2 ? "n_positions" : "max_position_embeddings");
  }
  return shape;
}

void read_relative_positions(const ConfigFile& config, ModelShape& shape) {
  const double limit = static_cast<double>(largest_size);
  shape.token_types = static_cast<std::size_t>(config.number("type_vocab_size", 0, limit, 0));
  shape.position_rows = config.flag("position_biased_input", true) ? shape.positions : 0;
  if (!config.flag("relative_attention", false)) return;
  const double span = config.number("max_relative_positions", -1, limit, -1);
  const double buckets = config.number("position_buckets", -1, limit, -1);
  std::size_t rows = span < 1 ? shape.positions : static_cast<std::size_t>(span);
  if (shape.family == "deberta-v2" && buckets > 0) rows = static_cast<std::size_t>(buckets);
  shape.relative_rows = 2 * rows;
}

void read_patches(const ConfigFile& config, ModelShape& shape) {
  const std::size_t image = size(config, "image_size", 10'000), patch = size(config, "patch_size");
  require_divisor(config, "patch_size", patch, "image_size", image);
  shape.positions = shape.position_rows = (image / patch) * (image / patch) + 1;
  shape.patch_values = size_or(config, "num_channels", 3) * patch * patch;
}

void read_family(const ConfigFile& config, ModelShape& shape) {
  const std::string& family = shape.family;
  if (family == "deberta" || family == "deberta-v2") return read_relative_positions(config, shape);
  if (family == "vit") return read_patches(config, shape);
  if (family == "llama") {
    shape.key_value_heads = size_or(config, "num_key_value_heads", shape.heads);
    shape.head_size = size_or(config, "head_dim", shape.head_size);
    return require_divisor(config, "num_key_value_heads", shape.key_value_heads,
                           "num_attention_heads", shape.heads);
  }
  shape.position_rows = shape.positions;
  if (family == "gpt2") return;
  shape.token_types = size(config, "type_vocab_size");
  // RoBERTa's positions start behind the padding index, 1.
  if (family == "roberta" && shape.positions > 2) shape.positions -= 2;
  if (family == "albert") {
    shape.distinct_layers = size_or(config, "num_hidden_groups", 1);
    shape.embedding = size(config, "embedding_size");
    require_divisor(config, "inner_group_num", size_or(config, "inner_group_num", 1), "1 =", 1);
    require_divisor(config, "num_hidden_groups", shape.distinct_layers, "num_hidden_layers",
                    shape.layers);
  }
}

/// Whether the network has just the parts that backbone_parameters knows.
bool is_plain(const ConfigFile& config, const std::string& family) {
  if (family == "llama")
    return !config.flag("attention_bias", false) && !config.flag("mlp_bias", false);
  if (family == "deberta") return config.flag("relative_attention", false);
  if (family == "deberta-v2")
    return config.flag("share_att_key", false) &&
           config.number("conv_kernel_size", 0, static_cast<double>(largest_size), 0) == 0;
  return true;
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
    throw Error("{}: {}", config.path().string(), unknown_name("model_type", family, known).what());
  ModelShape shape = read_sizes(config, family);
  read_family(config, shape);
  const fs::path absolute = fs::weakly_canonical(folder, failure);
  shape.name = failure ? folder.string() : absolute.filename().string();
  if (is_plain(config, family)) shape.parameters = backbone_parameters(shape);
  return shape;
}

}  // namespace rankfold
