#include <bit>
#include <cstring>

#include "analysis/event_reader.h"

namespace rankfold {
namespace {

/// Numbers and types of the fields that are read, from TensorFlow's event.proto, summary.proto,
/// tensor.proto, tensor_shape.proto and types.proto.
enum Wire : std::uint32_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };
enum Type : std::uint64_t {
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

/// One field: its number, its wire type, and its number or bytes.
struct Field {
  std::uint32_t number = 0;
  Wire wire = varint;
  std::uint64_t integer = 0;
  std::string_view text;
};

template <class Number>
Number from_bytes(const char* data) {
  Number value;
  std::memcpy(&value, data, sizeof value);
  return value;
}

/// Goes through a message field by field.
class Fields {
 public:
  explicit Fields(std::string_view message)
      : next_(message.data()), end_(message.data() + message.size()) {}

  /// False at the end, and where the bytes are no message.
  bool next(Field& field) {
    if (next_ == end_) return false;
    std::uint64_t key = 0;
    if (!read_varint(key) || key >> 3 == 0 || key >> 32 != 0) return fail();
    field.number = static_cast<std::uint32_t>(key >> 3);
    field.wire = static_cast<Wire>(key & 7);
    switch (field.wire) {
      case varint:
        return read_varint(field.integer) || fail();
      case fixed64:
        return read_fixed<std::uint64_t>(field.integer) || fail();
      case fixed32:
        return read_fixed<std::uint32_t>(field.integer) || fail();
      case bytes: {
        std::uint64_t size = 0;
        if (!read_varint(size) || size > static_cast<std::uint64_t>(end_ - next_)) return fail();
        field.text = {next_, static_cast<std::size_t>(size)};
        next_ += size;
        return true;
      }
      default:
        return fail();
    }
  }
  bool valid() const { return valid_; }

  bool read_varint(std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 64 && next_ != end_; shift += 7) {
      const auto byte = static_cast<unsigned char>(*next_++);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }
  bool at_end() const { return next_ == end_; }

 private:
  template <class Number>
  bool read_fixed(std::uint64_t& value) {
    if (static_cast<std::size_t>(end_ - next_) < sizeof(Number)) return false;
    value = from_bytes<Number>(next_);
    next_ += sizeof(Number);
    return true;
  }
  bool fail() {
    valid_ = false;
    return false;
  }

  const char* next_;
  const char* end_;
  bool valid_ = true;
};

double from_half(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const double sign = bits >> 15 ? -1 : 1;
  const double fraction = bits & 1023;
  if (exponent == 0) return sign * fraction * 0x1p-24;
  if (exponent == 31)
    return fraction != 0 ? std::bit_cast<float>(0x7fc00000u)
                         : static_cast<double>(std::bit_cast<float>(0x7f800000u)) * sign;
  // Exact: (1024 + fraction) 2^(exponent - 25).
  return sign * (1024 + fraction) * std::bit_cast<float>((exponent - 25 + 127) << 23);
}

double from_bfloat(std::uint16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// A number as the wire holds it: `bits` of a fixed or variable field.
double typed_value(std::uint64_t type, std::uint64_t bits) {
  switch (type) {
    case float32:
      return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
    case float64:
      return std::bit_cast<double>(bits);
    case float16:
      return from_half(static_cast<std::uint16_t>(bits));
    case bfloat16:
      return from_bfloat(static_cast<std::uint16_t>(bits));
    case uint32:
      return static_cast<std::uint32_t>(bits);
    case uint64:
      return static_cast<double>(bits);
    case boolean:
      return bits != 0 ? 1 : 0;
    case int64:
      return static_cast<double>(static_cast<std::int64_t>(bits));
    default:  // int32, int16, int8, uint16, uint8
      return static_cast<std::int32_t>(bits);
  }
}

/// The field of TensorProto that holds values of a type, 0 for a type that is no number.
std::uint32_t value_field(std::uint64_t type) {
  switch (type) {
    case float32:
      return 5;
    case float64:
      return 6;
    case int32:
    case int16:
    case int8:
    case uint16:
    case uint8:
      return 7;
    case int64:
      return 10;
    case boolean:
      return 11;
    case float16:
    case bfloat16:
      return 13;
    case uint32:
      return 16;
    case uint64:
      return 17;
    default:
      return 0;
  }
}

/// A value, if there is one.
struct Scalar {
  bool found = false;
  double value = 0;
};

/// The one element of tensor_content, little endian.
Scalar content_value(std::uint64_t type, std::string_view content) {
  const auto read = [&]<class Number>(Number) -> Scalar {
    if (content.size() != sizeof(Number)) return {};
    return {true, static_cast<double>(from_bytes<Number>(content.data()))};
  };
  switch (type) {
    case float32:
      return read(float{});
    case float64:
      return read(double{});
    case int32:
      return read(std::int32_t{});
    case int16:
      return read(std::int16_t{});
    case int8:
      return read(std::int8_t{});
    case uint16:
      return read(std::uint16_t{});
    case uint8:
    case boolean:
      return read(std::uint8_t{});
    case int64:
      return read(std::int64_t{});
    case uint32:
      return read(std::uint32_t{});
    case uint64:
      return read(std::uint64_t{});
    case float16:
    case bfloat16:
      if (content.size() != 2) return {};
      return {true, typed_value(type, from_bytes<std::uint16_t>(content.data()))};
    default:
      return {};
  }
}

/// Adds the values of a repeated field, packed or not; false where it is malformed.
bool read_values(const Field& field, std::uint64_t& first, std::size_t& count) {
  const auto take = [&](std::uint64_t bits) {
    if (count++ == 0) first = bits;
  };
  const std::size_t width = field.number == 5 ? 4 : field.number == 6 ? 8 : 0;
  if (field.wire != bytes) {
    if (field.wire == (width == 4 ? fixed32 : width == 8 ? fixed64 : varint)) take(field.integer);
    return true;
  }
  if (width == 0) {
    Fields packed(field.text);
    for (std::uint64_t bits = 0; !packed.at_end(); take(bits))
      if (!packed.read_varint(bits)) return false;
    return true;
  }
  if (field.text.size() % width != 0) return false;
  if (field.text.empty()) return true;
  take(width == 4 ? from_bytes<std::uint32_t>(field.text.data())
                  : from_bytes<std::uint64_t>(field.text.data()));
  count += field.text.size() / width - 1;
  return true;
}

/// Whether every dimension is 1; none are there in most scalars.
bool read_shape(std::string_view message, bool& one_element) {
  Fields shape(message);
  for (Field field; shape.next(field);) {
    if (field.number != 2) continue;
    if (field.wire != bytes) continue;
    std::uint64_t size = 0;
    Fields dimension(field.text);
    for (Field part; dimension.next(part);)
      if (part.number == 1 && part.wire == varint) size = part.integer;
    if (!dimension.valid()) return false;
    one_element = one_element && size == 1;
  }
  return shape.valid();
}

/// The tensor's value, if it is a scalar; false where the bytes are no tensor.
bool read_tensor(std::string_view message, Scalar& scalar) {
  std::uint64_t type = 0;
  bool one_element = true;
  std::string_view content;
  Fields first_pass(message);
  for (Field field; first_pass.next(field);) {
    if (field.number == 1 && field.wire == varint) type = field.integer;
    if (field.number == 4 && field.wire == bytes) content = field.text;
    if (field.number == 2 && field.wire == bytes && !read_shape(field.text, one_element))
      return false;
  }
  if (!first_pass.valid()) return false;
  const std::uint32_t wanted = value_field(type);
  std::uint64_t bits = 0;
  std::size_t count = 0;
  Fields second_pass(message);
  for (Field field; second_pass.next(field);) {
    if (field.number == wanted && !read_values(field, bits, count)) return false;
  }
  if (!second_pass.valid()) return false;
  scalar = {};
  if (!one_element || wanted == 0) return true;
  if (count == 1) scalar = {true, typed_value(type, bits)};
  if (count == 0) scalar = content_value(type, content);
  return true;
}

bool read_summary_value(std::string_view message, ScalarView view,
                        std::vector<ScalarView>& scalars) {
  Scalar scalar;
  Fields fields(message);
  for (Field field; fields.next(field);) {
    if (field.number == 1 && field.wire == bytes) view.tag = field.text;
    // The kinds of value exclude each other: the last one stands.
    if (field.number == 2 && field.wire == fixed32)
      scalar = {true, std::bit_cast<float>(static_cast<std::uint32_t>(field.integer))};
    if (field.number >= 3 && field.number <= 6 && field.wire == bytes) scalar = {};
    if (field.number == 8 && field.wire == bytes && !read_tensor(field.text, scalar)) return false;
  }
  if (!fields.valid()) return false;
  if (!scalar.found) return true;
  view.value = scalar.value;
  scalars.push_back(view);
  return true;
}

bool read_event(std::string_view message, std::vector<ScalarView>& scalars) {
  // Step and time may stand behind the summary.
  ScalarView scalar;
  bool has_summary = false;
  Fields first_pass(message);
  for (Field field; first_pass.next(field);) {
    if (field.number == 1 && field.wire == fixed64)
      scalar.wall_time = std::bit_cast<double>(field.integer);
    if (field.number == 2 && field.wire == varint)
      scalar.step = static_cast<std::int64_t>(field.integer);
    if (field.number == 5 && field.wire == bytes) has_summary = true;
  }
  if (!first_pass.valid() || !has_summary) return first_pass.valid();
  Fields second_pass(message);
  for (Field field; second_pass.next(field);) {
    if (field.number != 5 || field.wire != bytes) continue;
    Fields summary(field.text);
    for (Field value; summary.next(value);)
      if (value.number == 1 && value.wire == bytes &&
          !read_summary_value(value.text, scalar, scalars))
        return false;
    if (!summary.valid()) return false;
  }
  return true;
}

}  // namespace

bool append_scalars(std::string_view message, std::vector<ScalarView>& scalars) {
  const std::size_t before = scalars.size();
  if (read_event(message, scalars)) return true;
  scalars.resize(before);
  return false;
}

}  // namespace rankfold
