#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/network/stack.h"

namespace rankfold {

class ConfigFile;
struct Family;

/// The sizes of a transformer, without its weights: all that counting needs.
struct ModelShape {
  std::string name;    ///< short name on the Hub, or the folder's
  std::string family;  ///< "bert", "llama", ...: see families/family.h
  std::size_t layers = 0;
  std::size_t distinct_layers = 0;  ///< layers with weights of their own: 1 for ALBERT
  std::size_t hidden = 0, intermediate = 0;
  std::size_t heads = 0, key_value_heads = 0, head_size = 0;
  std::size_t vocabulary = 0;     ///< rows of the token embedding; 0 for vit
  std::size_t positions = 0;      ///< the longest input in tokens (vit: patches and class token)
  std::size_t position_rows = 0;  ///< of the learned position embedding; 0: none
  std::size_t token_types = 0;
  std::size_t embedding = 0;      ///< width of the token embedding: hidden, or ALBERT's, DeBERTa's
  std::size_t relative_rows = 0;  ///< of DeBERTa's relative position embedding
  std::size_t patch_values = 0;   ///< vit: numbers in one patch (3 * 16 * 16)
  bool attention_bias = true;     ///< q, k and v have biases,
  bool attention_output_bias = true;  ///< so has o,
  bool mlp_bias = true;               ///< and so have gate, up and down
  bool head_norms = false;            ///< q and k pass a norm of each head
  /// Tokens that the attention of each layer sees, 0: all; empty where all layers see all.
  std::vector<std::size_t> windows = {};
  bool tied_output = false;  ///< a language model's output has the token embedding's weight
  /// DeBERTa: projections of positions beside k and q, a norm over the relative embedding (v2),
  /// mixing of heads (v1), and a convolution beside the first layer (v2; width 0: none).
  bool position_keys = false, position_queries = false, relative_norm = false,
       talking_heads = false;
  std::size_t convolution = 0, convolution_groups = 1;
  /// Weights without any head (no classifier, no language model head). Encoders whose classifier
  /// reads a pooler (ALBERT, BERT) are counted with it.
  std::size_t parameters = 0;
};

/// roberta-base, llama-2-7b, ...: by name.
const std::vector<ModelShape>& built_in_shapes();

/// A built-in shape by name, or that of a model folder from its config.json. Throws UsageError with
/// the nearest name where it is neither; Error naming config.json and the key: see
/// expect_known_config, and sizes that do not fit together.
ModelShape find_shape(const std::string& name_or_folder);
ModelShape read_shape(const std::filesystem::path& folder);
/// The same from a config.json whose keys are known to be the family's; without the name.
ModelShape read_shape(const ConfigFile& config, const Family& family);

/// Every adaptable matrix under the module names of Hugging Face. ALBERT has one site a matrix type
/// (its layers share their weights). Where q, k and v are one module (DeBERTa's in_proj, GPT-2's
/// c_attn) the site in_proj is all of it; its parts q, k and v are named "<module>.q" and so on,
/// and without a choice the whole is adapted. The pooler is of the last layer, the embedding_map of
/// the first. Adapters sit after o and down in encoders, at gate, up and down in Llama.
SiteCatalogue catalogue(const ModelShape& shape);

/// Where a checkpoint keeps the weight of a site: rows of the weight [rows, in] of a module, which
/// the file has as [in, rows] where transposed. Runs of `run` rows lie together, their beginnings
/// `step` rows apart: a part's rows of each head, or one run of all.
struct StoredMatrix {
  std::string module;
  std::size_t rows = 0, first_row = 0, run = 1, step = 1;
  bool transposed = false;

  bool lies_together(std::size_t out) const { return out <= run || run == step; }
  /// Where the module has row `row` of the site.
  std::size_t row(std::size_t row) const { return first_row + row / run * step + row % run; }
  /// Where the file has row `row` and column `column` of the site, of `in` columns.
  std::size_t place(std::size_t row, std::size_t column, std::size_t in) const {
    return transposed ? column * rows + this->row(row) : this->row(row) * in + column;
  }
};
StoredMatrix stored_matrix(const ModelShape& shape, const Site& site);

/// The output layer of a language model, where its checkpoint has one.
inline constexpr const char* token_output_tensor = "lm_head.weight";

/// Where a checkpoint keeps the bias of one row of a site: number `place` of a tensor of `size`
/// numbers; "" where it has none (Llama's, DeBERTa's keys).
struct StoredBias {
  std::string tensor;
  std::size_t size = 0, place = 0;
};
StoredBias stored_bias(const ModelShape& shape, const Site& site, std::size_t row);

/// Weights and biases of every norm: encoders (2 layers + 1) * 2 hidden, and DeBERTa-v2's further
/// ones.
std::size_t norm_parameters(const ModelShape& shape);
/// Their biases alone; 0 of RMS norms.
std::size_t norm_shift_parameters(const ModelShape& shape);
/// Everything that full fine-tuning of a classifier trains but its head; of a language model, but
/// an output layer that is not tied to the embedding.
std::size_t parameters_below_head(const ModelShape& shape);
/// The trained head of a classifier with `labels` outputs: RoBERTa's dense and out_proj, of others
/// the output layer alone.
std::size_t head_parameters(const ModelShape& shape, std::size_t labels);
/// labels * hidden, and a bias where the family has one.
std::size_t output_parameters(const ModelShape& shape, std::size_t labels);
/// LoRETTA's head: the dense hidden x hidden layer before the output as a tensor train of `rank`,
/// and its bias; its modes are those of loretta_shape (12,8,8,8,8,12 for 768). Throws UsageError
/// where the family has no such layer (gpt2, llama, vit).
std::size_t tensor_train_head_parameters(const ModelShape& shape, std::size_t rank);

/// Trained parts of the model beside the adapter: the sum over "norms", "norm-shifts", "head",
/// "tt-head" and "output" of a comma list; "" is 0. Throws UsageError for an unknown or repeated
/// part, for norms with norm-shifts, for tt-head with head, and for output with head (which holds
/// it).
std::size_t trained_part_parameters(const ModelShape& shape, const std::string& parts,
                                    std::size_t labels, std::size_t rank);

}  // namespace rankfold
