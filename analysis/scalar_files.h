#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "analysis/collect.h"
#include "analysis/scalar_runs.h"

namespace rankfold {

/// What was read from many event files.
struct ScalarFiles {
  std::vector<SortedRun> runs;
  std::vector<std::string> tags;  ///< by number, in any order
  std::vector<CollectReport::Problem> problems;
};

/// Which tags are kept: those whose beginning matches a POSIX extended regular expression. Throws
/// UsageError saying what is wrong with it.
class TagPattern {
 public:
  explicit TagPattern(const std::string& pattern);
  ~TagPattern();
  bool matches(const std::string& tag) const;

 private:
  struct Compiled;
  std::unique_ptr<Compiled> compiled_;
};

/// Reads files by several threads; each gives sorted runs (by tag and step, or step and tag), whose
/// order is that of the files.
ScalarFiles read_scalar_files(const std::vector<std::filesystem::path>& files,
                              const TagPattern& pattern, bool tag_first, bool by_tag, bool by_step,
                              std::size_t threads, RunStore& store,
                              const std::function<void(std::size_t done)>& check);

}  // namespace rankfold
