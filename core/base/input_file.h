#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>

namespace rankfold {

/// A file open for reading, and what it was then. Nobody waits for a pipe that none writes to:
/// pipes and devices are opened only where their path begins with /dev or /proc (/dev/stdin, a
/// shell's <(...)), where the user alone can have named them.
class InputFile {
 public:
  /// Throws Error naming the file: none, a folder, another pipe or device, no permission.
  explicit InputFile(const std::filesystem::path& file);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int descriptor() const { return descriptor_; }
  bool is_regular() const { return S_ISREG(status_.st_mode); }
  /// Bytes of a regular file when it was opened.
  std::uint64_t size() const { return static_cast<std::uint64_t>(status_.st_size); }

 private:
  int descriptor_ = -1;
  struct stat status_ = {};
};

/// Whether the path is one where pipes and devices are read and written like files.
bool may_be_special(const std::filesystem::path& file);

}  // namespace rankfold
