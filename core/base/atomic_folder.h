#pragma once

#include <filesystem>
#include <optional>

#include "core/base/scratch.h"

namespace rankfold {

/// The folder of `--out`, made beside it under a new name (see ScratchFolder) and renamed when it
/// is whole; without commit it is removed again. Leftovers of processes that were killed are
/// removed. Throws UsageError where the target exists and is not empty, Error where it cannot be
/// made.
class AtomicFolder {
 public:
  explicit AtomicFolder(const std::filesystem::path& target);

  /// Where to write meanwhile.
  const std::filesystem::path& path() const { return scratch_->path(); }
  void commit();

 private:
  std::filesystem::path target_;
  std::optional<ScratchFolder> scratch_;
};

}  // namespace rankfold
