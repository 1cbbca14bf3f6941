#include "core/adapter/method_settings.h"

#include <cmath>

#include "core/adapter/setting_limits.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// No published tensor train has more than a dozen modes.
constexpr std::size_t most_modes = 64;

}  // namespace

const std::string& MethodSettings::text(const std::string& option) const {
  const auto found = options.find(option);
  if (found == options.end()) throw Error("option '{}' was read but never declared", option);
  return found->second;
}

double MethodSettings::number(const std::string& option) const {
  const auto value = parse_number<double>(text(option));
  if (!value || !std::isfinite(*value))
    throw UsageError("option {} is '{}', expected a number", option,
                     printable(text(option), shown_bytes));
  return *value;
}

std::size_t MethodSettings::count(const std::string& option) const {
  const auto value = parse_number<std::size_t>(text(option));
  if (!value || *value == 0 || *value > largest_setting)
    throw UsageError("option {} is '{}', expected a whole number from 1 to {}", option,
                     printable(text(option), shown_bytes), largest_setting);
  return *value;
}

bool MethodSettings::flag(const std::string& option) const {
  const std::string& value = text(option);
  if (value != "true" && value != "false")
    throw UsageError("option {} is '{}', expected true or false", option,
                     printable(value, shown_bytes));
  return value == "true";
}

std::vector<std::size_t> MethodSettings::shape(const std::string& option) const {
  std::vector<std::size_t> sizes;
  if (text(option).empty()) return sizes;
  for (const std::string& part : split(text(option), ',')) {
    const auto size = parse_number<std::size_t>(trim(part));
    if (!size || *size == 0 || *size > largest_setting)
      throw UsageError("option {} is '{}', expected positive whole numbers such as 8,12,8,8",
                       option, printable(text(option), shown_bytes));
    sizes.push_back(*size);
  }
  if (sizes.size() > most_modes)
    throw UsageError("option {} has {} numbers, expected at most {}", option, sizes.size(),
                     most_modes);
  return sizes;
}

double alpha_over_rank(const MethodSettings& settings, std::size_t rank) {
  const auto divisor = static_cast<double>(rank);
  const auto rslora = settings.options.find("rslora");
  const bool root = rslora != settings.options.end() && settings.flag("rslora");
  return settings.alpha / (root ? std::sqrt(divisor) : divisor);
}

}  // namespace rankfold
