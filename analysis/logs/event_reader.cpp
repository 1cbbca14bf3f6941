#include "analysis/logs/event_reader.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "analysis/logs/checksum.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

static_assert(std::endian::native == std::endian::little, "event files are little endian");

constexpr std::size_t buffer_size = std::size_t{1} << 16;
// A record with scalars has some hundred bytes, one with images some millions.
constexpr std::uint64_t longest_record = std::uint64_t{1} << 30;

template <class Number>
Number read_number(const char* bytes) {
  Number value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

}  // namespace

EventFileReader::EventFileReader(const std::filesystem::path& file)
    : file_(file), input_(file), buffer_(buffer_size) {
  if (!input_.is_regular())
    throw Error("{}: is a pipe or device, expected a file", printable(file.string()));
}

/// The next `size` bytes, or fewer at the end of the file.
std::string_view EventFileReader::peek(std::size_t size) {
  while (end_ - begin_ < size && !at_end_) {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    // Doubled while the bytes come: a length that the file does not hold takes no memory.
    if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
    const ssize_t count = ::read(input_.descriptor(), buffer_.data() + end_, buffer_.size() - end_);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      throw Error("{}: cannot be read: {}", printable(file_.string()), std::strerror(errno));
    at_end_ = count == 0;
    end_ += static_cast<std::size_t>(count);
  }
  return {buffer_.data() + begin_, std::min(size, end_ - begin_)};
}

bool EventFileReader::stop(std::string what) {
  stopped_ = true;
  damage_ = EventDamage{offset_, std::move(what)};
  return false;
}

bool EventFileReader::next(std::vector<ScalarView>& scalars) {
  scalars.clear();
  if (stopped_) return false;
  const std::string_view header = peek(record_header);
  if (header.size() < record_header) {
    stopped_ = true;
    truncated_ = !header.empty();
    return false;
  }
  const auto length = read_number<std::uint64_t>(header.data());
  if (read_number<std::uint32_t>(header.data() + 8) != masked_crc32c(header.data(), 8))
    return stop("the checksum of its length does not hold");
  if (length > longest_record)
    return stop(
        fmt::format("its {} bytes are more than the {} that are read", length, longest_record));
  const std::size_t size = record_header + static_cast<std::size_t>(length) + record_footer;
  const std::string_view record = peek(size);
  if (record.size() < size) {
    stopped_ = truncated_ = true;
    return false;
  }
  const std::string_view message = record.substr(record_header, length);
  const auto checksum = read_number<std::uint32_t>(record.data() + record_header + length);
  if (checksum != masked_crc32c(message.data(), message.size()))
    return stop(fmt::format("the checksum of its {} bytes does not hold", length));
  if (!message_.read(message, scalars))
    return stop(fmt::format("its {} bytes are not an event message", length));
  begin_ += size;
  offset_ += size;
  return true;
}

std::string describe(const EventDamage& damage) {
  return fmt::format("damaged record at byte {}: {}", damage.offset, damage.what);
}

}  // namespace rankfold
