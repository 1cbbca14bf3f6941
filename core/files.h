#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace rankfold {

/// The whole file as bytes. Throws Error naming the file when it is missing, a folder, unreadable
/// or larger than `limit` bytes.
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
};

}  // namespace rankfold
