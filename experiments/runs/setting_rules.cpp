#include "experiments/runs/setting_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <climits>
#include <cmath>
#include <cstdint>
#include <optional>
#include <set>

#include <fmt/core.h>

#include "core/base/canonical_number.h"
#include "core/base/text.h"
#include "core/network/stack.h"
#include "experiments/runs/setting_spec.h"

namespace rankfold {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& letter : result)
    letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return result;
}

/// Digits, maybe with a sign, too long for a double to tell them apart.
std::optional<std::string> long_integer(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return {};
  text.remove_prefix(std::min(text.find_first_not_of('0'), text.size()));
  if (text.size() < 16) return {};
  return (negative ? "-" : "") + std::string(text);
}

std::string scalar_form(std::string_view given) {
  const std::string_view text = trim(given);
  if (const auto digits = long_integer(text)) return *digits;
  const std::string_view magnitude = text.starts_with('+') ? text.substr(1) : text;
  if (const auto number = parse_number<double>(magnitude)) {
    if (!std::isfinite(*number)) return std::string(text);
    const bool whole = *number == std::floor(*number) && std::abs(*number) < 1e19;
    return whole && std::abs(*number) >= 1e15 ? fmt::format("{:.0f}", *number)
                                              : canonical_number(*number);
  }
  const std::string small = lower(text);
  return small == "true" || small == "false" ? small : std::string(text);
}

/// The text without one pair of brackets around it, or nothing.
std::optional<std::string_view> inside_brackets(std::string_view text) {
  for (const std::string_view pair : {"[]", "()", "{}"})
    if (text.size() >= 2 && text.front() == pair[0] && text.back() == pair[1])
      return text.substr(1, text.size() - 2);
  return std::nullopt;
}

std::string_view without_quotes(std::string_view text) {
  text = trim(text);
  const bool quoted = text.size() >= 2 && text.front() == text.back() &&
                      (text.front() == '\'' || text.front() == '"');
  return quoted ? text.substr(1, text.size() - 2) : text;
}

/// "2,0,1,5-7" as "0-2,5-7"; nothing where it is no list of layers.
std::optional<std::string> layers_form(const std::vector<std::string>& parts) {
  constexpr std::size_t most = 10'000;
  std::set<std::size_t> layers;
  for (const std::string& part : parts) {
    const std::vector<std::string> ends = split(part, '-');
    const auto first = parse_number<unsigned long>(ends.front());
    const auto last = parse_number<unsigned long>(ends.back());
    if (ends.size() > 2 || !first || !last || *last < *first || *last >= most) return std::nullopt;
    for (std::size_t layer = *first; layer <= *last; ++layer) layers.insert(layer);
  }
  std::vector<std::string> ranges;
  for (auto at = layers.begin(); at != layers.end();) {
    std::size_t last = *at;
    auto next = std::next(at);
    while (next != layers.end() && *next == last + 1) last = *next++;
    // As the command line takes them: two neighbours stay two.
    if (last == *at)
      ranges.push_back(std::to_string(last));
    else if (last == *at + 1)
      ranges.insert(ranges.end(), {std::to_string(*at), std::to_string(last)});
    else
      ranges.push_back(std::to_string(*at) + "-" + std::to_string(last));
    at = next;
  }
  return join(ranges, ",");
}

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> words) {
  return std::ranges::find(words, text) != words.end();
}

}  // namespace

bool is_incidental_setting(const std::string& name) {
  // Of commands and sweeps, not of runs.
  static const std::set<std::string> of_commands = {"out",    "jobs",  "json", "adapter",
                                                    "plugin", "slurm", "kind", "labels"};
  const SettingSpec* spec = find_setting(name);
  return spec != nullptr ? spec->incidental : of_commands.contains(name);
}

std::string setting_name(std::string_view column) {
  std::string name(trim(column));
  std::ranges::replace(name, '_', '-');
  std::ranges::replace(name, ' ', '-');
  return name;
}

bool is_bookkeeping(const std::string& column, bool only_numbers) {
  static const std::set<std::string> names = {
      // how the run went
      "score", "metric", "parameters", "trainable", "status", "error", "reason", "failed-step",
      "constant-predictions", "majority-score", "adapted-layers", "train-rows", "seconds",
      "train-seconds", "tokens-per-second", "examples-per-second", "peak-memory-mib",
      // when and where
      "wall-time", "walltime", "time", "date", "datetime", "timestamp", "created-at", "started",
      "started-at", "finished", "finished-at", "runtime", "duration", "elapsed", "machine", "host",
      "hostname", "version", "versions", "folder", "path", "file", "origin", "log", "run-id",
      "uuid", "comment", "comments", "note", "notes",
      // a row's number
      "", "index", "level-0"};
  const std::string name = lower(setting_name(column));
  if (names.contains(name) || name.starts_with("unnamed:-") || name.starts_with("--index-level-"))
    return true;
  if (name.starts_with('-')) return is_bookkeeping(name.substr(1), only_numbers);  // _timestamp
  if (!only_numbers) return false;
  static const std::set<std::string> measures = {"accuracy",
                                                 "accuracy-mismatched",
                                                 "f1",
                                                 "pearson",
                                                 "spearman",
                                                 "spearmanr",
                                                 "matthews-correlation",
                                                 "mcc",
                                                 "total",
                                                 "head",
                                                 "frozen",
                                                 "matrices",
                                                 "sites",
                                                 "starts",
                                                 "step",
                                                 "global-step",
                                                 "epoch",
                                                 "sweeps"};
  if (measures.contains(name)) return true;
  for (const char* ending : {"loss", "-accuracy", "-f1", "-seconds", "-per-second", "-time", "-mib",
                             "-gib", "-mb", "-gb", "perplexity", "flops"})
    if (name.ends_with(ending)) return true;
  return name.starts_with("eval/") || name.starts_with("train/");
}

bool is_missing_text(std::string_view text) {
  return is_one_of(trim(text), {"", "None", "NaN", "nan", "NAN", "null", "NULL", "Null", "NA",
                                "N/A", "n/a", "<NA>", "#N/A", "NaT", "-nan"});
}

std::string stored_form(const std::string& name, const std::string& text) {
  const SettingSpec* spec = find_setting(name);
  const bool is_path = name == "out" || (spec && spec->kind == SettingKind::folder);
  return is_path ? text : setting_form(name, text);
}

std::string setting_form(const std::string& name, std::string_view given) {
  if (is_missing_text(given)) return "";
  const SettingSpec* spec = find_setting(name);
  if (spec && spec->kind == SettingKind::phrase) return std::string(trim(given));
  const auto bracketed = inside_brackets(trim(given));
  const std::string_view text = bracketed.value_or(trim(given));
  if (!bracketed && text.find(',') == std::string_view::npos && name != "layers")
    return scalar_form(without_quotes(text));
  std::vector<std::string> parts;
  for (const std::string& part : split(text, ','))
    parts.push_back(scalar_form(without_quotes(part)));
  if (!parts.empty() && parts.back().empty() && parts.size() > 1)
    parts.pop_back();  // Python's (8,)
  if (name == "layers")
    if (const auto layers = layers_form(parts)) return *layers;
  if (spec && spec->is_list() && !spec->ordered) {
    std::ranges::sort(parts);
    parts.erase(std::unique(parts.begin(), parts.end()), parts.end());
    if (name == "targets") {
      // In canonical order, other words behind them.
      std::ranges::stable_sort(parts, {}, [](const std::string& part) {
        const auto type = find_matrix_type(part);
        return type ? static_cast<int>(*type) : INT_MAX;
      });
    }
  }
  return join(parts, name == "rank" ? "x" : ",");
}

}  // namespace rankfold
