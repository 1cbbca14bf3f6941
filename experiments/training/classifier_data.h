#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "experiments/tasks/task.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/training/data.h"
#include "experiments/training/feature_cache.h"
#include "experiments/training/run_data.h"

namespace rankfold {

/// Labelled texts, for a host with a head.
class ClassifierData final : public RunData {
 public:
  /// Tokenises the examples to train on and those that are scored, each cut to `max_length` tokens.
  /// The task stays. `pause` is called now and then and may throw to stop. Throws Error as
  /// encode_split and check_split.
  ClassifierData(const Task& task, const Dataset& dataset, const std::vector<Example>& scored,
                 const Tokenizer& tokenizer, std::size_t max_length, const Host& host,
                 const std::function<void()>& pause);

  std::size_t size() const override { return train_.size(); }
  std::size_t mean_batch_tokens(std::size_t batch) const override;
  Batch pack(std::span<const std::size_t> chosen) override;
  SplitScores score(Host& host, std::size_t batch, const ScoringProgress& progress) override;
  const std::map<std::string, double>& majority_scores() const override { return majority_; }
  void keep_features(Host& host, FeatureCacheSettings cache, const std::string& scored) override;

 private:
  const Task& task_;
  EncodedSplit train_, scored_;
  std::map<std::string, double> majority_;
  std::optional<FeatureCache> train_features_, scored_features_;
};

}  // namespace rankfold
