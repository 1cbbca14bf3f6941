#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "experiments/training/data.h"

namespace rankfold {

struct EvaluationRequest {
  std::filesystem::path model;
  std::filesystem::path adapter;         ///< empty: the model folder's own head is used
  std::string task;                      ///< empty: the adapter's
  std::filesystem::path data;            ///< empty where task is a table
  std::string text, label, dev, metric;  ///< of a table: see TaskChoice; empty: the adapter's
  std::string scoring, prompt;        ///< head or prompt, and one of a table; empty: see evaluate
  std::string score_on;               ///< dev or held-out; empty: the adapter's, else dev
  std::string precision;              ///< f32 or bf16; empty: the adapter's, else f32
  std::filesystem::path predictions;  ///< empty: none; else see write_predictions, or
                                      ///< write_prompt_predictions
  std::optional<std::uint64_t> seed;  ///< of the rows by prompt; none: the adapter's, else 42
  std::size_t batch = 0;              ///< 0: the adapter's, else 32
  std::size_t max_length = 0;         ///< 0: the adapter's, else 128 (by prompt: fill_scoring)
  std::size_t threads = 0;            ///< 0: all cores
  ScoringProgress progress;
};

struct Evaluation {
  std::string task;
  std::map<std::string, double> scores;
  bool constant_predictions = false;              ///< see metrics.h
  std::map<std::string, double> majority_scores;  ///< see metrics.h
  std::size_t examples = 0;
  std::vector<std::string> notes;  ///< of the rows, and of classes in another order
  double seconds = 0;
};

/// The scores on the task's dev set (see score_on): of an adapter as it was trained, of a model
/// alone by prompt where it tells next tokens and the task has a prompt, else by its own head.
/// Where the model's classes have the task's names in another order (config.json's id2label), its
/// outputs are read by name; of a table, its names are the classes. With an adapter those that its
/// run reported (same bits on the same machine with the same batch size and threads). Throws Error
/// where neither the adapter nor the model folder has a classifier, or where the adapter belongs to
/// another model or task, or the precision cannot be had here; UsageError for a wrong scoring,
/// score_on or precision, worded as check_setting does, and where rows that the adapter's run
/// trained on could be among the scored ones: a table without --dev that it did not divide by the
/// same columns, rows held out that another seed draws.
Evaluation evaluate(const EvaluationRequest& request, const Registry& registry);

}  // namespace rankfold
