#include "experiments/runs/setting_value.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/adapter/rank.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::string canonical_list(const std::string& name, const std::string& text) {
  std::vector<std::string> words;
  for (const std::string& part : split(text, ',')) {
    words.emplace_back(trim(part));
    if (words.back().empty()) {
      throw UsageError("--{} is '{}'; expected words with a comma between them", name,
                       printable(text, 80));
    }
  }
  return join(words, ",");
}

std::string canonical_rank(const std::string& text) {
  const auto rank = Rank::parse(text);
  if (!rank || std::ranges::find(rank->sizes(), 0U) != rank->sizes().end())
    throw UsageError("--rank is '{}'; expected a positive number such as 8", printable(text, 80));
  return rank->text();
}

/// run.json keeps them, and JSON is UTF-8.
std::string expect_utf8(const std::string& name, const std::string& text) {
  if (find_invalid_utf8(text))
    throw UsageError("--{} is '{}', which is no UTF-8", name, printable(text, 300));
  return text;
}

std::string expect_utf8_path(std::string path) {
  if (find_invalid_utf8(path))
    throw UsageError("{}: the path of this folder is no UTF-8; expected another name",
                     printable(path, 300));
  return path;
}

/// Absolute, with the links above it followed but its own name as it was given: a model keeps the
/// name by which the user knows it.
std::string absolute_folder(const std::string& text) {
  fs::path path = text;
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  const fs::path name = path.filename();
  std::error_code failure;
  if (name.empty() || name == "." || name == "..") {
    const fs::path whole = fs::weakly_canonical(fs::absolute(path, failure), failure);
    return expect_utf8_path(failure ? text : whole.string());
  }
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path above = fs::weakly_canonical(fs::absolute(parent, failure), failure);
  return expect_utf8_path(failure ? text : (above / name).string());
}

std::string followed_folder(const std::string& text) {
  std::error_code failure;
  const fs::path whole = fs::weakly_canonical(text, failure);
  return failure ? text : whole.string();
}

template <class Find>
std::string looked_up(std::map<std::string, std::string>* known, const std::string& text,
                      const Find& find) {
  if (known == nullptr) return find(text);
  const auto found = known->find(text);
  return found != known->end() ? found->second : known->emplace(text, find(text)).first->second;
}

}  // namespace

double setting_number(const std::string& name, const std::string& text) {
  const auto value = parse_number<double>(text);
  if (!value || !std::isfinite(*value)) {
    throw UsageError("--{} is '{}'; expected a number such as 5e-4", name, printable(text, 80));
  }
  return *value;
}

std::uint64_t setting_count(const std::string& name, const std::string& text) {
  const auto value = parse_number<unsigned long long>(text);
  if (!value) {
    const bool too_large = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    throw UsageError("--{} is '{}'; expected a whole number, {}", name, printable(text, 80),
                     too_large ? "less than 2^64" : "0 or more");
  }
  return *value;
}

std::string canonical_value(const SettingSpec& spec, const std::string& text, KnownFolders* known) {
  switch (spec.kind) {
    case SettingKind::folder:
      return looked_up(known ? &known->absolute : nullptr, text, absolute_folder);
    case SettingKind::count:
      return std::to_string(setting_count(spec.name, text));
    case SettingKind::number:
      return canonical_number(setting_number(spec.name, text));
    case SettingKind::list:
      return canonical_list(spec.name, text);
    case SettingKind::rank:
      return canonical_rank(text);
    case SettingKind::choice:
      if (std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) {
        throw unknown_name(spec.name, text, spec.choices);
      }
      return text;
    case SettingKind::phrase:
      return expect_utf8(spec.name, text);
    case SettingKind::text:
      break;
  }
  return text;
}

void check_limit(const SettingSpec& spec, const std::string& text) {
  if (spec.limit && !spec.limit->holds(setting_number(spec.name, text)))
    throw UsageError("--{} is {}; expected {}", spec.name, printable(text, 80),
                     spec.limit->expected);
  if (!spec.is_list() || spec.choices.empty()) return;
  for (const std::string& part : split(text, ',')) {
    const std::string word(trim(part));
    if (std::ranges::find(spec.choices, word) == spec.choices.end())
      throw unknown_name("part for --" + spec.name, word, spec.choices);
  }
}

std::string real_folder(const std::string& text, KnownFolders* known) {
  return looked_up(known ? &known->real : nullptr, text, followed_folder);
}

}  // namespace rankfold
