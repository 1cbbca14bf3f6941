#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

#include "experiments/sweep/fit_sweep.h"

namespace rankfold {

/// What tells one fit from others: its method, settings and options, those of the sweep, and the
/// content of its files.
using FitIdentity = std::map<std::string, std::string>;

/// The finished fits of a folder, `fits.jsonl`: a line each, {fit: identity, parameters,
/// relative_error, seconds, starts, sweeps, threads}, written as soon as it is finished. A line
/// that is not whole (the end of a process or disk) counts as none.
class FitJournal {
 public:
  /// Reads what is there. Throws Error where it is there and is no readable file.
  explicit FitJournal(std::filesystem::path file);

  /// Takes the numbers of a kept fit into the row; false where there is none.
  bool find(const FitIdentity& fit, FitRow& row) const;
  /// Throws Error where it cannot be written.
  void add(const FitIdentity& fit, const FitRow& row);
  /// The mean time of the kept fits by a method to files of one content; 0 where there are none.
  double mean_seconds(const std::string& method, const std::string& content) const;

 private:
  struct Kept {
    std::size_t parameters, starts, sweeps, threads;
    double relative_error, seconds;
  };
  void read_line(std::string_view line);

  std::filesystem::path file_;
  std::map<FitIdentity, Kept> kept_;
  bool ends_in_a_line_ = true;
};

}  // namespace rankfold
