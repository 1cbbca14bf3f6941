#include "analysis/logs/event_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "analysis/logs/checksum.h"
#include "analysis/logs/event.pb.h"
#include "analysis/logs/event_reader.h"
#include "analysis/logs/utf8_text.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

static_assert(std::endian::native == std::endian::little, "event files are little endian");

constexpr int type_float32 = 1, type_float64 = 2;            // DataType of types.proto
constexpr int data_class_scalar = 1, data_class_tensor = 2;  // DataClass of summary.proto

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
void append_number(std::string& record, Number value) {
  record.append(reinterpret_cast<const char*>(&value), sizeof value);
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

void EventWriter::write_value(const tensorboard::Summary_Value& value, std::int64_t step) {
  tensorboard::Event event;
  event.set_wall_time(unix_time());
  event.set_step(step);
  *event.mutable_summary()->add_value() = value;
  write_record(event.SerializeAsString());
}

void EventWriter::scalar(std::string_view tag, double value, std::int64_t step) {
  tensorboard::Summary::Value summary;
  summary.set_tag(tag.data(), tag.size());
  summary.set_simple_value(static_cast<float>(value));
  write_value(summary, step);
}

void EventWriter::exact_scalar(std::string_view tag, double value, std::int64_t step) {
  tensorboard::Summary::Value summary;
  summary.set_tag(tag.data(), tag.size());
  summary.mutable_metadata()->mutable_plugin_data()->set_plugin_name("scalars");
  summary.mutable_metadata()->set_data_class(data_class_scalar);
  summary.mutable_tensor()->set_dtype(type_float64);
  summary.mutable_tensor()->mutable_tensor_shape();
  summary.mutable_tensor()->add_double_val(value);
  write_value(summary, step);
}

void EventWriter::write_session(std::string_view tag, const tensorboard::HyperParameters& content) {
  tensorboard::Summary::Value summary;
  summary.set_tag(tag.data(), tag.size());
  summary.mutable_metadata()->mutable_plugin_data()->set_plugin_name("hparams");
  summary.mutable_metadata()->mutable_plugin_data()->set_content(content.SerializeAsString());
  summary.mutable_metadata()->set_data_class(data_class_tensor);
  // The content is in the metadata; the tensor has no element.
  summary.mutable_tensor()->set_dtype(type_float32);
  summary.mutable_tensor()->mutable_tensor_shape()->add_dim();
  write_value(summary, 0);
}

void EventWriter::start_session(const HyperParameterValues& settings) {
  tensorboard::HyperParameters content;
  auto* start = content.mutable_session_start_info();
  start->set_start_time_secs(unix_time());
  for (const auto& [name, setting] : settings) {
    auto* entry = start->add_hparams();
    entry->set_key(utf8_text(name));
    if (const auto* number = std::get_if<double>(&setting))
      entry->mutable_value()->set_number_value(*number);
    else if (const auto* flag = std::get_if<bool>(&setting))
      entry->mutable_value()->set_bool_value(*flag);
    else
      entry->mutable_value()->set_string_value(utf8_text(std::get<std::string>(setting)));
  }
  write_session("_hparams_/session_start_info", content);
}

void EventWriter::end_session(bool success) {
  tensorboard::HyperParameters content;
  content.mutable_session_end_info()->set_status(success ? 1 : 2);
  content.mutable_session_end_info()->set_end_time_secs(unix_time());
  write_session("_hparams_/session_end_info", content);
}

void EventWriter::write_record(const std::string& message) {
  if (descriptor_ < 0) throw Error("{}: the event file is closed already", file_.string());
  std::string record;
  record.reserve(record_header + message.size() + record_footer);
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
  ScalarLog log;
  EventFileReader reader(file);
  for (std::vector<ScalarView> scalars; reader.next(scalars);)
    for (const ScalarView& scalar : scalars)
      log.events.push_back({scalar.wall_time, scalar.step, std::string(scalar.tag), scalar.value});
  if (reader.damage()) throw Error("{}: {}", printable(file.string()), describe(*reader.damage()));
  log.valid_size = reader.valid_size();
  log.truncated = reader.truncated();
  return log;
}

}  // namespace rankfold
