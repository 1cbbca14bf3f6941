#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/device/device.h"
#include "core/network/stack.h"
#include "experiments/models/blocks/key_value_cache.h"

namespace rankfold {

class ConfigFile;
class ReplacedTensors;

/// Sequences of a batch packed end to end: padding does not exist.
struct Batch {
  std::vector<std::int32_t> ids, type_ids;  ///< all tokens of all sequences
  std::vector<std::size_t> starts;          ///< first token of each sequence, and the end: n + 1
  std::vector<float> labels;                ///< class index or regression target, one a sequence
  /// Of a language model: the label of every token, or left_out. The logits of a token are for the
  /// label of the next token of its sequence; the label of a first token without prefix is not
  /// read.
  std::vector<std::int32_t> targets;
  static constexpr std::int32_t left_out = -100;
  /// Of a decoder: sequence s goes on from the whole of sequence prefixes[s], which comes earlier,
  /// has no prefix itself and is computed once; no_prefix: from none. Empty: none does.
  std::vector<std::size_t> prefixes;
  /// Of a language model that chooses. Its answers are the sequences with labels that are read;
  /// answers options[g] .. options[g + 1] are the options of example g, of which labels[g] is the
  /// right one (0: the first), and the loss is the mean cross-entropy of their mean
  /// log-probabilities. Empty: the loss is that of the tokens.
  std::vector<std::size_t> options;
  /// [tokens, hidden] behind the frozen layers (Host::features), somebody else's memory; without
  /// memory the host computes them itself.
  MatrixView<const float> features;
  std::size_t sequences() const { return starts.empty() ? 0 : starts.size() - 1; }
  std::size_t tokens() const { return ids.size(); }
  /// Tokens before the first of sequence s, and the one before its token t.
  std::size_t prefix_tokens(std::size_t s) const {
    return has_prefix(prefixes, s) ? starts[prefixes[s] + 1] - starts[prefixes[s]] : 0;
  }
  std::optional<std::size_t> token_before(std::size_t s, std::size_t t) const {
    if (t > starts[s]) return t - 1;
    return has_prefix(prefixes, s) ? std::optional(starts[prefixes[s] + 1] - 1) : std::nullopt;
  }
};

/// A tensor of the host itself that is trained: the head, norms, a tensor-train head, or all.
struct TrainedTensor {
  std::string name;                  ///< as in the model's checkpoint, e.g. "classifier.weight"
  std::vector<std::size_t> shape;    ///< likewise
  std::span<float> value, gradient;  ///< the device's memory, see HostRead and HostWrite
  /// Of a classifier's head, the weight or bias of a norm, or of the network below the head.
  enum class Part { head, norm, network } part = Part::head;
  bool turned = false;  ///< its numbers lie as those of the transposed matrix
};

/// Which parts of the host train beside the adapter (`--train`). The output layer always trains.
struct TrainedParts {
  bool norms = false;        ///< every layer norm's weight and bias
  bool norm_shifts = false;  ///< their biases alone
  bool tt_head = false;      ///< the dense layer before the output becomes a trained tensor train
  bool everything = false;   ///< all tensors of the network, norms too: full fine-tuning
  std::size_t tt_rank = 5;
};

/// What a host makes of its hidden states.
enum class HostOutput {
  classifier,     ///< logits of a sequence; what makes them trains
  language_model  ///< logits of a next token, by frozen weights
};
/// What the "architectures" of a config.json name; a classifier where they name nothing.
HostOutput declared_output(const ConfigFile& config);
/// Whether a folder's model can be asked for next tokens: its family tells them, and its
/// config.json names no classifier. Throws Error as ConfigFile does.
bool tells_tokens(const std::filesystem::path& model);

struct HostSettings {
  HostOutput output = HostOutput::classifier;
  std::size_t labels = 2;
  bool regression = false;
  /// Of the checkpoint's output layer the row of each label; empty: as they stand there.
  std::vector<std::size_t> output_rows = {};
  /// Of a classifier's labels in training: each loses that share of its weight to all of them
  /// alike.
  double label_smoothing = 0;
  std::uint64_t seed = 0;  ///< of new head weights: N(0, 0.02), bias 0
  TrainedParts parts;
  /// Network dropout on embeddings, hidden states and attention; negative: as config.json says.
  double dropout = -1;
  /// Products with the encoder's frozen weights run in bfloat16 (`--precision bf16`); the head's
  /// stay in float32.
  bool bfloat16 = false;
  /// Frozen weights are drawn from `seed` instead of read (see load_random_host).
  bool random_weights = false;
  /// Stand in the place of the checkpoint's, where given.
  std::shared_ptr<ReplacedTensors> replaced = {};
};

/// A pretrained network with a classification or regression head, or one that tells next tokens,
/// all weights frozen but the trained parts. Gradients accumulate until zero_gradients.
class Host {
 public:
  virtual ~Host() = default;
  virtual const SiteCatalogue& catalogue() const = 0;
  virtual FrozenLinear<float> frozen(const Site& site) const = 0;
  /// Lets the adapter act on the sites of its stack (and gives it their frozen weights); null
  /// detaches. The adapter outlives its use.
  virtual void attach(Adapter<float>* adapter) = 0;
  virtual std::vector<TrainedTensor> trained() = 0;
  virtual void zero_gradients() = 0;
  /// Frozen tensors that the checkpoint lacks and the host drew anew: a merged model needs them.
  struct DrawnTensor {
    std::string name;
    std::vector<std::size_t> shape;
    std::span<const float> value;
  };
  virtual std::vector<DrawnTensor> drawn() const = 0;
  /// Those that HostSettings::replaced gave, by their full names.
  virtual std::vector<DrawnTensor> replaced() const = 0;
  virtual std::size_t total_parameters() const = 0;  ///< of the model with its head, no adapter
  virtual std::size_t max_tokens() const = 0;        ///< positions that the model has
  virtual std::size_t hidden_size() const = 0;       ///< width of the hidden states
  /// Dropout probabilities of training by place: hidden, attention, classifier, and pooler where
  /// the dense layer before the output has one of its own.
  virtual std::map<std::string, double> dropouts() const = 0;
  /// What a user should know of how it was loaded (new head weights), one line each.
  virtual const std::vector<std::string>& notes() const = 0;

  /// Encoder layers below everything that trains, once the adapter is attached: what leaves them is
  /// the same at every step. At most layers - 1, because the last one computes pooled rows alone; 0
  /// where the embeddings' norm trains.
  virtual std::size_t frozen_layers() const = 0;
  /// Overwrites rows [tokens, hidden] with the hidden states behind the frozen layers, without
  /// dropout: what predict and train_pass start from where a batch brings its features. Throws
  /// Error for other sizes.
  virtual void features(const Batch& batch, MatrixView<float> rows) = 0;

  /// Throws Error for a batch that predict would refuse: see check_batch.
  virtual void check(const Batch& batch) const = 0;
  /// Logits [sequences, labels], of a language model [sequences, vocabulary] of the tokens that
  /// follow, without dropout; nothing is kept for a backward.
  virtual std::vector<float> predict(const Batch& batch) = 0;
  /// One training pass: forward with dropout (masks addressed by seed and step), mean loss
  /// (cross-entropy, of a language model over all labels of the batch, or see Batch::options; or
  /// squared error for regression), backward: adds to the gradients of the trained tensors and of
  /// the adapter. Returns the loss. A batch with features must stay, with them, until the pass is
  /// over, and has seen no dropout below the first layer that trains.
  virtual double train_pass(const Batch& batch, std::uint64_t seed, std::uint64_t step) = 0;
  /// The loss of train_pass without dropout and backward.
  virtual double mean_loss(const Batch& batch) = 0;
  /// predict, keeping the hidden states: [layers + 1] of [tokens, hidden]. For parity checks.
  virtual std::vector<std::vector<float>> hidden_states(const Batch& batch) = 0;

  // Of language models. Other hosts throw Error, naming themselves.

  /// The mean log-probability of the labels of each answer of the batch (see Batch::options, which
  /// may be empty), without dropout. Logits exist for some labelled tokens at a time, for others
  /// never.
  virtual std::vector<double> answer_scores(const Batch& batch);
  /// Logits [tokens, vocabulary] of every token, without dropout. For parity checks.
  virtual std::vector<float> token_logits(const Batch& batch);
  /// For sequences of at most so many tokens each. Throws Error for more than max_tokens().
  virtual KeyValueCache make_cache(std::span<const std::size_t> tokens) const;
  /// Logits [sequences, vocabulary] of the tokens that follow the batch, whose sequence s goes on
  /// sequence cached[s] of the cache and is added to it; they rise. Throws Error where they have no
  /// room.
  virtual std::vector<float> next_logits(const Batch& batch, std::span<const std::size_t> cached,
                                         KeyValueCache& cache);
  /// The same of one sequence.
  KeyValueCache make_cache(std::size_t tokens) const { return make_cache({&tokens, 1}); }
  std::vector<float> next_logits(std::span<const std::int32_t> ids, KeyValueCache& cache);
};

/// Reads a model folder as the Hub lays it out (config.json, model.safetensors or shards). Frozen
/// weights stay memory-mapped. Names with and without the family's prefix ("bert.") are found.
/// Throws Error naming the file, the tensor, what was found and what was expected: an architecture
/// that is not known here or not with that output, a missing tensor, a wrong shape, a number that
/// is not finite; or where bfloat16 is asked for and cannot be had (bfloat16_obstacle).
std::unique_ptr<Host> load_host(const std::filesystem::path& folder, const HostSettings& settings,
                                std::shared_ptr<const Device> device);

/// A host with the sizes of a built-in shape or of a folder's config.json and random weights
/// N(0, 0.02) (norms 1 and 0, biases 0), in memory: for measuring speed. Throws UsageError where
/// the name is neither or no host computes the family; Error as load_host does.
std::unique_ptr<Host> load_random_host(const std::string& name_or_folder, HostSettings settings,
                                       std::shared_ptr<const Device> device);

}  // namespace rankfold
