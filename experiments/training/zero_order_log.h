#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "experiments/training/training_session.h"
#include "experiments/training/zero_order_settings.h"

namespace rankfold {

/// The name of such a log in a run's folder.
inline constexpr const char* zero_order_log_name = "zero-order.log";

/// All that one zeroth-order step needs beside the parameters that it starts from: z is a function
/// of the run's seed and the step.
struct ZeroOrderStep {
  double rate = 0, gradient_scale = 1;
  std::vector<double> projections;  ///< see ZeroOrder::projections
};

/// Appends to a run's log: a line that names it, then a line a step: the step's number (from 0 on),
/// rate, scale of the gradient and projections, so that reading gives the same bits. A line is on
/// its way to the file when `add` returns.
class ZeroOrderLog {
 public:
  /// Begins the file anew with these steps. Throws Error naming it where it cannot be written.
  ZeroOrderLog(const std::filesystem::path& folder, const std::vector<ZeroOrderStep>& steps);
  void add(const ZeroOrderStep& step);
  const std::vector<ZeroOrderStep>& steps() const { return steps_; }

 private:
  std::filesystem::path file_;
  std::vector<ZeroOrderStep> steps_;
};

/// Whether the file begins as a ZeroOrderLog does; so does an empty one.
bool is_zero_order_log(const std::filesystem::path& file);

/// The steps of a log. Throws Error naming the file and the line that is none: steps follow each
/// other and have equally many projections, all numbers are finite.
std::vector<ZeroOrderStep> read_zero_order_log(const std::filesystem::path& file);

/// Takes the steps of a log again, from where a session of the run's settings and seed begins, and
/// leaves it with the run's parameters, bit for bit; needs none of the run's data. Only the first
/// `most` steps where the log has more. Returns what it took. Throws Error where the session is no
/// zeroth-order one of as many samples or has begun.
std::vector<ZeroOrderStep> replay_zero_order(const std::filesystem::path& file,
                                             TrainingSession& session, std::size_t most = SIZE_MAX);

}  // namespace rankfold
