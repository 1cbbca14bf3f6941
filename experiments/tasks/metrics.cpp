#include "experiments/tasks/metrics.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <iterator>
#include <numeric>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using Metric = double (*)(std::span<const float>, std::span<const float>);

void check_sizes(std::string_view metric, std::span<const float> predictions,
                 std::span<const float> labels) {
  if (predictions.size() != labels.size() || predictions.empty()) {
    throw Error("{}: found {} predictions for {} labels, expected the same number, at least 1",
                metric, predictions.size(), labels.size());
  }
}

void check_finite(std::string_view what, std::span<const float> values) {
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i])) {
      throw Error("{}: found {} at position {}, expected finite numbers", what, values[i], i);
    }
  }
}

struct Confusion {
  double true_positive = 0, false_positive = 0, false_negative = 0, true_negative = 0;
};

Confusion count_outcomes(std::string_view metric, std::span<const float> predictions,
                         std::span<const float> labels) {
  check_sizes(metric, predictions, labels);
  Confusion counts;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    for (float value : {predictions[i], labels[i]}) {
      if (value != 0.0F && value != 1.0F) {
        throw Error("{}: found class {} at position {}, expected 0 or 1", metric, value, i);
      }
    }
    if (labels[i] == 1.0F) {
      ++(predictions[i] == 1.0F ? counts.true_positive : counts.false_negative);
    } else {
      ++(predictions[i] == 1.0F ? counts.false_positive : counts.true_negative);
    }
  }
  return counts;
}

bool is_constant(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [&](double v) { return v == values[0]; });
}

/// values minus their mean. Constant sides are told apart before: rounding of the mean would leave
/// a tiny spread.
std::vector<double> centre(std::span<const double> values) {
  const double mean =
      std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  std::vector<double> centred;
  centred.reserve(values.size());
  for (double value : values) centred.push_back(value - mean);
  return centred;
}

double correlate(const std::vector<double>& x, const std::vector<double>& y) {
  if (is_constant(x) || is_constant(y)) return 0.0;
  const std::vector<double> a = centre(x);
  const std::vector<double> b = centre(y);
  const double ab = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
  const double aa = std::inner_product(a.begin(), a.end(), a.begin(), 0.0);
  const double bb = std::inner_product(b.begin(), b.end(), b.begin(), 0.0);
  return std::clamp(ab / (std::sqrt(aa) * std::sqrt(bb)), -1.0, 1.0);
}

/// Ranks from 1; a run of equal values shares its average rank.
std::vector<double> rank_values(std::span<const float> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t i, std::size_t j) { return values[i] < values[j]; });
  std::vector<double> ranks(values.size());
  for (std::size_t first = 0; first < order.size();) {
    std::size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    const double rank = static_cast<double>(first + last) / 2.0 + 1.0;
    for (; first <= last; ++first) ranks[order[first]] = rank;
  }
  return ranks;
}

std::string in_one_cell(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

struct KnownMetric {
  std::string name;
  Metric compute;
  bool of_numbers = false;
  bool of_two_classes = false;
};

const std::vector<KnownMetric>& known_metrics() {
  static const std::vector<KnownMetric> table = {
      {"accuracy", accuracy},
      {"matthews_correlation", matthews_correlation, false, true},
      {"f1", f1, false, true},
      {"pearson", pearson, true},
      {"spearman", spearman, true}};
  return table;
}

const KnownMetric& find_metric(const std::string& name) {
  const auto found = std::ranges::find(known_metrics(), name, &KnownMetric::name);
  if (found == known_metrics().end()) throw unknown_name("metric", name, metric_names());
  return *found;
}

/// The task's metrics of each part's rows.
std::map<std::string, double> scores_of(const Task& task, std::span<const float> predictions,
                                        std::span<const float> labels,
                                        std::span<const std::size_t> parts) {
  if (!parts.empty() && (parts.size() != labels.size() || predictions.size() != labels.size()))
    throw Error("task '{}': found {} predictions and parts of {} rows for {} labels", task.name,
                predictions.size(), parts.size(), labels.size());
  std::map<std::string, double> scores;
  const std::size_t count = parts.empty() ? 1 : std::max<std::size_t>(1, task.parts.size());
  for (std::size_t part = 0; part < count; ++part) {
    std::vector<float> of_part[2];
    for (std::size_t i = 0; i < labels.size() && count > 1; ++i) {
      if (parts[i] != part) continue;
      of_part[0].push_back(predictions[i]);
      of_part[1].push_back(labels[i]);
    }
    if (count > 1 && of_part[0].empty()) continue;
    for (const std::string& name : task.metrics) {
      const std::string ending = part == 0 ? "" : '_' + task.parts[part];
      scores[name + ending] = count == 1 ? find_metric(name).compute(predictions, labels)
                                         : find_metric(name).compute(of_part[0], of_part[1]);
    }
  }
  return scores;
}

}  // namespace

const std::vector<std::string>& metric_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const KnownMetric& metric : known_metrics()) all.push_back(metric.name);
    return all;
  }();
  return names;
}

bool is_correlation_metric(const std::string& name) {
  return find_metric(name).of_numbers;
}

bool needs_two_classes(const std::string& name) {
  return find_metric(name).of_two_classes;
}

double accuracy(std::span<const float> predictions, std::span<const float> labels) {
  check_sizes("accuracy", predictions, labels);
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += predictions[i] == labels[i] ? 1 : 0;
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

double matthews_correlation(std::span<const float> predictions, std::span<const float> labels) {
  const auto [tp, fp, fn, tn] = count_outcomes("matthews_correlation", predictions, labels);
  const double denominator =
      std::sqrt(tp + fp) * std::sqrt(tp + fn) * std::sqrt(tn + fp) * std::sqrt(tn + fn);
  if (denominator == 0) return 0.0;
  return std::clamp((tp * tn - fp * fn) / denominator, -1.0, 1.0);
}

double f1(std::span<const float> predictions, std::span<const float> labels) {
  const auto [tp, fp, fn, tn] = count_outcomes("f1", predictions, labels);
  const double denominator = 2 * tp + fp + fn;
  return denominator == 0 ? 0.0 : 2 * tp / denominator;
}

double pearson(std::span<const float> predictions, std::span<const float> labels) {
  check_sizes("pearson", predictions, labels);
  check_finite("pearson", predictions);
  check_finite("pearson", labels);
  return correlate({predictions.begin(), predictions.end()}, {labels.begin(), labels.end()});
}

double spearman(std::span<const float> predictions, std::span<const float> labels) {
  check_sizes("spearman", predictions, labels);
  check_finite("spearman", predictions);
  check_finite("spearman", labels);
  return correlate(rank_values(predictions), rank_values(labels));
}

std::vector<float> predict(const Task& task, std::span<const float> logits) {
  if (logits.size() % task.labels != 0) {
    throw Error("task '{}': found {} logits, expected a multiple of {}", task.name, logits.size(),
                task.labels);
  }
  check_finite(fmt::format("task '{}': logits", task.name), logits);
  std::vector<float> predictions;
  predictions.reserve(logits.size() / task.labels);
  for (std::size_t i = 0; i < logits.size(); i += task.labels) {
    const auto row = logits.subspan(i, task.labels);
    const auto best = std::max_element(row.begin(), row.end());
    predictions.push_back(task.regression ? row[0] : static_cast<float>(best - row.begin()));
  }
  return predictions;
}

std::map<std::string, double> score(const Task& task, std::span<const float> logits,
                                    std::span<const float> labels,
                                    std::span<const std::size_t> parts) {
  return scores_of(task, predict(task, logits), labels, parts);
}

bool constant_predictions(const Task& task, std::span<const float> logits) {
  const std::vector<float> predictions = predict(task, logits);
  return predictions.size() > 1 &&
         std::ranges::adjacent_find(predictions, std::not_equal_to()) == predictions.end();
}

std::map<std::string, double> majority_scores(const Task& task, std::span<const float> labels,
                                              std::span<const std::size_t> parts) {
  if (task.regression) return {};
  std::vector<std::size_t> counts(task.labels);
  for (const float label : labels) ++counts.at(static_cast<std::size_t>(label));
  const auto largest = std::ranges::max_element(counts) - counts.begin();
  const std::vector<float> predictions(labels.size(), static_cast<float>(largest));
  return scores_of(task, predictions, labels, parts);
}

double mean_loss(const Task& task, std::span<const float> logits, std::span<const float> labels) {
  if (labels.empty() || logits.size() != labels.size() * task.labels)
    throw Error("task '{}': found {} logits for {} rows, expected {} a row", task.name,
                logits.size(), labels.size(), task.labels);
  double sum = 0;
  for (std::size_t row = 0; row < labels.size(); ++row) {
    const std::span<const float> scores = logits.subspan(row * task.labels, task.labels);
    if (task.regression) {
      const double error = static_cast<double>(scores[0]) - labels[row];
      sum += error * error;
      continue;
    }
    const double highest = *std::max_element(scores.begin(), scores.end());
    double total = 0;
    for (const float score : scores) total += std::exp(score - highest);
    sum += std::log(total) + highest - scores[static_cast<std::size_t>(labels[row])];
  }
  return sum / static_cast<double>(labels.size());
}

void write_predictions(const std::filesystem::path& file, const Task& task,
                       std::span<const Example> rows, std::span<const float> logits) {
  const std::vector<float> predictions = predict(task, logits);
  if (predictions.size() != rows.size() || rows.empty())
    throw Error("{}: task '{}': found {} predictions for {} rows, expected the same number",
                printable(file.string()), task.name, predictions.size(), rows.size());
  std::string text = "index\tprediction\tlabel";
  auto out = std::back_inserter(text);
  if (!task.regression) {
    for (std::size_t k = 0; k < task.labels; ++k) fmt::format_to(out, "\tlogit_{}", k);
  }
  text += task.has_pair ? "\tsentence1\tsentence2\n" : "\tsentence\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    fmt::format_to(out, "{}\t{}\t{}", i, predictions[i], rows[i].label);
    if (!task.regression) {
      for (float logit : logits.subspan(i * task.labels, task.labels)) {
        fmt::format_to(out, "\t{}", logit);
      }
    }
    text += '\t' + in_one_cell(rows[i].text);
    if (task.has_pair) text += '\t' + in_one_cell(rows[i].pair);
    text += '\n';
  }
  write_atomically(file, text);
}

}  // namespace rankfold
