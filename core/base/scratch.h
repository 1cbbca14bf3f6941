#pragma once

#include <filesystem>
#include <string>

namespace rankfold {

/// What is written and not yet whole has a name of its own: `.rankfold-tmp-` and 16 random
/// hexadecimal digits. It leads with a dot and leaves the file's own name out, so that no search
/// for result files finds it and it is never too long. A process holds what it writes by a lock
/// (flock) that ends with the process: what nobody holds is a leftover.
std::string scratch_name();

/// Takes the lock on a new file or folder for as long as the descriptor is open. False where
/// somebody took it for a leftover and removed it meanwhile.
bool hold_scratch(int descriptor);

/// Removes the leftovers that lie directly in the folder; what is in use, and what cannot be
/// removed, stays.
void remove_leftovers(const std::filesystem::path& folder);

/// A new, empty folder in `parent`, which must exist: removed again with all that is in it, unless
/// it was kept. Throws Error naming the parent where it cannot be made.
class ScratchFolder {
 public:
  explicit ScratchFolder(const std::filesystem::path& parent);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// Its content has been moved to a place of its own, or is it: nothing is removed.
  void keep() { path_.clear(); }

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace rankfold
