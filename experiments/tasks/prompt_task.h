#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/tasks/prompt_template.h"

namespace rankfold {

/// What a language model is trained for on a task by prompt.
enum class PromptLoss {
  options,  ///< cross-entropy over the mean log-probabilities of all options
  tokens    ///< cross-entropy of the tokens of the right one alone
};

/// How a task's files are laid out; see prompt_data.h.
enum class PromptFormat { rows, multirc, record, squad, drop };

struct PromptOption {
  std::string label;  ///< that rows have where it is the right one
  std::string text;   ///< a template; it follows the prompt
};

/// A task that a language model is asked in words: what a row becomes, as data.
struct PromptTask {
  std::string name = {};
  std::string folder = {};  ///< of its files, as SuperGLUE and GLUE name it
  PromptFormat format = PromptFormat::rows;
  std::string prompt = {};                 ///< a template
  std::vector<PromptOption> options = {};  ///< in the order of the scores
  /// In their place where each row has options of its own, or where a text is generated: a template
  /// that may read {candidate}, one of the row's candidates, or {answer}, the first of its answers.
  std::string option = {};
  PromptLoss loss = PromptLoss::options;
  bool generates = false;  ///< the answer is generated, not chosen
  std::size_t held_out_rows = 500;
  std::vector<std::string> metrics = {"accuracy"};  ///< the first is the main one
  /// Of a task of GLUE of that name, what the prompt calls its texts; options are as its classes.
  std::vector<std::string> glue_fields = {};
};

/// All of them: cb, boolq, wsc, wic, multirc, copa, record, squad, drop, sst2 and rte, with the
/// prompts of MeZO, which LoRETTA took over (arXiv 2305.17333, 2402.11417).
const std::vector<PromptTask>& prompt_tasks();

/// The task of that name; null where there is none.
const PromptTask* find_prompt_task(std::string_view name);

/// A prompt of the user's own, "Review: {text} It was {label}", for rows with such columns: the
/// classes take turns in the place of {label}, which is the last word. "\n" written as a backslash
/// and an n is a line end. Throws UsageError: no {label}, {label} before the end or twice, a
/// template that is none, fewer than two classes.
PromptTask own_prompt_task(std::string_view prompt, std::span<const std::string> classes);

/// A row as a language model reads it: the prompt, and the prompt with each option. Spaces at both
/// ends of either are left out, as MeZO has it.
struct PromptExample {
  std::string place;  ///< for messages
  std::size_t line = 0;
  std::string prompt;
  /// The byte of the prompt at which the last of several fields begins, such as a question; else
  /// none.
  std::size_t last_field = std::string::npos;
  std::vector<std::string> options;       ///< whole texts: prompt and option
  std::vector<std::string> option_names;  ///< what tells them apart in predictions
  std::size_t gold = 0;                   ///< the option to train on
  std::vector<std::size_t> right;         ///< all options that count as right
  std::vector<std::string> answers;       ///< of a generated text, all that count
};

/// Makes examples of the rows of one task, which must stay.
class PromptWriter {
 public:
  explicit PromptWriter(const PromptTask& task);
  /// Throws Error naming the row's place: a field that it lacks or that has no text, a label that
  /// is no option's, no answer, no answer among its candidates.
  PromptExample write(const PromptRow& row) const;

 private:
  const PromptTask& task_;
  PromptTemplate prompt_;
  std::vector<PromptTemplate> options_;
};

}  // namespace rankfold
