#include <algorithm>
#include <cstring>
#include <fstream>

#include "analysis/logs/event.pb.h"
#include "analysis/logs/event_log.h"
#include "analysis/logs/event_reader.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// The next message of the bytes, which it takes off them; empty at the end or where it is not
/// whole.
std::string_view take_message(std::string_view& bytes) {
  std::uint64_t size = 0;
  if (bytes.size() < record_header + record_footer) return {};
  std::memcpy(&size, bytes.data(), sizeof size);
  if (size > bytes.size() - record_header - record_footer) return {};
  const std::string_view message = bytes.substr(record_header, static_cast<std::size_t>(size));
  bytes.remove_prefix(record_header + message.size() + record_footer);
  return message;
}

HyperParameterValues values_of(const tensorboard::HyperParameters& content) {
  HyperParameterValues values;
  for (const auto& entry : content.session_start_info().hparams()) {
    const auto& value = entry.value();
    if (value.has_number_value())
      values[entry.key()] = value.number_value();
    else if (value.has_bool_value())
      values[entry.key()] = value.bool_value();
    else
      values[entry.key()] = value.string_value();
  }
  return values;
}

}  // namespace

std::optional<HyperParameterValues> read_session(const std::filesystem::path& file) {
  constexpr std::size_t beginning = 65536;
  std::error_code failure;
  if (!std::filesystem::is_regular_file(file, failure))
    throw Error("{}: is no file that can be read", printable(file.string()));
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error("{}: cannot be opened", printable(file.string()));
  std::string text(beginning, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  std::string_view bytes = text;
  for (std::string_view message; !(message = take_message(bytes)).empty();) {
    tensorboard::Event event;
    if (!event.ParseFromArray(message.data(), static_cast<int>(message.size()))) return {};
    for (const auto& value : event.summary().value()) {
      const auto& plugin = value.metadata().plugin_data();
      tensorboard::HyperParameters content;
      if (plugin.plugin_name() == "hparams" && content.ParseFromString(plugin.content()) &&
          content.has_session_start_info())
        return values_of(content);
    }
  }
  return {};
}

}  // namespace rankfold
