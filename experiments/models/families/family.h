#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/foreign_keys.h"
#include "core/device/device.h"
#include "core/network/stack.h"
#include "experiments/models/config_file.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"

namespace rankfold {

/// Where a family keeps its adaptable matrices: module names below `layer`, in which {} stands for
/// the layer's number; null where it has no such matrix.
struct FamilyModules {
  const char* layer = nullptr;
  const char *q = nullptr, *k = nullptr, *v = nullptr, *o = nullptr, *gate = nullptr, *up = nullptr,
             *down = nullptr;
  /// One module whose rows are those of q, k and v, which are its parts: see catalogue.
  const char* in_proj = nullptr;
  bool by_head = false;  ///< it has q, k and v of each head after another, not all of q first
  /// The biases of q, k and v where they are tensors of their own and in_proj has none.
  std::array<const char*, 3> part_biases = {};
  /// What maps the embedding of relative positions beside k and q, where the shape has such maps.
  const char *position_k = nullptr, *position_q = nullptr;
  bool position_k_bias = true;  ///< position_k has a bias, as position_q
  bool transposed = false;      ///< checkpoints have weights as [in, out]
  /// The whole name of what maps narrow token embeddings to the hidden states, with a bias.
  const char* embedding_map = nullptr;
  /// The whole name of the frozen dense layer [hidden, hidden] of a classifier's head.
  const char* pooler = nullptr;
};

/// Where a host comes from: a model folder with its config.json, or a built-in shape alone.
struct HostSource {
  std::filesystem::path folder;  ///< of the shape, its name
  ModelShape shape;
  std::optional<ConfigFile> config;
};

/// All that is known of one architecture ("model_type" of config.json): one value, and one file of
/// this folder, for counting, loading, random weights, merging and checks.
struct Family {
  std::string_view name;
  /// What its classes are called in transformers ("Bert" of BertModel); "" where rankfold writes no
  /// such name.
  std::string_view architecture = "";
  /// Keys of its config.json beside those that every family has; each is looked up once.
  std::vector<ForeignKey> keys = {};
  FamilyModules modules = {};
  std::vector<MatrixType> adapter_places = {};  ///< what target `adapters` means
  bool output_bias = true;                      ///< the output layer of a classifier has one
  /// A classifier has a dense layer [hidden, hidden] before its output layer,
  bool dense_before_output = true;
  bool trains_dense = false;                     ///< which trains with it.
  bool dense_apart = false;                      ///< It is among no `parameters`, nor trains.
  bool norms_shift = true;                       ///< norms are no RMS norms: they have a bias
  std::string_view head = "classifier";          ///< the module that a classifier's head is,
  std::string_view output_layer = "classifier";  ///< and that of its output layer
  bool tells_tokens = false;                     ///< `load` makes language models too

  /// Shapes by name, without `family` and `parameters`.
  std::vector<ModelShape> (*presets)() = nullptr;
  /// The sizes that a config.json with known keys tells, without name, `family` and `parameters`.
  /// Throws Error naming the file and the key.
  ModelShape (*read)(const ConfigFile& config) = nullptr;
  /// Weights and biases of every norm, and all weights of the network below the head.
  std::size_t (*norm_parameters)(const ModelShape& shape) = nullptr;
  std::size_t (*parameters)(const ModelShape& shape) = nullptr;
  /// The network on the device; null where it cannot be computed yet. See load_host.
  std::unique_ptr<Host> (*load)(const HostSource& source, const HostSettings& settings,
                                std::shared_ptr<const Device> device) = nullptr;
};

const Family& albert_family();
const Family& bert_family();
const Family& camembert_family();
const Family& deberta_family();
const Family& deberta_v2_family();
const Family& gpt2_family();
const Family& llama_family();
const Family& mistral_family();
const Family& opt_family();
const Family& qwen2_family();
const Family& qwen3_family();
const Family& roberta_family();
const Family& starcoder2_family();
const Family& vit_family();
const Family& xlm_roberta_family();

/// Every family, by name.
std::span<const Family* const> families();
/// Null where there is none of that name.
const Family* find_family(std::string_view name);
/// That of a shape.
const Family& family_of(const ModelShape& shape);
/// Names of the built-in shapes in the order in which they are listed.
std::span<const std::string_view> preset_order();
/// The module of any family's head that holds a tensor of that name; "" where none does.
std::string_view head_of(std::string_view tensor);
bool is_in_a_head(std::string_view tensor);
/// The weights of output layers, each name once.
std::vector<std::string> output_weights();
/// The families that load_host can load, "bert" or "bert, roberta".
std::string loadable_families();

}  // namespace rankfold
