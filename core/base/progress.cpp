#include "core/base/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <utility>

#include <fmt/core.h>

#include "core/base/text.h"

namespace rankfold {
namespace {

std::string rate_text(double rate) {
  if (rate >= 100) return fmt::format("{:.0f}/s", rate);
  return fmt::format("{:.{}f}/s", rate, rate >= 10 ? 1 : 2);
}

/// The first `columns` characters of UTF-8 text.
std::string shortened(const std::string& text, std::size_t columns) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool begins_character = (static_cast<unsigned char>(text[i]) & 0xC0) != 0x80;
    if (begins_character && characters++ == columns) return text.substr(0, i);
  }
  return text;
}

}  // namespace

std::string duration_text(double seconds) {
  // A rate near zero promises more than any clock shows.
  const auto whole = static_cast<long long>(std::min(std::round(seconds), 3.6e9));
  const long long minutes = whole / 60;
  if (minutes < 60) return fmt::format("{}:{:02}", minutes, whole % 60);
  return fmt::format("{}:{:02}:{:02}", minutes / 60, minutes % 60, whole % 60);
}

bool standard_error_is_terminal() {
  return ::isatty(STDERR_FILENO) == 1;
}

ProgressOutput standard_error_output() {
  winsize size{};
  const bool known = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  const auto seconds = [] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  return {&std::cerr, seconds, known ? std::size_t{size.ws_col} : 80};
}

Progress::Progress(std::string_view label, std::size_t total, bool terminal, ProgressOutput output)
    : label_(printable(label)),
      total_(total),
      terminal_(terminal),
      output_(std::move(output)),
      start_(output_.seconds()),
      last_shown_(start_) {}

Progress::~Progress() {
  if (bar_is_open_) *output_.stream << '\n' << std::flush;
}

void Progress::update(std::size_t done, std::string_view extra) {
  if (finished_) return;
  done_ = done;
  const double now = output_.seconds();
  if (!is_due(now)) {
    // A bar shows the newest text when it is next drawn or finished.
    if (extra != extra_) extra_ = printable(extra);
    return;
  }
  extra_ = printable(extra);
  show(now);
}

void Progress::finish() {
  if (finished_) return;
  finished_ = true;
  show(output_.seconds());
}

bool Progress::is_due(double now) const {
  const double waited = now - last_shown_;
  if (terminal_) return !bar_is_open_ || waited >= 0.1;
  if (total_ > 0 && done_ >= total_) return false;  // finish shows it
  const bool another_tenth = total_ > 0 && done_ * 10 / total_ > last_tenth_;
  return waited >= 10 || (another_tenth && waited >= 1);
}

std::string Progress::line(double now) const {
  const double elapsed = now - start_;
  const double rate = elapsed > 0 ? static_cast<double>(done_) / elapsed : 0;
  const std::size_t shown_done = total_ > 0 ? std::min(done_, total_) : done_;

  std::string text = label_;
  if (total_ > 0) {
    const std::size_t percent = shown_done * 100 / total_;
    if (terminal_) {
      constexpr std::size_t width = 20;
      const std::size_t filled = shown_done * width / total_;
      text += fmt::format(" [{}{}]", std::string(filled, '#'), std::string(width - filled, '.'));
    } else {
      text += ':';
    }
    text += fmt::format(" {:3} % {}/{}", percent, done_, total_);
  } else {
    text += fmt::format(": {}", done_);
  }
  if (rate > 0) text += fmt::format(", {}", rate_text(rate));
  if (finished_) {
    text += fmt::format(", took {}", duration_text(elapsed));
  } else if (rate > 0 && total_ > 0) {
    text +=
        fmt::format(", {} left", duration_text(static_cast<double>(total_ - shown_done) / rate));
  }
  if (!extra_.empty()) text += fmt::format(", {}", extra_);
  return text;
}

void Progress::show(double now) {
  last_shown_ = now;
  if (total_ > 0) last_tenth_ = done_ * 10 / total_;
  std::ostream& stream = *output_.stream;
  if (terminal_) {
    // One column stays free: a full line would wrap on some terminals.
    const std::size_t columns = std::max<std::size_t>(output_.columns, 2) - 1;
    stream << '\r' << shortened(line(now), columns) << "\x1b[K";
    if (finished_) stream << '\n';
    bar_is_open_ = !finished_;
  } else {
    stream << line(now) << '\n';
  }
  stream << std::flush;
}

}  // namespace rankfold
