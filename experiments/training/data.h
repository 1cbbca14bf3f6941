#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "experiments/models/host.h"
#include "experiments/tasks/task.h"
#include "experiments/tokenizers/tokenizer.h"

namespace rankfold {

/// A split as the model reads it: one encoding and label an example.
struct EncodedSplit {
  std::vector<Encoding> sequences;
  std::vector<float> labels;
  std::vector<std::size_t> parts;  ///< see Task::parts
  std::size_t size() const { return sequences.size(); }
};

/// work(i) for every example, by all threads. `pause` is called now and then and may throw to stop.
/// Throws what the first example threw of those that did.
void for_all_examples(std::size_t examples, const std::function<void()>& pause,
                      const std::function<void(std::size_t)>& work);

/// Tokenises all examples (in parallel; the result does not depend on the threads), each cut to
/// `max_length` tokens. `pause` is called now and then and may throw to stop. Throws Error naming
/// the file, from which they are (by Example::part), and the line of a text that has no tokens.
EncodedSplit encode_split(const std::vector<Example>& examples,
                          const std::vector<std::filesystem::path>& files,
                          const Tokenizer& tokenizer, std::size_t max_length,
                          const std::function<void()>& pause = {});

/// Throws UsageError where --max-length is more than the host's positions.
void check_max_length(std::size_t max_length, const Host& host, const std::filesystem::path& model);

/// Throws Error naming file and line of an example that the host cannot take: a tokenizer that
/// belongs to another model.
void check_split(const EncodedSplit& split, const std::vector<Example>& examples,
                 const std::vector<std::filesystem::path>& files, const Host& host);

/// Tokens of a batch of that many examples, on average; at least 1.
std::size_t mean_batch_tokens(const EncodedSplit& split, std::size_t batch);

/// The chosen examples end to end as one packed batch.
Batch pack(const EncodedSplit& split, std::span<const std::size_t> chosen);

/// The batches of an epoch (1-based): a permutation of all examples, addressed by (seed, "shuffle",
/// epoch), cut into pieces of `batch`; the last one may be shorter and is kept.
std::vector<std::vector<std::size_t>> epoch_batches(std::size_t examples, std::size_t batch,
                                                    std::uint64_t seed, std::size_t epoch);

class FeatureCache;

/// How many of all examples are scored.
using ScoringProgress = std::function<void(std::size_t done, std::size_t examples)>;

/// Logits [examples, labels] in the order of the split. The batches hold examples of like length,
/// because a batch takes as long as its longest sequences where threads share the work. `progress`
/// is told after every batch. The batches get features where the split has a cache of them.
std::vector<float> predict_split(Host& host, const EncodedSplit& split, std::size_t batch,
                                 std::size_t labels, const ScoringProgress& progress = {},
                                 FeatureCache* features = nullptr);

}  // namespace rankfold
