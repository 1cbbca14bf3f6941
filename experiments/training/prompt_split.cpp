#include "experiments/training/prompt_split.h"

#include <algorithm>
#include <array>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using Tokens = std::vector<std::int32_t>;

std::size_t common_start(std::span<const std::int32_t> a, std::span<const std::int32_t> b) {
  return static_cast<std::size_t>(std::ranges::mismatch(a, b).in1 - a.begin());
}

/// What a tokenizer makes of texts without what it puts behind them: an end is the answer's to say.
class PromptTokens {
 public:
  explicit PromptTokens(const Tokenizer& tokenizer)
      : tokenizer_(tokenizer), around_(tokenizer.encode("").ids) {
    before_ = around_.empty() ? 0 : common_start(around_, tokenizer.encode("0").ids);
  }
  Tokens of(const std::string& text) const {
    Tokens ids = tokenizer_.encode(text).ids;
    ids.resize(ids.size() - (around_.size() - before_));
    return ids;
  }
  std::size_t before() const { return before_; }  ///< tokens that it puts before a text

 private:
  const Tokenizer& tokenizer_;
  Tokens around_;
  std::size_t before_ = 0;
};

/// Cuts from the beginning of the prompt so that `longest` tokens become at most `limit`.
bool cut_start(const PromptExample& example, std::size_t before, std::size_t longest,
               std::size_t limit, Tokens& prompt) {
  if (longest <= limit) return false;
  const std::size_t excess = longest - limit;
  const std::size_t kept = before + 1;
  if (prompt.size() < kept + excess)
    throw Error("{}: the {} tokens of an answer leave no room for a prompt in --max-length {}",
                printable(example.place), longest - prompt.size(), limit);
  const auto begin = prompt.begin() + static_cast<std::ptrdiff_t>(before);
  prompt.erase(begin, begin + static_cast<std::ptrdiff_t>(excess));
  return true;
}

void expect_options_apart(const PromptExample& example, const EncodedPrompt& encoded) {
  for (std::size_t a = 0; a < encoded.options.size(); ++a)
    for (std::size_t b = 0; b < a; ++b)
      if (encoded.options[a].tokens == encoded.options[b].tokens)
        throw Error("{}: the options '{}' and '{}' have the same tokens, expected different ones",
                    printable(example.place), printable(example.option_names[b], 60),
                    printable(example.option_names[a], 60));
}

void expect_positions(const PromptExample& example, std::size_t tokens, std::size_t positions) {
  if (tokens > positions)
    throw Error(
        "{}: the prompt and its answer have {} tokens, expected at most the model's {} "
        "positions (--max-length {} cuts prompts from their beginning)",
        printable(example.place), tokens, positions, positions);
}

enum class CutPart { none, beginning, last_field };

CutPart encode_prompt(const PromptTask& task, const PromptExample& example,
                      const PromptTokens& tokens, const PromptLimits& limits,
                      EncodedPrompt& encoded) {
  const Tokens prompt = tokens.of(example.prompt);
  if (prompt.empty())
    throw Error("{}: the tokenizer makes no tokens of the prompt '{}', expected at least one",
                printable(example.place), printable(example.prompt, 60));
  std::vector<Tokens> wholes;
  std::size_t shared = prompt.size(), longest = 0;
  for (std::size_t i = 0; i < example.options.size(); ++i) {
    wholes.push_back(tokens.of(example.options[i]));
    if (wholes[i].size() <= prompt.size())
      throw Error("{}: the option '{}' has no tokens behind the prompt, expected at least one",
                  printable(example.place), printable(example.option_names[i], 60));
    shared = std::min(shared, common_start(wholes[0], wholes[i]));
    longest = std::max(longest, wholes[i].size());
  }
  encoded.shared.assign(wholes[0].begin(), wholes[0].begin() + static_cast<std::ptrdiff_t>(shared));
  for (const Tokens& whole : wholes)
    encoded.options.push_back({{whole.begin() + static_cast<std::ptrdiff_t>(shared), whole.end()},
                               whole.size() - prompt.size()});
  expect_options_apart(example, encoded);
  encoded.gold = example.gold;
  encoded.right = example.right;
  encoded.answers = example.answers;

  bool cut = false;
  const std::size_t limit = limits.max_length;
  if (limit > 0) cut = cut_start(example, tokens.before(), longest, limit, encoded.shared);
  expect_positions(example, encoded.longest(), limits.positions);
  const auto cut_part = [&](std::size_t removed) {
    if (!cut) return CutPart::none;
    if (example.last_field >= example.prompt.size()) return CutPart::beginning;
    const std::size_t ahead = tokens.of(example.prompt.substr(0, example.last_field)).size();
    return tokens.before() + removed > ahead ? CutPart::last_field : CutPart::beginning;
  };
  if (!task.generates) return cut_part(shared - encoded.shared.size());
  encoded.question = prompt;
  // The last token of an answer is told, not read.
  constexpr std::size_t room = most_answer_tokens - 1;
  if (limit > 0)
    cut = cut_start(example, tokens.before(), prompt.size() + room, limit, encoded.question) || cut;
  expect_positions(example, encoded.question.size() + room, limits.positions);
  return cut_part(prompt.size() - encoded.question.size());
}

void add_sequence(Batch& batch, std::span<const std::int32_t> tokens, std::size_t answer,
                  std::size_t prefix) {
  batch.ids.insert(batch.ids.end(), tokens.begin(), tokens.end());
  batch.targets.insert(batch.targets.end(), tokens.begin(), tokens.end());
  std::fill_n(batch.targets.end() - static_cast<std::ptrdiff_t>(tokens.size()),
              tokens.size() - answer, Batch::left_out);
  batch.starts.push_back(batch.ids.size());
  batch.prefixes.push_back(prefix);
}

void add_whole(Batch& batch, const EncodedPrompt& example, const EncodedOption& option) {
  Tokens whole = example.shared;
  whole.insert(whole.end(), option.tokens.begin(), option.tokens.end());
  add_sequence(batch, whole, option.answer, no_prefix);
}

void add_options(Batch& batch, const EncodedPrompt& example) {
  const std::size_t prompt = batch.sequences();
  const bool shares = !example.shared.empty() && example.options.size() > 1;
  if (shares) add_sequence(batch, example.shared, 0, no_prefix);
  for (const EncodedOption& option : example.options) {
    if (shares)
      add_sequence(batch, option.tokens, option.answer, prompt);
    else
      add_whole(batch, example, option);
  }
  batch.options.push_back(batch.options.back() + example.options.size());
  batch.labels.push_back(static_cast<float>(example.gold));
}

}  // namespace

std::size_t EncodedPrompt::longest() const {
  std::size_t most = 0;
  for (const EncodedOption& option : options) most = std::max(most, option.tokens.size());
  return shared.size() + most;
}

PromptSplit encode_prompts(const PromptTask& task, const std::vector<PromptExample>& examples,
                           const Tokenizer& tokenizer, const PromptLimits& limits,
                           const std::function<void()>& pause) {
  PromptSplit split;
  split.loss = task.loss;
  split.generates = task.generates;
  split.examples.resize(examples.size());
  const PromptTokens tokens(tokenizer);
  std::vector<CutPart> cut(examples.size());
  for_all_examples(examples.size(), pause, [&](std::size_t i) {
    cut[i] = encode_prompt(task, examples[i], tokens, limits, split.examples[i]);
  });
  split.lost = static_cast<std::size_t>(std::ranges::count(cut, CutPart::last_field));
  split.cut = split.lost + static_cast<std::size_t>(std::ranges::count(cut, CutPart::beginning));
  return split;
}

Batch pack_for_scoring(const PromptSplit& split, std::span<const std::size_t> chosen) {
  Batch batch;
  batch.starts = batch.options = {0};
  for (const std::size_t index : chosen) add_options(batch, split.examples[index]);
  return batch;
}

Batch pack(const PromptSplit& split, std::span<const std::size_t> chosen) {
  if (split.loss == PromptLoss::options) return pack_for_scoring(split, chosen);
  Batch batch;
  batch.starts = {0};
  for (const std::size_t index : chosen) {
    const EncodedPrompt& example = split.examples[index];
    add_whole(batch, example, example.options[example.gold]);
  }
  return batch;
}

std::size_t mean_batch_tokens(const PromptSplit& split, std::size_t batch) {
  std::size_t tokens = 0;
  for (std::size_t i = 0; i < split.size(); ++i) tokens += pack(split, std::array{i}).tokens();
  return std::max<std::size_t>(1, tokens * batch / std::max<std::size_t>(1, split.size()));
}

void check_prompts(const PromptSplit& split, const std::vector<PromptExample>& examples,
                   const Host& host) {
  for (std::size_t i = 0; i < split.size(); ++i) {
    try {
      host.check(pack_for_scoring(split, std::array{i}));
    } catch (const Error& failure) {
      throw Error("{}: {}", printable(examples[i].place), failure.what());
    }
  }
}

}  // namespace rankfold
