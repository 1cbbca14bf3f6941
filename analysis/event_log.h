#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace rankfold {

/// Writes scalars as a TensorBoard event file. A record goes to the file whole, by one system call,
/// before `scalar` returns: a killed run leaves every record it wrote, and at worst an incomplete
/// last one after a full disk. Not for use by several threads at once.
class EventWriter {
 public:
  /// Makes `folder` where it is missing and in it
  /// `events.out.tfevents.<unix seconds>.<host>.<process>.<n>`, n being the first number not taken.
  /// Throws Error naming the file.
  explicit EventWriter(const std::filesystem::path& folder);
  /// Closes; what cannot be reported is ignored.
  ~EventWriter();
  EventWriter(const EventWriter&) = delete;
  EventWriter& operator=(const EventWriter&) = delete;

  /// Appends one value (stored as float32; NaN and infinities are kept) with the present time.
  /// Throws Error naming the file when it cannot be written or is closed.
  void scalar(std::string_view tag, double value, std::int64_t step);
  /// Waits until the records have reached the disk.
  void flush();
  /// Flushes and closes; once closed, closing again does nothing.
  void close();
  const std::filesystem::path& file() const { return file_; }

 private:
  void write_record(const std::string& message);
  std::filesystem::path file_;
  int descriptor_ = -1;
};

/// One value of an event file.
struct ScalarEvent {
  double wall_time = 0;  ///< seconds since 1970
  std::int64_t step = 0;
  std::string tag;
  double value = 0;
};

/// What an event file holds, in the file's order.
struct ScalarLog {
  std::vector<ScalarEvent> events;
  bool truncated = false;        ///< the file ends inside a record
  std::uint64_t valid_size = 0;  ///< bytes of whole records (the file's size unless truncated)
};

/// Reads the scalars of a TensorBoard event file: `simple_value` and numerical tensors of one
/// element; other summaries (text, histograms, ...) are skipped. TFRecord framing: length (uint64),
/// its masked CRC-32C, the message, its masked CRC-32C, all little endian; every checksum is
/// checked. An incomplete last record is left out and reported. Throws Error naming the file, and
/// for a damaged record its offset in bytes.
ScalarLog read_scalars(const std::filesystem::path& file);

}  // namespace rankfold
