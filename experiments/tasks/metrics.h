#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "experiments/tasks/task.h"

namespace rankfold {

// Predictions and labels have the same length n >= 1; sums are in double. All throw Error where the
// lengths differ or n is 0. Classes are written as the numbers 0 and 1. Checked against
// scikit-learn and SciPy (tests/golden/tasks/ORIGIN.md).

/// The share of equal entries, 0 to 1.
double accuracy(std::span<const float> predictions, std::span<const float> labels);

/// (TP TN - FP FN) / sqrt((TP + FP) (TP + FN) (TN + FP) (TN + FN)), -1 to 1, of classes 0 and 1; 0
/// where a factor of the denominator is 0 (predictions or labels are all of one class), as
/// scikit-learn has it. Throws Error on another class.
double matthews_correlation(std::span<const float> predictions, std::span<const float> labels);

/// 2 TP / (2 TP + FP + FN), 0 to 1, with class 1 as the positive one; 0 where the denominator is 0.
/// Throws Error on a class other than 0 and 1.
double f1(std::span<const float> predictions, std::span<const float> labels);

/// The correlation coefficient, -1 to 1. Where either side is constant (or n = 1) it is undefined;
/// SciPy returns not-a-number. Here it is **0**: a model that answers everything alike has learnt
/// nothing, it may not drop out of a mean over seeds, and Matthews' coefficient, which is the same
/// one on classes, is 0 there too. Throws Error on an entry that is not finite.
double pearson(std::span<const float> predictions, std::span<const float> labels);

/// Pearson's coefficient of the ranks; equal values share the average of their ranks. 0 where
/// either side is constant, as above. Throws Error on an entry that is not finite.
double spearman(std::span<const float> predictions, std::span<const float> labels);

/// The names of all metrics; throws UsageError with the nearest one for another.
const std::vector<std::string>& metric_names();
/// Whether a metric is of numbers, not classes.
bool is_correlation_metric(const std::string& name);
/// Whether a metric of classes knows only two.
bool needs_two_classes(const std::string& name);

/// What a network's output predicts. `logits` is rows x task.labels, row-major. Classification: the
/// class of the largest logit, the lowest of equals; regression: the value. Throws Error naming the
/// task where the size is no multiple of task.labels or an entry is not finite (a diverged network
/// has no score).
std::vector<float> predict(const Task& task, std::span<const float> logits);

/// The task's metrics by name, of logits (rows x task.labels, row-major) and labels (rows). Of a
/// task whose rows come in parts, `parts` has each row's (empty: all are of the first), and every
/// part its own scores: "accuracy", "accuracy_mismatched". A part without rows has none.
std::map<std::string, double> score(const Task& task, std::span<const float> logits,
                                    std::span<const float> labels,
                                    std::span<const std::size_t> parts = {});

/// The mean over the rows of the cross-entropy, -log softmax(logits)[label], or for regression of
/// the squared error: summed over all rows, then divided. Throws Error naming the task where the
/// sizes differ or there are no rows; not finite where a logit is not.
double mean_loss(const Task& task, std::span<const float> logits, std::span<const float> labels);

/// Whether every row was given one class, or one number: then a score says nothing of the network.
/// False for fewer than two rows. Throws Error as `predict` does.
bool constant_predictions(const Task& task, std::span<const float> logits);

/// The task's metrics of a network that gives every row the largest class of `labels` (the lowest
/// of equals); empty for regression, where a constant has no score. Parts as in score.
std::map<std::string, double> majority_scores(const Task& task, std::span<const float> labels,
                                              std::span<const std::size_t> parts = {});

/// Writes one row per example as TSV, atomically: header and columns index (0-based position in the
/// split), prediction, label, for classification logit_0, logit_1, ..., and the text: sentence, or
/// sentence1 and sentence2, a tab or line break in it as a space. Numbers are the shortest text
/// that reads back as the same float. Throws Error as `predict` does, and naming the file.
void write_predictions(const std::filesystem::path& file, const Task& task,
                       std::span<const Example> rows, std::span<const float> logits);

}  // namespace rankfold
