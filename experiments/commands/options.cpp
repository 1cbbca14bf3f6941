#include "experiments/commands/options.h"

#include <algorithm>
#include <cmath>

#include <boost/program_options/cmdline.hpp>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/options_description.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/value_semantic.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace po = boost::program_options;

po::options_description to_description(const std::vector<Option>& options) {
  po::options_description description;
  for (const Option& option : options) {
    auto add = description.add_options();
    if (option.value.empty())
      add(option.name.c_str(), "");
    else if (option.several)
      add(option.name.c_str(), po::value<std::vector<std::string>>()->multitoken(), "");
    else
      add(option.name.c_str(), po::value<std::string>(), "");
  }
  return description;
}

std::vector<po::option> read_tokens(const std::string& command, const std::vector<Option>& options,
                                    const std::vector<std::string>& arguments) {
  const po::options_description description = to_description(options);
  const auto style = po::command_line_style::allow_long | po::command_line_style::long_allow_next |
                     po::command_line_style::long_allow_adjacent;
  try {
    return po::command_line_parser(arguments)
        .options(description)
        .style(style)
        .allow_unregistered()
        .run()
        .options;
  } catch (const po::invalid_command_line_syntax& error) {
    throw UsageError("{}: {}; {}", command, printable(error.what()),
                     error.kind() == po::invalid_syntax::extra_parameter
                         ? "expected it without a value"
                         : "expected a value after it");
  } catch (const po::error& error) {
    throw UsageError("{}: {}", command, printable(error.what()));
  }
}

/// Options that may stand alone get the value that this means.
std::vector<std::string> with_values(const std::vector<Option>& options,
                                     std::vector<std::string> words) {
  for (std::string& word : words)
    for (const Option& option : options)
      if (!option.alone.empty() && word == "--" + option.name) word += "=" + option.alone;
  return words;
}

UsageError unknown_option(const std::string& command, const std::vector<Option>& options,
                          const std::string& given) {
  std::vector<std::string> known;
  for (const Option& option : options) known.push_back("--" + option.name);
  return unknown_name("option of " + command, given, known);
}

const Option& find_option(const std::string& command, const std::vector<Option>& options,
                          const std::string& name) {
  const auto found = std::ranges::find(options, name, &Option::name);
  if (found != options.end()) return *found;
  throw unknown_option(command, options, "--" + name);
}

/// The option's name in a token that begins like one: "--ranks=8" is "ranks".
std::string option_name(const std::string& token) {
  const std::size_t dashes = std::min(token.find_first_not_of('-'), token.size());
  return token.substr(
      dashes, token.find('=') == std::string::npos ? std::string::npos : token.find('=') - dashes);
}

}  // namespace

std::vector<std::string> Arguments::names() const {
  std::vector<std::string> names;
  for (const auto& [name, values] : values_) names.push_back(name);
  return names;
}

std::string Arguments::text(const std::string& name, const std::string& fallback) const {
  const auto found = values_.find(name);
  return found == values_.end() || found->second.empty() ? fallback : found->second.front();
}

std::size_t Arguments::count(const std::string& name, std::size_t fallback) const {
  if (!has(name)) return fallback;
  const auto value = parse_number<unsigned long>(text(name));
  if (!value || *value == 0)
    throw UsageError("--{} is '{}'; expected a whole number, 1 or more", name,
                     printable(text(name), 80));
  return *value;
}

double Arguments::number(const std::string& name, double fallback) const {
  if (!has(name)) return fallback;
  const auto value = parse_number<double>(text(name));
  if (!value)
    throw UsageError("--{} is '{}'; expected a number such as 0.5", name,
                     printable(text(name), 80));
  return *value;
}

std::vector<std::string> Arguments::texts(const std::string& name) const {
  const auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

std::map<std::string, std::string> Arguments::pairs(const std::string& name) const {
  std::map<std::string, std::string> result;
  for (const std::string& pair : texts(name)) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0 || equals + 1 == pair.size())
      throw UsageError("--{}: found '{}', expected key=value", name, printable(pair, 80));
    if (!result.emplace(pair.substr(0, equals), pair.substr(equals + 1)).second)
      throw UsageError("--{}: '{}' is given twice", name, printable(pair.substr(0, equals), 80));
  }
  return result;
}

std::string Arguments::positional(std::size_t index) const {
  return index < positionals_.size() ? positionals_[index] : std::string();
}

Arguments parse_arguments(const std::string& command, const std::vector<Option>& options,
                          const std::vector<Positional>& positionals,
                          const std::vector<std::string>& arguments) {
  std::map<std::string, std::vector<std::string>> values;
  std::vector<std::string> unnamed;
  for (const po::option& token : read_tokens(command, options, with_values(options, arguments))) {
    if (token.unregistered) find_option(command, options, option_name(token.string_key));
    if (token.string_key.empty()) {
      unnamed.insert(unnamed.end(), token.value.begin(), token.value.end());
      continue;
    }
    const Option& option = find_option(command, options, token.string_key);
    if (values.contains(option.name) && !option.several && !option.repeated &&
        !option.value.empty())
      throw UsageError("{}: --{} is given twice", command, option.name);
    // Boost takes the next word whatever it is.
    const bool is_next_word = token.original_tokens.size() > 1;
    for (const std::string& value : token.value)
      if (is_next_word && value.starts_with("--"))
        throw UsageError("{}: --{} is followed by {}; expected {}", command, option.name,
                         printable(value, 80), option.value);
      else if (value.empty())
        throw UsageError("{}: --{} is empty; expected {}", command, option.name, option.value);
    std::vector<std::string>& all = values[option.name];
    all.insert(all.end(), token.value.begin(), token.value.end());
  }
  for (const std::string& argument : unnamed)
    if (argument.size() > 1 && argument.front() == '-')
      throw unknown_option(command, options, argument);
  const bool several = !positionals.empty() && positionals.back().several;
  if (unnamed.size() > positionals.size() && !several)
    throw UsageError("{}: unexpected argument '{}'; see rankfold {} --help", command,
                     printable(unnamed[positionals.size()], 80), command);
  for (std::size_t i = unnamed.size(); i < positionals.size(); ++i)
    if (positionals[i].required)
      throw UsageError("{}: {} is missing; see rankfold {} --help", command, positionals[i].name,
                       command);
  for (const Option& option : options)
    if (option.required && !values.contains(option.name))
      throw UsageError("{}: --{} is missing; expected {} ({})", command, option.name, option.value,
                       option.meaning);
  return Arguments(std::move(values), std::move(unnamed));
}

std::string describe_options(const std::vector<Option>& options) {
  constexpr std::size_t column = 26, width = 100;
  std::string text;
  for (const Option& option : options) {
    std::string left = "  --" + option.name;
    if (!option.alone.empty())
      left += " [=" + option.value + "]";
    else if (!option.value.empty())
      left += " " + option.value;
    if (option.several) left += " ...";
    std::string line = left.size() + 2 > column ? left + "\n" + std::string(column, ' ')
                                                : left + std::string(column - left.size(), ' ');
    std::string meaning = option.meaning;
    if (!option.fallback.empty()) meaning += " (default " + option.fallback + ")";
    if (option.required) meaning += " (required)";
    std::size_t used = column;
    for (const std::string& word : split(meaning, ' ')) {
      if (used > column && used + 1 + word.size() > width) {
        line += "\n" + std::string(column, ' ');
        used = column;
      }
      if (used > column) line += " ";
      line += word;
      used += word.size() + 1;
    }
    text += line + "\n";
  }
  return text;
}

}  // namespace rankfold
