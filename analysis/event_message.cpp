#include "analysis/event_message.h"

#include <bit>
#include <climits>
#include <cstring>
#include <optional>

#include "analysis/event.pb.h"

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

/// IEEE half precision; exact.
double from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const float sign = (bits >> 15) != 0 ? -1.0f : 1.0f;
  if (exponent == 0) return sign * static_cast<float>(fraction) * 0x1p-24f;
  const int shifted = exponent == 31 ? 255 : exponent - 15 + 127;
  return sign * std::bit_cast<float>((shifted << 23) | (fraction << 13));
}

double from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

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
                                   double (*read)(std::uint16_t)) {
  const auto bits = only_element<std::uint16_t>(values, content);
  return bits ? std::optional(read(static_cast<std::uint16_t>(*bits))) : std::nullopt;
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
      return only_element(tensor.half_val(), content, from_half);
    case bfloat16:
      return only_element(tensor.half_val(), content, from_bfloat);
    default:
      return std::nullopt;
  }
}

}  // namespace

EventMessage::EventMessage() : event_(std::make_unique<tensorboard::Event>()) {}
EventMessage::~EventMessage() = default;

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
