#include "experiments/tasks/prompt_template.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/text_lines.h"

namespace rankfold {
namespace {

bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
char lower(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string in_lower_case(const PromptRow&, std::string text) {
  for (char& c : text) c = lower(c);
  return text;
}

std::string stripped(const PromptRow&, std::string text) {
  return std::string(trim(text));
}

std::string as_question(const PromptRow&, std::string text) {
  if (!text.empty() && is_lower(text.front()))
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  if (!text.ends_with('?')) text += '?';
  return text;
}

std::string as_clause(const PromptRow&, std::string text) {
  while (!text.empty() && trim(text.substr(text.size() - 1)).empty()) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

std::string as_continuation(const PromptRow&, std::string text) {
  if (text.empty() || text == "I" || text.starts_with("I ")) return text;
  text.front() = lower(text.front());
  return text;
}

std::string as_conjunction(const PromptRow& row, std::string text) {
  if (text == "effect") return "so";
  if (text == "cause") return "because";
  throw Error("{}: the question is '{}', expected effect or cause", printable(row.place),
              printable(text, 60));
}

std::string replaced(std::string text, std::string_view mark, const std::string& by) {
  for (std::size_t at = text.find(mark); at != std::string::npos;
       at = text.find(mark, at + by.size()))
    text.replace(at, mark.size(), by);
  return text;
}

std::string without_highlights(const PromptRow&, std::string text) {
  return replaced(std::move(text), "@highlight\n", "- ");
}

std::string with_candidate(const PromptRow& row, std::string text) {
  if (text.find("@placeholder") == std::string::npos)
    throw Error("{}: found no @placeholder in '{}', expected one that the options take",
                printable(row.place), printable(text, 60));
  const auto candidate = row.fields.find("candidate");
  return candidate == row.fields.end()
             ? text
             : replaced(std::move(text), "@placeholder", candidate->second);
}

std::string field_names(const PromptRow& row) {
  std::vector<std::string> names;
  for (const auto& [name, text] : row.fields) names.push_back(name);
  return join(names, ", ");
}

}  // namespace

PromptTemplate::Filter PromptTemplate::find_filter(const std::string& name, std::string_view what) {
  static const std::map<std::string, Filter> filters = {{"strip", stripped},
                                                        {"lower", in_lower_case},
                                                        {"question", as_question},
                                                        {"clause", as_clause},
                                                        {"continuation", as_continuation},
                                                        {"conjunction", as_conjunction},
                                                        {"highlights", without_highlights},
                                                        {"placed", with_candidate}};
  if (const auto found = filters.find(name); found != filters.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& [known, filter] : filters) names.push_back(known);
  throw UsageError("{}: {}", what, unknown_name("filter", name, names).what());
}

PromptTemplate::PromptTemplate(std::string_view text, std::string_view what) {
  Part part;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '{' && c != '}') {
      part.text += c;
    } else if (i + 1 < text.size() && text[i + 1] == c) {
      part.text += c;
      ++i;
    } else {
      const std::size_t end = c == '{' ? text.find_first_of("{}", i + 1) : std::string_view::npos;
      if (end == std::string_view::npos || text[end] != '}')
        throw UsageError("{}: the brace at byte {} of '{}' is not closed, expected {{FIELD}}", what,
                         i + 1, printable(text, 200));
      const std::string inner(text.substr(i + 1, end - i - 1));
      const std::size_t bar = inner.find('|');
      part.field = inner.substr(0, bar);
      if (part.field.empty())
        throw UsageError("{}: the brace at byte {} of '{}' names no field", what, i + 1,
                         printable(text, 200));
      if (bar != std::string::npos) part.filter = find_filter(inner.substr(bar + 1), what);
      parts_.push_back(std::exchange(part, {}));
      i = end;
    }
  }
  if (!part.text.empty()) parts_.push_back(std::move(part));
}

std::string PromptTemplate::fill(const PromptRow& row, std::size_t* last_field) const {
  std::string text;
  for (const Part& part : parts_) {
    text += part.text;
    if (part.field.empty()) continue;
    const auto field = row.fields.find(part.field);
    if (field == row.fields.end())
      throw Error("{}: has no '{}', which the prompt needs (it has {})", printable(row.place),
                  printable(part.field), printable(field_names(row), 200));
    if (trim(field->second).empty())
      throw Error("{}: found no text in {}, expected one", printable(row.place),
                  in_quotes(part.field));
    if (last_field != nullptr) *last_field = text.size();
    text += part.filter ? part.filter(row, field->second) : field->second;
  }
  return text;
}

std::vector<std::string> PromptTemplate::fields() const {
  std::vector<std::string> names;
  for (const Part& part : parts_)
    if (!part.field.empty()) names.push_back(part.field);
  return names;
}

}  // namespace rankfold
