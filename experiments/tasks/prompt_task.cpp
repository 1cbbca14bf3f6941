#include "experiments/tasks/prompt_task.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr std::string_view own_prompt_name = "--prompt";
constexpr std::string_view label_field = "label";

std::string without_end_spaces(std::string text) {
  const std::size_t first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

std::string with_line_ends(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool is_end = text.substr(i).starts_with("\\n");
    result += is_end ? '\n' : text[i];
    if (is_end) ++i;
  }
  return result;
}

/// A class's name is no template.
std::string as_template(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '{' || c == '}') result += c;
    result += c;
  }
  return result;
}

}  // namespace

PromptTask own_prompt_task(std::string_view prompt, std::span<const std::string> classes) {
  constexpr std::string_view place = "{label}";
  const std::string text = with_line_ends(prompt);
  if (!text.ends_with(place))
    throw UsageError("{}: '{}' does not end with {}, expected the answer as its last word",
                     own_prompt_name, printable(prompt, 200), place);
  PromptTask task;
  task.prompt = text.substr(0, text.size() - place.size());
  const std::vector<std::string> fields = PromptTemplate(task.prompt, own_prompt_name).fields();
  if (std::ranges::find(fields, label_field) != fields.end())
    throw UsageError("{}: '{}' has {} twice, expected it as the last word alone", own_prompt_name,
                     printable(prompt, 200), place);
  if (classes.size() < 2)
    throw UsageError("{}: the rows have {} classes, expected at least two to choose from",
                     own_prompt_name, classes.size());
  // What parts prompt and answer is the answer's, as tokenizers have it.
  const std::size_t end = task.prompt.find_last_not_of(' ') + 1;
  const std::string gap = task.prompt.substr(end);
  task.prompt.resize(end);
  for (const std::string& name : classes) task.options.push_back({name, gap + as_template(name)});
  return task;
}

PromptWriter::PromptWriter(const PromptTask& task)
    : task_(task),
      prompt_(task.prompt, task.name.empty() ? own_prompt_name : std::string_view(task.name)) {
  for (const PromptOption& option : task.options) options_.emplace_back(option.text, task.name);
  if (options_.empty()) options_.emplace_back(task.option, task.name);
}

PromptExample PromptWriter::write(const PromptRow& row) const {
  PromptExample example;
  example.place = row.place;
  example.line = row.line;
  std::size_t last_field = 0;
  const std::string prompt = prompt_.fill(row, &last_field);
  example.prompt = without_end_spaces(prompt);
  if (prompt_.fields().size() > 1)
    example.last_field = last_field - std::min(last_field, prompt.find_first_not_of(' '));
  const auto add = [&](const std::string& name, const std::string& option) {
    example.options.push_back(without_end_spaces(prompt + option));
    example.option_names.push_back(name);
  };
  if (task_.options.empty()) {
    PromptRow filled = row;
    if (row.answers.empty())
      throw Error("{}: has no answer, expected at least one", printable(row.place));
    if (task_.generates) {
      filled.fields["answer"] = row.answers.front();
      add(row.answers.front(), options_.front().fill(filled));
      example.right = {0};
      example.answers = row.answers;
      return example;
    }
    for (const std::string& candidate : row.candidates) {
      filled.fields["candidate"] = candidate;
      if (std::ranges::find(row.answers, candidate) != row.answers.end())
        example.right.push_back(example.options.size());
      add(candidate, options_.front().fill(filled));
    }
    if (example.right.empty())
      throw Error("{}: the answer '{}' is none of the {} candidates", printable(row.place),
                  printable(row.answers.front(), 60), row.candidates.size());
    example.gold = example.right.front();
    return example;
  }
  for (std::size_t i = 0; i < options_.size(); ++i)
    add(task_.options[i].label, options_[i].fill(row));
  const auto label = row.fields.find(std::string(label_field));
  if (label == row.fields.end()) throw Error("{}: has no '{}'", printable(row.place), label_field);
  const auto gold = std::ranges::find(task_.options, label->second, &PromptOption::label);
  if (gold == task_.options.end())
    throw Error("{}: the label is '{}', expected {}", printable(row.place),
                printable(label->second, 60), join(example.option_names, ", "));
  example.gold = static_cast<std::size_t>(gold - task_.options.begin());
  example.right = {example.gold};
  return example;
}

}  // namespace rankfold
