#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "core/adapter/adapter.h"
#include "experiments/training/data.h"

namespace rankfold {

/// Batches that starts read, the first of a run's first epoch.
inline constexpr std::size_t start_batches = 8;

/// What `wanted` names, of every site of the stack: the mean of x x^T over all tokens of the first
/// batches, without dropout; or the mean of the batches' gradients by W of a training pass (with
/// the run's dropout). The host must have the frozen network and its new head; no adapter is
/// attached when it returns.
std::vector<SiteSamples> sample_start(Host& host, const Stack& stack, StartSamples wanted,
                                      const EncodedSplit& split, std::size_t batch,
                                      std::uint64_t seed, std::shared_ptr<const Device> device);

}  // namespace rankfold
