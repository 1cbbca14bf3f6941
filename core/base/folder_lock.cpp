#include "core/base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// False where another holds it.
bool take_lock(int descriptor) {
  return ::flock(descriptor, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
}

/// Whether the parent handed on a descriptor of the folder that holds its lock.
bool is_inherited(int folder) {
  struct stat wanted {};
  if (::fstat(folder, &wanted) != 0) return false;
  constexpr int last = 15;
  for (int descriptor = STDERR_FILENO + 1; descriptor <= last; ++descriptor) {
    struct stat status {};
    const int flags = ::fcntl(descriptor, F_GETFD);
    if (flags < 0 || (flags & FD_CLOEXEC) != 0 || ::fstat(descriptor, &status) != 0) continue;
    if (status.st_dev == wanted.st_dev && status.st_ino == wanted.st_ino && take_lock(descriptor))
      return true;
  }
  return false;
}

}  // namespace

FolderLock::FolderLock(const std::filesystem::path& folder)
    : descriptor_(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
  const std::string name = printable(folder.string());
  if (descriptor_ < 0) throw Error("{}: cannot be opened: {}", name, system_reason(errno));
  if (take_lock(descriptor_) || is_inherited(descriptor_)) return;
  ::close(descriptor_);
  throw FolderInUse("{}: is in use by another sweep or run; wait for it or choose another folder",
                    name);
}

FolderLock::~FolderLock() {
  ::close(descriptor_);
}

}  // namespace rankfold
