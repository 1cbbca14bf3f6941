#include "core/base/input_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/error.h"
#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {

bool may_be_special(const std::filesystem::path& file) {
  const std::string& path = file.native();
  return path.starts_with("/dev/") || path.starts_with("/proc/");
}

InputFile::InputFile(const std::filesystem::path& file) {
  const bool special = may_be_special(file);
  // Opening a pipe that nobody writes to would wait.
  do {
    descriptor_ = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | (special ? 0 : O_NONBLOCK));
  } while (descriptor_ < 0 && errno == EINTR);
  const std::string name = printable(file.string());
  if (descriptor_ < 0 && errno == ENOENT) throw Error("{}: no such file", name);
  if (descriptor_ < 0) throw Error("{}: cannot be opened: {}", name, system_reason(errno));
  const bool examined = ::fstat(descriptor_, &status_) == 0;
  if (examined && (is_regular() || (special && !S_ISDIR(status_.st_mode)))) return;
  const int error = errno;
  ::close(descriptor_);
  if (!examined) throw Error("{}: cannot be examined: {}", name, system_reason(error));
  throw Error("{}: is {}, expected a file", name,
              S_ISDIR(status_.st_mode) ? "a folder" : "a pipe or device");
}

InputFile::~InputFile() {
  ::close(descriptor_);
}

}  // namespace rankfold
