#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "experiments/models/host.h"
#include "experiments/tasks/prompt_task.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/training/data.h"

namespace rankfold {

/// How a text goes on behind what all options of its example begin with.
struct EncodedOption {
  std::vector<std::int32_t> tokens;
  std::size_t answer = 0;  ///< so many of the last ones are the option's own
};

struct EncodedPrompt {
  /// What all options begin with: the prompt, but for tokens at its end that an option changes.
  std::vector<std::int32_t> shared;
  std::vector<EncodedOption> options;
  std::vector<std::int32_t> question;  ///< the prompt alone, of a generated answer
  std::size_t gold = 0;
  std::vector<std::size_t> right;
  std::vector<std::string> answers;
  std::size_t longest() const;  ///< tokens of the longest option with its prompt
};

/// A split as a language model reads it.
struct PromptSplit {
  std::vector<EncodedPrompt> examples;
  PromptLoss loss = PromptLoss::options;
  bool generates = false;
  std::size_t cut = 0;   ///< examples of whose prompts something was cut
  std::size_t lost = 0;  ///< and of these some of the last field, see PromptExample
  std::size_t size() const { return examples.size(); }
};

/// Tokens that a generated answer may have.
inline constexpr std::size_t most_answer_tokens = 50;

/// What a text of so many tokens may be: `positions` are the host's. With a max_length the prompts
/// of longer examples lose so many tokens at their beginning, those that the tokenizer puts before
/// a text and one of its own kept; without one (0) they are refused. Of a generated answer the
/// prompt leaves room for most_answer_tokens.
struct PromptLimits {
  std::size_t positions = 0, max_length = 0;
};

/// Tokenises all examples, in parallel. An option has |tokens(prompt and option)| -
/// |tokens(prompt)| tokens, the last ones of the whole. All options of an example are cut alike, so
/// that they share their prompt. `pause` is called now and then and may throw to stop. Throws Error
/// naming the example's place: an option that has no tokens, two options of the same tokens, a
/// prompt without tokens, an example that is too long.
PromptSplit encode_prompts(const PromptTask& task, const std::vector<PromptExample>& examples,
                           const Tokenizer& tokenizer, const PromptLimits& limits,
                           const std::function<void()>& pause = {});

/// The chosen examples for a training pass: with PromptLoss::options all options behind their
/// prompt, with PromptLoss::tokens the right one. The batch has more sequences than examples.
Batch pack(const PromptSplit& split, std::span<const std::size_t> chosen);
/// For scoring: all options behind their prompt; of a generated answer the first right one.
Batch pack_for_scoring(const PromptSplit& split, std::span<const std::size_t> chosen);

/// Tokens of a training batch of that many examples, on average; at least 1.
std::size_t mean_batch_tokens(const PromptSplit& split, std::size_t batch);

/// Throws Error naming the place of an example that the host cannot take: a tokenizer that belongs
/// to another model.
void check_prompts(const PromptSplit& split, const std::vector<PromptExample>& examples,
                   const Host& host);

}  // namespace rankfold
