#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/logs/event_message.h"
#include "core/base/input_file.h"

namespace rankfold {

/// TFRecord's framing of a message: its length (uint64) and the masked CRC-32C of that before it,
/// its own masked CRC-32C behind it, all little endian.
inline constexpr std::size_t record_header = 12, record_footer = 4;

/// What is wrong with a record, and where.
struct EventDamage {
  std::uint64_t offset = 0;  ///< bytes before the record
  std::string what;          ///< "the checksum of its length does not hold"
};

/// Reads an event file record by record through a buffer of its own, so that a file which grows,
/// shrinks or is larger than the memory does no harm. Every checksum is checked. After the end, an
/// incomplete last record or a damaged one, nothing more is read.
class EventFileReader {
 public:
  /// Throws Error naming the file when it cannot be opened.
  explicit EventFileReader(const std::filesystem::path& file);
  EventFileReader(const EventFileReader&) = delete;
  EventFileReader& operator=(const EventFileReader&) = delete;

  /// The scalars of the next record, maybe none; false when there are no more records. Throws Error
  /// naming the file when it cannot be read.
  bool next(std::vector<ScalarView>& scalars);
  /// Of the record that `next` read last.
  const EventMessage& message() const { return message_; }
  /// Once `next` gave false: the file ends inside a record.
  bool truncated() const { return truncated_; }
  /// Once `next` gave false: the record that ended the reading, if one is damaged.
  const std::optional<EventDamage>& damage() const { return damage_; }
  /// Bytes of the records read so far.
  std::uint64_t valid_size() const { return offset_; }

 private:
  std::string_view peek(std::size_t size);
  bool stop(std::string what);

  std::filesystem::path file_;
  InputFile input_;
  EventMessage message_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes of the buffer
  bool at_end_ = false, stopped_ = false, truncated_ = false;
  std::uint64_t offset_ = 0;
  std::optional<EventDamage> damage_;
};

/// "damaged record at byte 120: the checksum of its length does not hold"
std::string describe(const EventDamage& damage);

}  // namespace rankfold
