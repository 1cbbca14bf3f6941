#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "experiments/models/host.h"
#include "experiments/tasks/prompt_task.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/training/data.h"
#include "experiments/training/prompt_split.h"

namespace rankfold {

/// How answers are generated: greedily, until a token that ends them. `tokenizer` must stay.
struct AnswerGeneration {
  const Tokenizer* tokenizer = nullptr;
  std::vector<std::int32_t> ends;
};

/// Answers end with a line, or with a text as the model's folder says (end_tokens). Throws Error as
/// that does.
AnswerGeneration answer_generation(const Tokenizer& tokenizer, const std::filesystem::path& model);

/// What a language model makes of a split, example by example.
struct PromptScores {
  std::map<std::string, double> scores;            ///< the task's metrics, 0 to 1
  double loss = 0;                                 ///< as in training, over the split
  std::vector<std::vector<double>> option_scores;  ///< mean log-probability of each option
  std::vector<std::size_t> predictions;            ///< the option of the largest, first of equals
  std::vector<std::string> texts;                  ///< generated answers
  /// Whether several examples were all given the same option or text, not right for all where each
  /// has answers of its own: then a score says nothing of the network.
  bool constant = false;
};

/// Scores by the mean log-probability of each option's tokens: accuracy; or of a generated answer
/// the best F1 and exact match of all right ones. Batches of `batch` examples hold those of like
/// length; options of an example share the computation of their prompt. The loss is the mean over
/// examples, or with PromptLoss::tokens over the tokens of the right options. `progress` is told
/// after every batch. Throws Error where the task generates and there is no tokenizer, or as
/// Host::check.
PromptScores score_prompts(Host& host, const PromptTask& task, const PromptSplit& split,
                           std::size_t batch, const ScoringProgress& progress = {},
                           const AnswerGeneration& generation = {});

/// The share of the examples that are right where every one is given the same option, the best such
/// one: what a score is compared with. Nothing where examples have options of their own.
std::map<std::string, double> majority_scores(const PromptTask& task, const PromptSplit& split);

/// Writes one row an example as TSV, atomically: index, prediction, label, right (1 or 0), scores
/// (of all options, with blanks between them) and prompt; of generated answers their f1 and
/// exact_match in the place of right and scores. A tab or line end in a text is a space.
void write_prompt_predictions(const std::filesystem::path& file, const PromptTask& task,
                              const std::vector<PromptExample>& examples,
                              const PromptScores& result);

}  // namespace rankfold
