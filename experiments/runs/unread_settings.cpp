#include "experiments/runs/unread_settings.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

bool is_read(const SettingSpec& spec, const RunSettings& settings) {
  return spec.used_with.empty() || std::ranges::any_of(spec.used_with, [&](const SettingUse& use) {
           const bool is_one =
               std::ranges::find(use.values, settings.text(use.setting)) != use.values.end();
           return is_one != use.not_these;
         });
}

bool is_default(const SettingSpec& spec, const RunSettings& settings) {
  const std::string &value = settings.text(spec.name), &fallback = spec.fallback;
  return value == fallback || (spec.is_number() && !fallback.empty() &&
                               settings.number(spec.name) == setting_number(spec.name, fallback));
}

[[noreturn]] void refuse(const SettingSpec& spec, const RunSettings& settings) {
  std::vector<std::string> uses;
  for (const SettingUse& use : spec.used_with) {
    std::string words = join(use.values, ", ");
    if (const std::size_t last = words.rfind(", "); last != std::string::npos)
      words.replace(last, 2, " or ");
    uses.push_back(
        fmt::format("--{} {}{}", use.setting, use.not_these ? "other than " : "", words));
  }
  const std::string& other = spec.used_with.front().setting;
  throw UsageError("--{} is {}, which is for {}; expected {} with --{} {}", spec.name,
                   printable(settings.text(spec.name), 80), join(uses, ", or "),
                   spec.fallback.empty() ? "none" : spec.fallback, other,
                   printable(settings.text(other), 80));
}

}  // namespace

void expect_read(const RunSettings& settings) {
  for (const SettingSpec& spec : run_settings())
    if (!is_read(spec, settings) && !is_default(spec, settings)) refuse(spec, settings);
}

bool drop_unread(std::span<RunSettings* const> runs) {
  bool dropped = false;
  for (const SettingSpec& spec : run_settings()) {
    if (spec.used_with.empty()) continue;
    std::vector<RunSettings*> without;
    bool with = false;
    for (RunSettings* run : runs) {
      if (is_default(spec, *run)) continue;
      if (is_read(spec, *run))
        with = true;
      else
        without.push_back(run);
    }
    if (!with && !without.empty()) refuse(spec, *without.front());
    for (RunSettings* run : without) run->values.erase(spec.name);
    dropped = dropped || !without.empty();
  }
  return dropped;
}

void drop_unread(RunSettings& settings) {
  for (const SettingSpec& spec : run_settings())
    if (!is_read(spec, settings)) settings.values.erase(spec.name);
}

}  // namespace rankfold
