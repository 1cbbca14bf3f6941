#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/mapped_pages.h"

namespace rankfold {

/// The whole file as bytes. Throws Error naming the file when it is missing, unreadable, larger
/// than `limit` bytes or no regular file; pipes and devices are read where their path begins with
/// /dev or /proc (/dev/stdin, a shell's <(...)), so that a pipe among results keeps nobody waiting.
std::string read_text(const std::filesystem::path& file, std::size_t limit = std::size_t{1} << 30);

/// Writes to a temporary name beside `file`, flushes, and renames it: readers see the old content
/// or the new one, never a part. Makes missing parent folders. Throws Error naming the file (no
/// permission, disk full, ...); the temporary file is removed.
void write_atomically(const std::filesystem::path& file, std::string_view bytes);

/// The same in pieces: write, then commit. Without commit nothing is left behind. A link is
/// followed, an existing file's permissions are kept; a device or pipe (/dev/stdout) is written
/// directly.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path file);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  void write(const void* bytes, std::size_t size);
  void commit();

 private:
  std::filesystem::path file_, temporary_;
  int descriptor_ = -1;
};

/// What a search through folders found, and what it could not look at.
struct FileSearch {
  std::vector<std::filesystem::path> files;  ///< sorted
  std::vector<std::string> passed_over;      ///< "PATH: Permission denied", sorted
};

/// Every regular file below the folder that `wanted` takes by its name; linked folders once, under
/// their own name if they lie there too. What cannot be read, leads nowhere or above `folder`, or
/// is no regular file is passed over. Throws Error where `folder` itself is none or cannot be read.
FileSearch find_files(const std::filesystem::path& folder,
                      const std::function<bool(const std::string& name)>& wanted);
/// The same for one name.
FileSearch find_files(const std::filesystem::path& folder, const std::string& name);

/// Throws UsageError where `out` is (however named) one of the files that are read for it, or a
/// file of runs, models, adapters or data below a folder that is.
void expect_not_an_input(const std::filesystem::path& out,
                         std::span<const std::filesystem::path> inputs);

/// Throws Error where `out` exists and is no file that may be replaced by what is written: an empty
/// one, or one that begins with one of `beginnings`. `kind` says what it should be ("Parquet
/// file").
void expect_replaceable(const std::filesystem::path& out, std::string_view kind,
                        std::span<const std::string_view> beginnings);

/// A file mapped read-only into memory; pages are read when they are first used. Throws Error
/// naming the file when it is missing, a folder, a device, or cannot be mapped. An empty file has
/// no bytes.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  /// Lets go of the memory of these bytes; reading them again reads the file again.
  void release(std::size_t begin, std::size_t size) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  MappedPages pages_;
};

}  // namespace rankfold
