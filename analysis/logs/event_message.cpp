#include "analysis/logs/event_message.h"

#include <climits>
#include <cstring>
#include <optional>

#include "analysis/logs/event.pb.h"
#include "core/base/half_precision.h"

namespace rankfold {
namespace {

/// DataType of TensorFlow's types.proto.
enum Type {
  float32 = 1,
  float64 = 2,
  int32 = 3,
  uint8 = 4,
  int16 = 5,
  int8 = 6,
  int64 = 9,
  boolean = 10,
  bfloat16 = 14,
  uint16 = 17,
  float16 = 19,
  uint32 = 22,
  uint64 = 23
};

/// The only element, as one of Number in little-endian content or typed in `values`.
template <class Number, class Values>
std::optional<double> only_element(const Values& values, const std::string& content) {
  if (values.size() == 1) return static_cast<double>(values[0]);
  if (values.size() != 0 || content.size() != sizeof(Number)) return std::nullopt;
  Number value;
  std::memcpy(&value, content.data(), sizeof value);
  return static_cast<double>(value);
}

/// The same of 16 bits that mean a number.
template <class Values>
std::optional<double> only_element(const Values& values, const std::string& content,
                                   float (*read)(std::uint16_t)) {
  const auto bits = only_element<std::uint16_t>(values, content);
  return bits ? std::optional<double>(read(static_cast<std::uint16_t>(*bits))) : std::nullopt;
}

std::optional<double> scalar_of(const tensorboard::Tensor& tensor) {
  for (const auto& dimension : tensor.tensor_shape().dim())
    if (dimension.size() != 1) return std::nullopt;
  const std::string& content = tensor.tensor_content();
  switch (tensor.dtype()) {
    case float32:
      return only_element<float>(tensor.float_val(), content);
    case float64:
      return only_element<double>(tensor.double_val(), content);
    case int8:
      return only_element<std::int8_t>(tensor.int_val(), content);
    case uint8:
      return only_element<std::uint8_t>(tensor.int_val(), content);
    case int16:
      return only_element<std::int16_t>(tensor.int_val(), content);
    case uint16:
      return only_element<std::uint16_t>(tensor.int_val(), content);
    case int32:
      return only_element<std::int32_t>(tensor.int_val(), content);
    case uint32:
      return only_element<std::uint32_t>(tensor.uint32_val(), content);
    case int64:
      return only_element<std::int64_t>(tensor.int64_val(), content);
    case uint64:
      return only_element<std::uint64_t>(tensor.uint64_val(), content);
    case boolean:
      return only_element<std::uint8_t>(tensor.bool_val(), content);
    case float16:
      return only_element(tensor.half_val(), content, from_f16);
    case bfloat16:
      return only_element(tensor.half_val(), content, from_bf16);
    default:
      return std::nullopt;
  }
}

}  // namespace

EventMessage::EventMessage() : event_(std::make_unique<tensorboard::Event>()) {}
EventMessage::~EventMessage() = default;

std::int64_t EventMessage::step() const {
  return event_->step();
}

bool EventMessage::is_start() const {
  constexpr int start = 1;
  return event_->session_log().status() == start;
}

bool EventMessage::has_version() const {
  return event_->has_file_version();
}

bool EventMessage::read(std::string_view bytes, std::vector<ScalarView>& scalars) {
  scalars.clear();
  if (bytes.size() > INT_MAX ||
      !event_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
    return false;
  for (const auto& value : event_->summary().value()) {
    std::optional<double> number;
    if (value.has_simple_value())
      number = static_cast<double>(value.simple_value());
    else if (value.has_tensor())
      number = scalar_of(value.tensor());
    if (number) scalars.push_back({event_->wall_time(), event_->step(), value.tag(), *number});
  }
  return true;
}

}  // namespace rankfold
