#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/adapter/method.h"
#include "core/adapter/rank.h"
#include "core/adapter/setting_limits.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

[[noreturn]] void refuse(const Method& method, const std::string& key, const std::string& found,
                         const std::string& expected) {
  throw UsageError("[{}] {} is '{}', expected {}", method.name, key, printable(found, shown_bytes),
                   expected);
}

void check_option(const Method& method, const std::string& name, const std::string& value) {
  std::vector<std::string> known;
  for (const MethodOption& option : method.options) known.push_back(option.name);
  const auto option = std::ranges::find(method.options, name, &MethodOption::name);
  if (option == method.options.end()) {
    if (known.empty())
      throw UsageError("[{}] has no options, got '{}'", method.name, printable(name, shown_bytes));
    throw unknown_name(fmt::format("option of {}", method.name), name, known);
  }
  if (!option->choices.empty() &&
      std::ranges::find(option->choices, value) == option->choices.end())
    refuse(method, name, value, fmt::format("one of {}", fmt::join(option->choices, ", ")));
}

void parse_rank(const Method& method, const std::string& text, const Stack& stack,
                MethodSettings& settings) {
  if (!method.has_rank) {
    if (!text.empty())
      throw UsageError("[{}] has no rank, got '{}'", method.name, printable(text, shown_bytes));
    return;
  }
  if (text.empty()) throw UsageError("[{}] needs a rank: --rank R", method.name);
  const std::vector<std::string> modes =
      method.rank_modes ? method.rank_modes(settings) : std::vector<std::string>();
  const auto limit = method.rank_limit ? method.rank_limit(stack) : std::nullopt;
  const std::size_t most = std::min(limit.value_or(largest_setting), largest_setting);
  const std::optional<Rank> rank = Rank::parse(text);
  const bool fits = rank && (rank->sizes().size() == 1 || rank->sizes().size() == modes.size()) &&
                    std::ranges::all_of(rank->sizes(),
                                        [&](std::size_t size) { return size > 0 && size <= most; });
  if (!fits)
    refuse(method, "rank", text,
           fmt::format("a whole number from 1 to {}{}{}", most,
                       limit ? " (the smallest side of the adapted weights)" : "",
                       modes.empty()
                           ? ""
                           : fmt::format(", or {} of them, {}", modes.size(), join(modes, " x "))));
  settings.ranks = rank->sizes();
  settings.rank = std::ranges::max(settings.ranks);
  if (settings.ranks.size() < modes.size()) settings.ranks.resize(modes.size(), settings.rank);
}

}  // namespace

MethodSettings resolve_settings(const Method& method, const MethodRequest& request,
                                const Stack& stack) {
  MethodSettings settings;
  settings.alpha = method.alpha;
  for (const MethodOption& option : method.options) settings.options[option.name] = option.fallback;
  if (!request.preset.empty()) {
    std::vector<std::string> known;
    for (const Preset& preset : method.presets) known.push_back(preset.name);
    const auto preset = std::ranges::find(method.presets, request.preset, &Preset::name);
    if (preset == method.presets.end())
      throw unknown_name(fmt::format("preset of {}", method.name), request.preset, known);
    for (const auto& [name, value] : preset->values) {
      if (name == "alpha")
        settings.alpha = parse_number<double>(value).value();
      else
        settings.options.at(name) = value;
    }
  }
  for (const auto& [name, value] : request.options) {
    check_option(method, name, value);
    settings.options[name] = value;
  }
  if (request.alpha) {
    if (method.alpha == 0)
      throw UsageError("[{}] has no alpha, got {}", method.name, *request.alpha);
    if (!std::isfinite(*request.alpha) || *request.alpha <= 0)
      throw UsageError("[{}] alpha is {}, expected a positive number", method.name, *request.alpha);
    settings.alpha = *request.alpha;
  }
  parse_rank(method, request.rank, stack, settings);
  return settings;
}

}  // namespace rankfold
