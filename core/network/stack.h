#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// The matrices that adapters attach to, in canonical order. position_k and position_q map the
/// embedding of relative positions (DeBERTa). The embedding_map leads from narrow token embeddings
/// to the hidden states (ALBERT); it counts as the first layer's. The pooler is the frozen dense
/// layer between the layers and the output of a classifier; it counts as the last layer's.
enum class MatrixType {
  q,
  k,
  v,
  o,
  gate,
  up,
  down,
  in_proj,
  position_k,
  position_q,
  embedding_map,
  pooler
};

std::string_view to_string(MatrixType type);
std::optional<MatrixType> find_matrix_type(std::string_view name);

/// One adapted weight W[out, in] of a model.
struct Site {
  std::string name;  ///< the module's name, e.g. "bert.encoder.layer.0.attention.self.query"
  MatrixType matrix = MatrixType::q;
  std::size_t layer = 0;
  std::size_t out = 0, in = 0;
  std::size_t heads = 1;  ///< attention heads along the head side (out of q, k, v; in of o)
  /// The site of a fused weight (GPT-2's c_attn) that this one is a part of: adapters attach to
  /// the whole or to its parts. "" where the weight is a module of its own.
  std::string part_of = {};
  /// Only a target of its own name, `all-linear` or a pattern chooses it, not `all`.
  bool beside_all = false;
  /// How much of a bias the model has here: in a fused weight some parts may have one.
  enum class BiasRows { none, some, all } bias = BiasRows::all;
  /// The model adds it behind the module (DeBERTa's q_bias and v_bias): what acts after the weight
  /// does not see it, as in PEFT, which replaces modules.
  bool bias_apart = false;
};

/// The ordered sites of a model for a selection of targets and layers: layers ascending, within a
/// layer in canonical order. Layer and matrix modes have the size of the selection.
struct Stack {
  std::vector<Site> sites;
  std::vector<std::size_t> layers;   ///< the distinct layers of the sites, ascending
  std::vector<MatrixType> matrices;  ///< the distinct matrix types, in canonical order

  Stack() = default;
  /// Sorts the sites. Throws Error where two have one name, or one is a part of another.
  explicit Stack(std::vector<Site> unordered);

  std::size_t layer_position(const Site& site) const;   ///< index of its layer in `layers`
  std::size_t matrix_position(const Site& site) const;  ///< index of its type in `matrices`
};

/// The places in a model that an adapter may attach to, and how many layers it has.
struct SiteCatalogue {
  std::string model;  ///< for messages
  std::size_t layers = 0;
  std::vector<Site> sites;                 ///< every adaptable matrix of every layer
  std::vector<MatrixType> adapter_places;  ///< what target `adapters` means (LoRETTA_adp's places)
};

/// The target of methods that train all weights of a model, which are more than its sites.
inline constexpr std::string_view everything = "everything";

/// Parses "q,v", "adapters", "all" (the matrices of attention and feed-forward parts that are
/// modules of their own) or "all-linear" (every module; so of `everything`). Throws UsageError
/// naming an unknown or repeated target.
std::vector<MatrixType> parse_targets(const std::string& targets, const SiteCatalogue& catalogue);

/// Parses "all", "first:N", "last:N" or a 0-based list such as "0,2,5-7". Ascending, distinct.
std::vector<std::size_t> parse_layers(const std::string& layers, std::size_t layer_count);

/// Whether targets are patterns of module names (see select_stack).
bool is_module_pattern(std::string_view targets);

/// The stack of the chosen matrices in the chosen layers. Targets are what parse_targets takes, or
/// patterns of module names ("*.mlp.*", "model.layers.0.*"), in which * stands for any characters
/// and ? for one: every weight of a module with such a name. Throws UsageError where the model has
/// no such matrix, a pattern fits no module in these layers, or a fused weight is chosen together
/// with a part of it.
Stack select_stack(const SiteCatalogue& catalogue, const std::string& targets,
                   const std::string& layers);
/// The sites of these that an adapter acts on: none of `everything`, where the model's own weights
/// train in place.
Stack adapted_stack(const SiteCatalogue& catalogue, const std::string& targets,
                    const std::string& layers);

}  // namespace rankfold
