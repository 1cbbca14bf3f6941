#include "analysis/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <optional>
#include <span>

#include "analysis/checksum.h"
#include "analysis/event.pb.h"
#include "core/error.h"
#include "core/files.h"

namespace rankfold {
namespace {

static_assert(std::endian::native == std::endian::little, "event files are little endian");

constexpr std::size_t header_size = 12;
constexpr std::size_t footer_size = 4;

double unix_time() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration<double>(now).count();
}

std::string host_name() {
  std::array<char, 256> buffer{};
  if (::gethostname(buffer.data(), buffer.size() - 1) != 0) return "localhost";
  std::string name = buffer.data();
  for (char& c : name) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.';
    if (!plain) c = '-';
  }
  return name.empty() ? "localhost" : name;
}

template <class Number>
Number read_number(const std::byte* bytes) {
  Number value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <class Number>
void append_number(std::string& record, Number value) {
  record.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class Number, class Values>
std::optional<double> only_element(const Values& values, const std::string& content) {
  if (values.size() == 1) return static_cast<double>(values[0]);
  if (values.size() == 0 && content.size() == sizeof(Number)) {
    return static_cast<double>(
        read_number<Number>(reinterpret_cast<const std::byte*>(content.data())));
  }
  return std::nullopt;
}

std::optional<double> scalar_of(const tensorboard::Tensor& tensor) {
  for (const auto& dimension : tensor.tensor_shape().dim()) {
    if (dimension.size() != 1) return std::nullopt;
  }
  switch (tensor.dtype()) {
    case 1:
      return only_element<float>(tensor.float_val(), tensor.tensor_content());
    case 2:
      return only_element<double>(tensor.double_val(), tensor.tensor_content());
    case 3:
      return only_element<std::int32_t>(tensor.int_val(), tensor.tensor_content());
    case 9:
      return only_element<std::int64_t>(tensor.int64_val(), tensor.tensor_content());
    default:
      return std::nullopt;
  }
}

void append_scalars(const tensorboard::Event& event, std::vector<ScalarEvent>& scalars) {
  for (const auto& value : event.summary().value()) {
    std::optional<double> number;
    if (value.has_simple_value()) {
      number = static_cast<double>(value.simple_value());
    } else if (value.has_tensor()) {
      number = scalar_of(value.tensor());
    }
    if (number) scalars.push_back({event.wall_time(), event.step(), value.tag(), *number});
  }
}

}  // namespace

EventWriter::EventWriter(const std::filesystem::path& folder) {
  std::error_code failure;
  std::filesystem::create_directories(folder, failure);
  if (failure) throw Error("{}: cannot make the folder: {}", folder.string(), failure.message());
  const double now = unix_time();
  const std::string stem = fmt::format("events.out.tfevents.{}.{}.{}",
                                       static_cast<std::int64_t>(now), host_name(), ::getpid());
  for (int n = 0; descriptor_ < 0; ++n) {
    file_ = folder / fmt::format("{}.{}", stem, n);
    descriptor_ = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
    if (descriptor_ < 0 && errno != EEXIST) {
      throw Error("{}: cannot create the event file: {}", file_.string(), std::strerror(errno));
    }
  }
  tensorboard::Event version;
  version.set_wall_time(now);
  version.set_file_version("brain.Event:2");
  write_record(version.SerializeAsString());
}

EventWriter::~EventWriter() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void EventWriter::scalar(std::string_view tag, double value, std::int64_t step) {
  tensorboard::Event event;
  event.set_wall_time(unix_time());
  event.set_step(step);
  auto* summary = event.mutable_summary()->add_value();
  summary->set_tag(tag.data(), tag.size());
  summary->set_simple_value(static_cast<float>(value));
  write_record(event.SerializeAsString());
}

void EventWriter::write_record(const std::string& message) {
  if (descriptor_ < 0) throw Error("{}: the event file is closed already", file_.string());
  std::string record;
  record.reserve(header_size + message.size() + footer_size);
  append_number(record, static_cast<std::uint64_t>(message.size()));
  append_number(record, masked_crc32c(record.data(), record.size()));
  record += message;
  append_number(record, masked_crc32c(message.data(), message.size()));
  for (std::size_t done = 0; done < record.size();) {
    const ssize_t written = ::write(descriptor_, record.data() + done, record.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      // A record after an incomplete one could not be read: nothing more may follow.
      const int reason = errno;
      ::close(descriptor_);
      descriptor_ = -1;
      throw Error("{}: cannot write the event file: {}", file_.string(), std::strerror(reason));
    }
    done += static_cast<std::size_t>(written);
  }
}

void EventWriter::flush() {
  if (descriptor_ < 0) throw Error("{}: the event file is closed already", file_.string());
  if (::fdatasync(descriptor_) != 0) {
    throw Error("{}: cannot write the event file: {}", file_.string(), std::strerror(errno));
  }
}

void EventWriter::close() {
  if (descriptor_ < 0) return;
  flush();
  const int status = ::close(descriptor_);
  descriptor_ = -1;
  if (status != 0) {
    throw Error("{}: cannot close the event file: {}", file_.string(), std::strerror(errno));
  }
}

ScalarLog read_scalars(const std::filesystem::path& file) {
  const std::string text = read_text(file, std::size_t{1} << 32);
  const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
  ScalarLog log;
  tensorboard::Event event;
  std::size_t offset = 0;
  while (offset < bytes.size()) {
    const std::size_t left = bytes.size() - offset;
    const std::byte* record = bytes.data() + offset;
    if (left < header_size) break;
    const auto length = read_number<std::uint64_t>(record);
    if (read_number<std::uint32_t>(record + 8) != masked_crc32c(record, 8)) {
      throw Error("{}: damaged record at byte {}: the checksum of its length does not hold",
                  file.string(), offset);
    }
    if (left - header_size < footer_size || length > left - header_size - footer_size) break;
    const std::byte* message = record + header_size;
    if (read_number<std::uint32_t>(message + length) != masked_crc32c(message, length)) {
      throw Error("{}: damaged record at byte {}: the checksum of its {} bytes does not hold",
                  file.string(), offset, length);
    }
    if (length > INT_MAX || !event.ParseFromArray(message, static_cast<int>(length))) {
      throw Error("{}: record at byte {}: its {} bytes are not an event message", file.string(),
                  offset, length);
    }
    append_scalars(event, log.events);
    offset += header_size + length + footer_size;
  }
  log.valid_size = offset;
  log.truncated = offset < bytes.size();
  return log;
}

}  // namespace rankfold
