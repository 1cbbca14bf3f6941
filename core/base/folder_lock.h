#pragma once

#include <filesystem>

#include "core/base/error.h"

namespace rankfold {

/// Another process works in the folder.
class FolderInUse : public Error {
 public:
  using Error::Error;
};

/// A folder that one process works in. The lock is the system's on the folder itself (flock): there
/// is no lock file, it ends with its holder however that ended, and a file system without locks
/// gives it to everybody. It excludes other objects of this kind, not files from being written, and
/// folders below are others. A process may hand it on to a child by letting it inherit the
/// descriptor: to the child it is its own, and it lasts until the last of them has ended.
class FolderLock {
 public:
  /// Throws FolderInUse naming the folder, or Error where it cannot be opened.
  explicit FolderLock(const std::filesystem::path& folder);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  /// Closed at exec; a copy of it (dup2) is inherited.
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_;
};

}  // namespace rankfold
