#include "experiments/training/run_log.h"

#include <cmath>
#include <cstdint>

#include <nlohmann/json.hpp>

#include "analysis/logs/event_reader.h"
#include "core/base/files.h"
#include "experiments/runs/run_file.h"
#include "experiments/runs/run_tags.h"
#include "experiments/runs/settings.h"

namespace rankfold {
namespace {

HyperParameterValues hyper_parameters(const RunSettings& settings) {
  HyperParameterValues values;
  const nlohmann::ordered_json document = settings_document(settings);
  for (const auto& [name, value] : document.items()) {
    if (is_incidental(name) || name == "data") continue;
    if (name == "model")
      values[name] = model_name(settings.text("model"));
    else if (value.is_number())
      values[name] = value.get<double>();
    else
      values[name] = value.is_string() ? value.get<std::string>() : value.dump();
  }
  return values;
}

/// Whether an event file has no whole record but everybody's first, the version: what a process
/// leaves that ends while it makes the file.
bool holds_nothing(const std::filesystem::path& file) {
  constexpr std::uint64_t version_record = 64;
  EventFileReader reader(file);
  std::vector<ScalarView> scalars;
  const bool whole = reader.next(scalars);
  if (whole && (!scalars.empty() || reader.valid_size() > version_record || reader.next(scalars)))
    return false;
  if (whole || reader.damage()) return !reader.damage();
  // Of a short length that was cut off with its checksum all bytes but the first are 0.
  std::error_code failure;
  if (std::filesystem::file_size(file, failure) >= record_header) return true;
  const std::string begin = read_text(file).substr(0, sizeof(std::uint64_t));
  return begin.find_first_not_of('\0', 1) == begin.npos;
}

}  // namespace

RunLog::RunLog(const std::filesystem::path& folder, const RunSettings& settings) : events_(folder) {
  events_.start_session(hyper_parameters(settings));
}

void RunLog::parameters(const ParameterCounts& counts, std::size_t step) {
  const auto at = static_cast<std::int64_t>(step);
  events_.exact_scalar(adapter_count_tag, static_cast<double>(counts.adapter), at);
  events_.exact_scalar(trainable_count_tag, static_cast<double>(counts.trainable), at);
}

void RunLog::scalar(const std::string& tag, double value, std::size_t step) {
  events_.scalar(tag, value, static_cast<std::int64_t>(step));
  entries_.push_back({tag, value, step});
}

void RunLog::scores(const std::map<std::string, double>& scores, std::size_t step) {
  for (const auto& [metric, value] : scores) scalar(score_tag(metric), value, step);
}

void RunLog::judgement(bool constant_predictions, std::optional<double> majority_score,
                       std::size_t step) {
  scalar(constant_predictions_tag, constant_predictions ? 1 : 0, step);
  if (majority_score) scalar(majority_score_tag, *majority_score, step);
}

void RunLog::finish(const RunResult& result, std::size_t step) {
  double loss = 0;
  for (const EpochResult& epoch : result.epochs) loss += epoch.loss;
  scalar("train/train_loss", loss / static_cast<double>(result.epochs.size()), step);
  scalar("train/train_runtime", result.train_seconds, step);
  scalar("train/train_samples_per_second", result.examples_per_second, step);
  // Where ranks adapt, they are others than at the start.
  if (!result.ranks.empty()) parameters(result.parameters, step);
  if (!result.evaluations.empty() && result.evaluations.back().step != result.kept_step)
    for (const EvaluationResult& kept : result.evaluations)
      if (kept.step == result.kept_step) {
        scores(kept.scores, step + 1);
        scalar(constant_predictions_tag, kept.constant_predictions ? 1 : 0, step + 1);
      }
  events_.end_session(true);
  events_.flush();
}

void RunLog::finish_diverged(const std::map<std::string, double>& earlier_scores,
                             std::size_t step) {
  for (const auto& [metric, value] : earlier_scores) scalar(score_tag(metric), std::nan(""), step);
  events_.end_session(false);
}

bool is_run_log(const std::filesystem::path& file) {
  if (const auto session = read_session(file))
    return session->contains("method") && session->contains("score-on");
  return holds_nothing(file);
}

bool is_log_of(const std::filesystem::path& file, const RunSettings& settings) {
  return read_session(file) == hyper_parameters(settings);
}

}  // namespace rankfold
