#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace rankfold {

enum class ScheduleKind { constant, linear, polynomial, cosine };

/// constant, linear, polynomial or cosine; throws UsageError naming the nearest one.
ScheduleKind parse_schedule(std::string_view name);

/// What the learning rate is multiplied with at optimizer step t = 0, 1, ..., total - 1, with w
/// warm-up steps: t / w while t < w (step 0 has rate 0), then, with x = (t - w) / (total - w) in
/// [0, 1],
///
///   constant 1 · linear 1 - x · polynomial e + (1 - e) (1 - x)^power, e = final_rate / rate ·
///   cosine (1 + cos(pi x)) / 2
///
/// At and after `total`: linear and cosine 0, polynomial e. The values are those of transformers'
/// schedules of the same names.
struct Schedule {
  ScheduleKind kind = ScheduleKind::linear;
  std::size_t warmup = 0;
  double total = 1;          ///< steps of the run; LoTR's trainer uses a fraction
  double rate = 1;           ///< the peak learning rate, for polynomial only
  double final_rate = 1e-7;  ///< polynomial: the rate at the end
  double power = 1;          ///< polynomial

  double factor(std::size_t step) const;
};

/// Warm-up steps: `warmup` itself where it is 1 or more, else that share of the run, ceil(warmup *
/// steps), as transformers' warmup_ratio. A product that is a whole number but for rounding counts
/// as that number.
std::size_t warmup_steps(double warmup, std::size_t steps);

/// The beginning of what warmup_note says.
inline constexpr std::string_view warmup_note_start = "--warmup: ";

/// A line where so many warm-up steps leave a run of so many no step at the full rate; else "".
std::string warmup_note(std::size_t warmup, std::size_t steps);

}  // namespace rankfold
