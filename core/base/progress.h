#pragma once

#include <cstddef>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

namespace rankfold {

bool standard_error_is_terminal();

/// "4:10" or "1:02:05", rounded to seconds.
std::string duration_text(double seconds);

/// Where progress is shown and what time it is there.
struct ProgressOutput {
  std::ostream* stream;
  /// Seconds since any fixed moment.
  std::function<double()> seconds;
  /// Width of the terminal in characters.
  std::size_t columns;
};

/// Standard error, the steady clock, and the width of the terminal (80 where it is none).
ProgressOutput standard_error_output();

/// Shows how far a job of `total` steps (0: unknown) has come, how fast it is in steps per second
/// since construction, and how long it will take. On a terminal one line is redrawn at most ten
/// times a second. Elsewhere lines are added: one when another tenth is done (at most one a second)
/// and one after every ten seconds; the last state is left to finish. For use by one thread.
class Progress {
 public:
  Progress(std::string_view label, std::size_t total, bool terminal,
           ProgressOutput output = standard_error_output());
  /// Leaves an unfinished bar as it is and ends its line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` steps are done; `extra` (a loss, a name) stands at the end of the line.
  void update(std::size_t done, std::string_view extra = {});
  /// Shows the last state, the mean rate and the time taken.
  void finish();

 private:
  bool is_due(double now) const;
  std::string line(double now) const;
  void show(double now);

  std::string label_;
  std::size_t total_;
  bool terminal_;
  ProgressOutput output_;
  double start_, last_shown_;
  std::size_t done_ = 0, last_tenth_ = 0;
  std::string extra_;
  bool bar_is_open_ = false, finished_ = false;
};

}  // namespace rankfold
