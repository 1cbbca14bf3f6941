#include "experiments/training/schedule.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <string>

#include <fmt/core.h>

#include "core/base/error.h"

namespace rankfold {

ScheduleKind parse_schedule(std::string_view name) {
  static const std::array<std::string, 4> names{"constant", "linear", "polynomial", "cosine"};
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw unknown_name("schedule", name, names);
  return static_cast<ScheduleKind>(found - names.begin());
}

double Schedule::factor(std::size_t step) const {
  const auto t = static_cast<double>(step);
  const auto w = static_cast<double>(warmup);
  if (step < warmup) return t / w;
  if (kind == ScheduleKind::constant) return 1;
  const double left = std::clamp((total - t) / std::max(1.0, total - w), 0.0, 1.0);
  switch (kind) {
    case ScheduleKind::linear:
      return left;
    case ScheduleKind::cosine:
      return 0.5 * (1 + std::cos(std::numbers::pi * (1 - left)));
    default: {
      const double end = final_rate / rate;
      return end + (1 - end) * std::pow(left, power);
    }
  }
}

std::size_t warmup_steps(double warmup, std::size_t steps) {
  if (warmup >= 1) return static_cast<std::size_t>(std::min(warmup, 1e15));
  const double exact = warmup * static_cast<double>(steps);
  return static_cast<std::size_t>(std::ceil(exact - 1e-9 * std::max(1.0, exact)));
}

std::string warmup_note(std::size_t warmup, std::size_t steps) {
  if (warmup < steps || steps == 0) return "";
  if (steps == 1)
    return fmt::format(
        "{}the only step of the run is the first of its rise, with rate 0: nothing "
        "is learned; expected --warmup 0, or more steps",
        warmup_note_start);
  return fmt::format(
      "{}the rate rises for {} steps and the run has {}, so that it never reaches "
      "--lr",
      warmup_note_start, warmup, steps);
}

}  // namespace rankfold
