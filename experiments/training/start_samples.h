#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/adapter/adapter.h"
#include "core/adapter/method.h"
#include "experiments/training/data.h"

namespace rankfold {

/// Batches that starts read, the first of a run's first epoch.
inline constexpr std::size_t start_batches = 8;

/// Chosen examples of a run as one batch.
using BatchPacker = std::function<Batch(std::span<const std::size_t> chosen)>;

/// Starts virtual tokens before every sequence as words where their options say so: `init=text` as
/// the embeddings of the tokens of `text`, repeated or cut to their number, `init=vocabulary` as
/// those of tokens drawn by the seed, of the host in the folder `model`. Nothing for other methods
/// and starts. Throws UsageError for a text without tokens.
void start_as_words(const Method& method, const MethodSettings& settings, Adapter<float>& adapter,
                    const Host& host, const std::filesystem::path& model, std::uint64_t seed);

/// What `wanted` names, of every site of the stack: the mean of x x^T over all tokens of the first
/// batches of `examples`, without dropout; or the mean of the batches' gradients by W of a training
/// pass (with the run's dropout). The host must have the frozen network and its new head; no
/// adapter is attached when it returns.
std::vector<SiteSamples> sample_start(Host& host, const Stack& stack, StartSamples wanted,
                                      std::size_t examples, const BatchPacker& pack,
                                      std::size_t batch, std::uint64_t seed,
                                      std::shared_ptr<const Device> device);

}  // namespace rankfold
