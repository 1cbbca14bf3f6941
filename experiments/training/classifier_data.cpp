#include "experiments/training/classifier_data.h"

#include <algorithm>
#include <cmath>

#include "experiments/tasks/metrics.h"

namespace rankfold {

ClassifierData::ClassifierData(const Task& task, const Dataset& dataset,
                               const std::vector<Example>& scored, const Tokenizer& tokenizer,
                               std::size_t max_length, const Host& host,
                               const std::function<void()>& pause)
    : task_(task) {
  const std::vector<std::filesystem::path> train_files = {dataset.train_file};
  train_ = encode_split(dataset.train, train_files, tokenizer, max_length, pause);
  scored_ = encode_split(scored, dataset.scored_files, tokenizer, max_length, pause);
  check_split(train_, dataset.train, train_files, host);
  check_split(scored_, scored, dataset.scored_files, host);
  majority_ = rankfold::majority_scores(task_, scored_.labels, scored_.parts);
}

std::size_t ClassifierData::mean_batch_tokens(std::size_t batch) const {
  return rankfold::mean_batch_tokens(train_, batch);
}

Batch ClassifierData::pack(std::span<const std::size_t> chosen) {
  Batch batch = rankfold::pack(train_, chosen);
  if (train_features_) train_features_->add_features(batch, chosen);
  return batch;
}

SplitScores ClassifierData::score(Host& host, std::size_t batch, const ScoringProgress& progress) {
  const std::vector<float> logits = predict_split(host, scored_, batch, task_.labels, progress,
                                                  scored_features_ ? &*scored_features_ : nullptr);
  SplitScores result;
  result.finite = std::ranges::all_of(logits, [](float logit) { return std::isfinite(logit); });
  if (!result.finite) return result;
  result.loss = mean_loss(task_, logits, scored_.labels);
  result.scores = rankfold::score(task_, logits, scored_.labels, scored_.parts);
  result.constant = constant_predictions(task_, logits);
  return result;
}

void ClassifierData::keep_features(Host& host, FeatureCacheSettings cache,
                                   const std::string& scored) {
  train_features_.emplace(host, train_, "train", cache);
  cache.limit -= train_features_->bytes();
  scored_features_.emplace(host, scored_, scored, cache);
}

}  // namespace rankfold
