#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "experiments/runs/settings.h"
#include "experiments/tasks/prompt_data.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/training/prompt_score.h"
#include "experiments/training/prompt_split.h"
#include "experiments/training/run_data.h"

namespace rankfold {

/// Throws UsageError where settings of a run that is scored by prompt are for a head: trained parts
/// of one, smoothed labels; for examples that stand alone (cache-features); or the model tells no
/// next tokens.
void check_prompted(const RunSettings& settings, bool tells_tokens);

/// Rows that a language model is asked in words.
class PromptedData final : public RunData {
 public:
  /// Tokenises the examples to train on and those that are scored. The task stays; `model` is the
  /// folder that tells which tokens end a text. Throws Error as encode_prompts, check_prompts and
  /// answer_generation.
  PromptedData(const PromptTask& task, const std::vector<PromptExample>& train,
               const std::vector<PromptExample>& scored, std::unique_ptr<Tokenizer> tokenizer,
               const std::filesystem::path& model, std::size_t max_length, const Host& host,
               const std::function<void()>& pause);

  std::size_t size() const override { return train_.size(); }
  std::size_t mean_batch_tokens(std::size_t batch) const override;
  Batch pack(std::span<const std::size_t> chosen) override;
  SplitScores score(Host& host, std::size_t batch, const ScoringProgress& progress) override;
  const std::map<std::string, double>& majority_scores() const override { return majority_; }
  void keep_features(Host& host, FeatureCacheSettings cache, const std::string& scored) override;
  /// Of what was cut, of both splits: see cut_note.
  std::string cut_note(std::size_t max_length) const;

 private:
  const PromptTask& task_;
  std::unique_ptr<Tokenizer> tokenizer_;
  PromptSplit train_, scored_;
  AnswerGeneration generation_;
  std::map<std::string, double> majority_;
};

/// A line that tells how many examples were cut, and how many in their last field; "" of none.
std::string cut_note(std::size_t cut, std::size_t lost, std::size_t max_length);

}  // namespace rankfold
