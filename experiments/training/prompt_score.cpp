#include "experiments/training/prompt_score.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_field.h"
#include "core/base/text.h"
#include "experiments/models/blocks/option_loss.h"
#include "experiments/models/generate.h"
#include "experiments/models/shapes.h"
#include "experiments/tasks/prompt_metrics.h"

namespace rankfold {
namespace {

/// Batches of examples of like length, the longest first.
std::vector<std::vector<std::size_t>> length_batches(const PromptSplit& split, std::size_t batch) {
  std::vector<std::size_t> order(split.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater(),
                           [&](std::size_t i) { return split.examples[i].shared.size(); });
  std::vector<std::vector<std::size_t>> batches;
  for (std::size_t begin = 0; begin < order.size(); begin += batch)
    batches.emplace_back(
        order.begin() + static_cast<std::ptrdiff_t>(begin),
        order.begin() + static_cast<std::ptrdiff_t>(std::min(order.size(), begin + batch)));
  return batches;
}

double loss_over_options(const EncodedPrompt& example, const std::vector<double>& scores) {
  const std::vector<std::size_t> options = {0, scores.size()};
  const std::vector<float> gold = {static_cast<float>(example.gold)};
  return option_loss({{}, options, gold}, scores, {});
}

/// The first line with text.
std::string first_line(const std::string& text) {
  const std::string_view begun = trim(text);
  return std::string(trim(begun.substr(0, begun.find('\n'))));
}

void generate_answers(Host& host, const PromptSplit& split, std::span<const std::size_t> chosen,
                      const AnswerGeneration& generation, std::vector<std::string>& texts) {
  std::vector<std::vector<std::int32_t>> questions;
  for (const std::size_t index : chosen) questions.push_back(split.examples[index].question);
  const auto answered = generate_greedily(host, questions, most_answer_tokens, generation.ends);
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const auto answer = std::span(answered[i]).subspan(questions[i].size());
    texts[chosen[i]] = first_line(generation.tokenizer->decode(answer));
  }
}

std::string in_a_cell(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\t' || c == '\n' || c == '\r'; }, ' ');
  return text;
}

bool is_right(const std::vector<std::size_t>& right, std::size_t option) {
  return std::ranges::find(right, option) != right.end();
}

template <class T>
bool all_equal(const std::vector<T>& values) {
  return values.size() > 1 &&
         std::ranges::all_of(values, [&](const T& value) { return value == values.front(); });
}

}  // namespace

AnswerGeneration answer_generation(const Tokenizer& tokenizer, const std::filesystem::path& model) {
  AnswerGeneration generation{
      &tokenizer, end_tokens(JsonDocument(generation_file(model)), read_shape(model).vocabulary)};
  // As MeZO has it: the last token of a line end.
  const std::vector<std::int32_t> line_end = tokenizer.encode("\n").ids;
  if (!line_end.empty()) generation.ends.push_back(line_end.back());
  return generation;
}

PromptScores score_prompts(Host& host, const PromptTask& task, const PromptSplit& split,
                           std::size_t batch, const ScoringProgress& progress,
                           const AnswerGeneration& generation) {
  if (split.size() == 0) throw Error("task '{}': has no examples to score", task.name);
  if (split.generates && !generation.tokenizer)
    throw Error("task '{}': its answers are generated, expected a tokenizer", task.name);
  PromptScores result;
  result.option_scores.resize(split.size());
  if (split.generates) result.texts.resize(split.size());
  double loss = 0, weight = 0;
  std::size_t done = 0;
  for (const std::vector<std::size_t>& chosen : length_batches(split, batch)) {
    const std::vector<double> scores = host.answer_scores(pack_for_scoring(split, chosen));
    std::size_t answer = 0;
    for (const std::size_t index : chosen) {
      const EncodedPrompt& example = split.examples[index];
      std::vector<double>& own = result.option_scores[index];
      own.assign(scores.begin() + static_cast<std::ptrdiff_t>(answer),
                 scores.begin() + static_cast<std::ptrdiff_t>(answer + example.options.size()));
      answer += example.options.size();
    }
    if (split.generates) generate_answers(host, split, chosen, generation, result.texts);
    done += chosen.size();
    if (progress) progress(done, split.size());
  }
  double right = 0, f1 = 0, exact = 0;
  for (std::size_t i = 0; i < split.size(); ++i) {
    const EncodedPrompt& example = split.examples[i];
    const std::vector<double>& scores = result.option_scores[i];
    if (split.loss == PromptLoss::options) {
      loss += loss_over_options(example, scores);
      weight += 1;
    } else {
      const auto tokens = static_cast<double>(example.options[example.gold].answer);
      loss -= tokens * scores[example.gold];
      weight += tokens;
    }
    if (split.generates) {
      f1 += token_f1(result.texts[i], example.answers);
      exact += exact_match(result.texts[i], example.answers);
      continue;
    }
    result.predictions.push_back(
        static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin()));
    right += is_right(example.right, result.predictions.back()) ? 1 : 0;
  }
  const auto count = static_cast<double>(split.size());
  result.loss = loss / weight;
  if (split.generates)
    result.scores = {{"f1", f1 / count}, {"exact_match", exact / count}};
  else
    result.scores = {{"accuracy", right / count}};
  // Where rows have answers of their own, an equal one that is right everywhere is no sign.
  const bool all_right = split.generates ? f1 == count : task.options.empty() && right == count;
  result.constant =
      !all_right && (split.generates ? all_equal(result.texts) : all_equal(result.predictions));
  return result;
}

std::map<std::string, double> majority_scores(const PromptTask& task, const PromptSplit& split) {
  if (task.options.empty() || split.size() == 0) return {};
  std::vector<std::size_t> counts(task.options.size());
  for (const EncodedPrompt& example : split.examples) ++counts[example.gold];
  return {{"accuracy", static_cast<double>(*std::ranges::max_element(counts)) /
                           static_cast<double>(split.size())}};
}

void write_prompt_predictions(const std::filesystem::path& file, const PromptTask& task,
                              const std::vector<PromptExample>& examples,
                              const PromptScores& result) {
  std::string text = task.generates ? "index\tprediction\tlabel\tf1\texact_match\tprompt\n"
                                    : "index\tprediction\tlabel\tright\tscores\tprompt\n";
  for (std::size_t i = 0; i < examples.size(); ++i) {
    const PromptExample& example = examples[i];
    const std::string label = example.option_names[example.gold];
    std::string prediction, score, more;
    if (task.generates) {
      prediction = result.texts[i];
      score = fmt::format("{}", token_f1(prediction, example.answers));
      more = fmt::format("{}", exact_match(prediction, example.answers));
    } else {
      prediction = example.option_names[result.predictions[i]];
      score = is_right(example.right, result.predictions[i]) ? "1" : "0";
      std::vector<std::string> scores;
      for (const double value : result.option_scores[i]) scores.push_back(fmt::format("{}", value));
      more = join(scores, " ");
    }
    text += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", i, in_a_cell(prediction), in_a_cell(label),
                        score, more, in_a_cell(example.prompt));
  }
  write_atomically(file, text);
}

}  // namespace rankfold
