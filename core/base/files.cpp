#include "core/base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "core/base/error.h"
#include "core/base/input_file.h"
#include "core/base/scratch.h"
#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::string shown(const fs::path& file) {
  return printable(file.string());
}

int open_retrying(const fs::path& file, int flags, mode_t mode = 0) {
  int descriptor;
  do {
    descriptor = ::open(file.c_str(), flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

/// fsync, except where the kind of file or file system has none.
bool flush_to_disk(int descriptor) {
  int status;
  do {
    status = ::fsync(descriptor);
  } while (status != 0 && errno == EINTR);
  return status == 0 || errno == EINVAL || errno == ENOTSUP;
}

}  // namespace

std::string read_text(const fs::path& file, std::size_t limit) {
  const InputFile opened(file);
  const auto refuse_size = [&] {
    throw Error("{}: is larger than the {} bytes that are accepted here", shown(file), limit);
  };
  std::string text;
  if (opened.is_regular()) {
    const auto size = static_cast<std::size_t>(opened.size());
    if (size > limit) refuse_size();
    text.reserve(size);
  }
  // Pipes and /proc tell no size: read to the end, whatever was promised.
  std::string buffer(std::size_t{1} << 16, '\0');
  while (true) {
    const ssize_t count = ::read(opened.descriptor(), buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error("{}: cannot be read: {}", shown(file), system_reason(errno));
    if (count == 0) return text;
    if (static_cast<std::size_t>(count) > limit - text.size()) refuse_size();
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

void write_atomically(const fs::path& file, std::string_view bytes) {
  AtomicFile output(file);
  output.write(bytes.data(), bytes.size());
  output.commit();
}

AtomicFile::AtomicFile(fs::path file) : file_(std::move(file)) {
  if (!file_.has_filename()) throw Error("'{}': is not the name of a file", shown(file_));
  struct stat existing {};
  const bool exists = ::stat(file_.c_str(), &existing) == 0;
  if (exists && S_ISDIR(existing.st_mode))
    throw Error("{}: is a folder, expected a file to write", shown(file_));
  if (exists && !S_ISREG(existing.st_mode)) {
    if (S_ISFIFO(existing.st_mode) && !may_be_special(file_)) {
      // One that nobody reads would keep us waiting; who reads it gets all of it.
      descriptor_ = open_retrying(file_, O_WRONLY | O_NONBLOCK);
      if (descriptor_ < 0 && errno == ENXIO)
        throw Error("{}: is a pipe that nobody reads, expected a file to write", shown(file_));
      if (descriptor_ >= 0) ::fcntl(descriptor_, F_SETFL, O_WRONLY);
    } else {
      descriptor_ = open_retrying(file_, O_WRONLY);
    }
    if (descriptor_ < 0)
      throw Error("{}: cannot be written: {}", shown(file_), system_reason(errno));
    return;
  }

  std::error_code failure;
  if (exists && fs::is_symlink(file_, failure)) {
    const fs::path target = fs::canonical(file_, failure);
    if (failure) throw Error("{}: cannot be resolved: {}", shown(file_), failure.message());
    file_ = target;
  }
  const fs::path folder = file_.has_parent_path() ? file_.parent_path() : fs::path(".");
  fs::create_directories(folder, failure);
  if (failure) throw Error("{}: its folder cannot be made: {}", shown(file_), failure.message());

  while (descriptor_ < 0) {
    temporary_ = folder / scratch_name();
    descriptor_ = open_retrying(temporary_, O_WRONLY | O_CREAT | O_EXCL, 0666);
    if (descriptor_ < 0 && errno != EEXIST) {
      const int error = errno;
      temporary_.clear();
      throw Error("{}: cannot be written: {}", shown(file_), system_reason(error));
    }
    if (descriptor_ >= 0 && !hold_scratch(descriptor_)) ::close(std::exchange(descriptor_, -1));
  }
  // Best effort: what was private stays private.
  if (exists) static_cast<void>(::fchmod(descriptor_, existing.st_mode & 07777) == 0);
}

AtomicFile::~AtomicFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, std::size_t size) {
  const char* next = static_cast<const char*>(bytes);
  while (size > 0) {
    const ssize_t count = ::write(descriptor_, next, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw Error("{}: cannot be written: {}", shown(file_), system_reason(errno));
    next += count;
    size -= static_cast<std::size_t>(count);
  }
}

void AtomicFile::commit() {
  if (!flush_to_disk(descriptor_))
    throw Error("{}: cannot be written: {}", shown(file_), system_reason(errno));
  // It is held as long as it has its temporary name.
  if (!temporary_.empty() && ::rename(temporary_.c_str(), file_.c_str()) != 0)
    throw Error("{}: cannot be written: {}", shown(file_), system_reason(errno));
  const bool closed = ::close(std::exchange(descriptor_, -1)) == 0;
  if (temporary_.empty() && !closed)
    throw Error("{}: cannot be written: {}", shown(file_), system_reason(errno));
  if (temporary_.empty()) return;
  const fs::path folder = temporary_.parent_path();
  temporary_.clear();
  // The content is in place; flushing the folder only makes its name survive a power cut.
  if (const int descriptor = open_retrying(folder, O_RDONLY | O_DIRECTORY); descriptor >= 0) {
    flush_to_disk(descriptor);
    ::close(descriptor);
  }
}

MappedFile::MappedFile(const fs::path& file) {
  const InputFile opened(file);
  if (!opened.is_regular())
    throw Error("{}: is not a regular file and cannot be mapped", shown(file));
  size_ = static_cast<std::size_t>(opened.size());
  if (size_ == 0) return;
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, opened.descriptor(), 0);
  if (address == MAP_FAILED)
    throw Error("{}: cannot be mapped: {}", shown(file), system_reason(errno));
  data_ = static_cast<const std::byte*>(address);
  pages_ = MappedPages(data_, size_, shown(file));
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::size_t begin, std::size_t size) const {
  // Whole pages alone: a part of one may belong to somebody else's bytes.
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t first = (begin + page - 1) / page * page;
  const std::size_t last = std::min(begin + size, size_) / page * page;
  if (first < last)  // a hint: the file's pages are read again where it has no effect
    static_cast<void>(
        ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED));
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      pages_(std::move(other.pages_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(pages_, other.pages_);
  return *this;
}

}  // namespace rankfold
