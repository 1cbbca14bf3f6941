#include "core/base/scratch.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <random>
#include <vector>

#include "core/base/error.h"
#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr const char* prefix = ".rankfold-tmp-";

/// Whether no process holds it.
bool is_leftover(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
  if (descriptor < 0) return false;
  const bool free = ::flock(descriptor, LOCK_EX | LOCK_NB) == 0;
  ::close(descriptor);
  return free;
}

}  // namespace

std::string scratch_name() {
  std::uint64_t number = 0;
  if (::getrandom(&number, sizeof number, 0) != sizeof number) {
    std::random_device device;
    number = std::uint64_t{device()} << 32 | device();
  }
  return fmt::format("{}{:016x}", prefix, number);
}

bool hold_scratch(int descriptor) {
  // A file system without locks keeps its leftovers.
  if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) return false;
  struct stat status {};
  return ::fstat(descriptor, &status) == 0 && status.st_nlink > 0;
}

void remove_leftovers(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code failure;
  fs::directory_iterator entry(folder, failure);
  for (; !failure && entry != fs::directory_iterator(); entry.increment(failure))
    if (entry->path().filename().native().starts_with(prefix)) found.push_back(entry->path());
  for (const fs::path& path : found)
    if (is_leftover(path)) fs::remove_all(path, failure);
}

ScratchFolder::ScratchFolder(const fs::path& parent) {
  while (descriptor_ < 0) {
    const fs::path path = parent / scratch_name();
    std::error_code failure;
    if (!fs::create_directory(path, failure) && !failure) continue;
    if (failure)
      throw Error("{}: no folder can be made in it: {}", printable(parent.string()),
                  failure.message());
    descriptor_ = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor_ < 0)
      throw Error("{}: cannot be opened: {}", printable(path.string()), system_reason(errno));
    if (hold_scratch(descriptor_)) {
      path_ = path;
    } else {
      ::close(descriptor_);
      descriptor_ = -1;
    }
  }
}

ScratchFolder::~ScratchFolder() {
  std::error_code ignored;
  if (!path_.empty()) fs::remove_all(path_, ignored);
  ::close(descriptor_);
}

}  // namespace rankfold
