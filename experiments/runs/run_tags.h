#pragma once

#include <string>

namespace rankfold {

// Tags of the scalars that runs log and results are made of.

/// The tag of a score: "eval/" and Hugging Face's name, under which LoTR's tools look for it
/// ("eval/spearmanr").
std::string score_tag(const std::string& metric);
/// The metric that a tag tells, "" for none (other numbers of an evaluation: loss, runtime, ...).
std::string metric_of_tag(const std::string& tag);

/// Counts of parameters: of the adapter, and with the head.
inline constexpr const char* adapter_count_tag = "parameters/adapter";
inline constexpr const char* trainable_count_tag = "parameters/trainable";

/// Of the rows that were scored: 1 where the run gave every row one class (or one number), else 0;
/// the main score of the largest class given to every row.
inline constexpr const char* constant_predictions_tag = "scored/constant_predictions";
inline constexpr const char* majority_score_tag = "scored/majority_score";

}  // namespace rankfold
