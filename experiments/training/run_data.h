#pragma once

#include <cstddef>
#include <map>
#include <span>
#include <string>

#include "experiments/models/host.h"
#include "experiments/training/data.h"
#include "experiments/training/feature_cache.h"

namespace rankfold {

/// What scoring found of the examples.
struct SplitScores {
  bool finite = true;  ///< otherwise the rest says nothing
  double loss = 0;     ///< the mean, as in training but for smoothing of labels
  std::map<std::string, double> scores;
  /// Whether every example got the same answer: then a score says nothing of the network.
  bool constant = false;
};

/// The examples of a run as its host reads them: those that it trains on, and those that it is
/// scored by.
class RunData {
 public:
  virtual ~RunData() = default;

  virtual std::size_t size() const = 0;  ///< to train on
  /// Tokens of a batch of that many of them, on average; at least 1.
  virtual std::size_t mean_batch_tokens(std::size_t batch) const = 0;
  /// The chosen ones as one batch, which stays until the next call.
  virtual Batch pack(std::span<const std::size_t> chosen) = 0;
  /// Of the host as it is now. `progress` is told after every batch and may throw to stop.
  virtual SplitScores score(Host& host, std::size_t batch, const ScoringProgress& progress) = 0;
  /// What always giving the most frequent answer would score; empty where that is unknown.
  virtual const std::map<std::string, double>& majority_scores() const = 0;

  /// From now on batches bring what leaves the frozen layers, kept in files; the scored examples'
  /// under the name `scored`. The host stays. Throws UsageError where these examples have none.
  virtual void keep_features(Host& host, FeatureCacheSettings cache, const std::string& scored) = 0;
};

}  // namespace rankfold
