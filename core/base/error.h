#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/core.h>

namespace rankfold {

/// What went wrong, in one line: the culprit (file, key, option, method, site), what was found and
/// what was expected. The command line prints it and ends with `exit_status`: 1 failed.
class Error : public std::runtime_error {
 public:
  template <class... Arguments>
  explicit Error(fmt::format_string<Arguments...> text, Arguments&&... arguments)
      : std::runtime_error(fmt::format(text, std::forward<Arguments>(arguments)...)) {}
  virtual int exit_status() const noexcept { return 1; }
};

/// The request itself is wrong (unknown name, rank out of range, bad option): exit status 2.
class UsageError : public Error {
 public:
  using Error::Error;
  int exit_status() const noexcept override { return 2; }
};

/// The candidate nearest to `given` by edit distance, or "" where none is near enough to be meant
/// (distance at most a third of the longer word, at least 1).
std::string nearest_name(std::string_view given, std::span<const std::string> candidates);

/// "unknown <kind> '<given>'; did you mean '<nearest>'? (known: a, b, c)", as a UsageError.
UsageError unknown_name(std::string_view kind, std::string_view given,
                        std::span<const std::string> candidates);

}  // namespace rankfold
