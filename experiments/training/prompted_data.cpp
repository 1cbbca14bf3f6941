#include "experiments/training/prompted_data.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/network/model_parts.h"

namespace rankfold {

void check_prompted(const RunSettings& settings, bool tells_tokens) {
  std::vector<std::string> others;
  for (const ModelPart& part : model_parts)
    if (!part.of_head) others.emplace_back(part.name);
  for (const std::string& part : split(settings.text("train"), ',')) {
    const auto known = std::ranges::find(model_parts, trim(part), &ModelPart::name);
    if (known != model_parts.end() && known->of_head)
      throw UsageError("--train {}: a run with --scoring prompt has no head; expected {} or none",
                       printable(part, 80), join(others, ", "));
  }
  if (!tells_tokens)
    throw UsageError(
        "--scoring prompt: the model in {} tells no next tokens (it is an encoder or has "
        "a classifier); expected --scoring head",
        printable(settings.text("model"), 300));
  if (settings.number("label-smoothing") > 0)
    throw UsageError(
        "--label-smoothing is {}; it is of a head's classes, expected 0 with --scoring "
        "prompt",
        settings.text("label-smoothing"));
  if (settings.text("cache-features") == "true")
    throw UsageError(
        "--cache-features: examples that are asked in words share their prompts, whose "
        "features are not kept; expected false with --scoring prompt");
}

PromptedData::PromptedData(const PromptTask& task, const std::vector<PromptExample>& train,
                           const std::vector<PromptExample>& scored,
                           std::unique_ptr<Tokenizer> tokenizer, const std::filesystem::path& model,
                           std::size_t max_length, const Host& host,
                           const std::function<void()>& pause)
    : task_(task), tokenizer_(std::move(tokenizer)) {
  const PromptLimits limits{host.max_tokens(), max_length};
  train_ = encode_prompts(task_, train, *tokenizer_, limits, pause);
  scored_ = encode_prompts(task_, scored, *tokenizer_, limits, pause);
  check_prompts(train_, train, host);
  check_prompts(scored_, scored, host);
  generation_ = answer_generation(*tokenizer_, model);
  majority_ = rankfold::majority_scores(task_, scored_);
}

std::size_t PromptedData::mean_batch_tokens(std::size_t batch) const {
  return rankfold::mean_batch_tokens(train_, batch);
}

Batch PromptedData::pack(std::span<const std::size_t> chosen) {
  return rankfold::pack(train_, chosen);
}

SplitScores PromptedData::score(Host& host, std::size_t batch, const ScoringProgress& progress) {
  const PromptScores found = score_prompts(host, task_, scored_, batch, progress, generation_);
  SplitScores result;
  result.finite = std::isfinite(found.loss);
  result.loss = found.loss;
  result.scores = found.scores;
  result.constant = found.constant;
  return result;
}

void PromptedData::keep_features(Host&, FeatureCacheSettings, const std::string&) {
  throw Error("task '{}': features of prompts are not kept", task_.name);
}

std::string PromptedData::cut_note(std::size_t max_length) const {
  return rankfold::cut_note(train_.cut + scored_.cut, train_.lost + scored_.lost, max_length);
}

std::string cut_note(std::size_t cut, std::size_t lost, std::size_t max_length) {
  if (cut == 0) return "";
  const std::string of_fields =
      lost == 0 ? "" : fmt::format(", {} of them some of the last field (what is asked)", lost);
  return fmt::format(
      "{} examples are longer than --max-length {}: their prompts lose tokens at the beginning{}",
      cut, max_length, of_fields);
}

}  // namespace rankfold
