#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace rankfold {

namespace tensorboard {
class HyperParameters;
class Summary_Value;
}  // namespace tensorboard

/// Settings of a run by name, as TensorBoard's HParams tab shows them.
using HyperParameterValues = std::map<std::string, std::variant<double, bool, std::string>>;

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
  /// The same without rounding (a tensor of float64), for counts above 2^24.
  void exact_scalar(std::string_view tag, double value, std::int64_t step);
  /// The run's settings, for the hparams plug-in, and how it ended. The metrics of its tab are all
  /// scalars. No experiment summary is written: TensorBoard takes that of one run for all, and
  /// makes a complete one of all runs where none has any.
  void start_session(const HyperParameterValues& settings);
  void end_session(bool success);
  /// Waits until the records have reached the disk.
  void flush();
  /// Flushes and closes; once closed, closing again does nothing.
  void close();
  const std::filesystem::path& file() const { return file_; }

 private:
  void write_record(const std::string& message);
  void write_value(const tensorboard::Summary_Value& value, std::int64_t step);
  void write_session(std::string_view tag, const tensorboard::HyperParameters& content);
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

/// The settings that an event file's session began with (EventWriter::start_session); nothing where
/// its first records tell none. Throws Error naming a file that cannot be opened.
std::optional<HyperParameterValues> read_session(const std::filesystem::path& file);

}  // namespace rankfold
