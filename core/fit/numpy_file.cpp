#include "core/fit/numpy_file.h"

#include <bit>
#include <cctype>
#include <cstdint>
#include <cstring>
#include <set>
#include <tuple>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/half_precision.h"
#include "core/base/text.h"

namespace rankfold {
namespace fs = std::filesystem;
namespace {

std::size_t elements(const std::vector<std::size_t>& shape, const fs::path& file) {
  std::size_t size = 1;
  for (const std::size_t extent : shape)
    if (__builtin_mul_overflow(size, extent, &size))
      throw Error("{}: a shape of {} is too large", file.string(), fmt::join(shape, " x "));
  return size;
}

/// The Python literal of an array file's header: {'descr': '<f4', 'fortran_order': False, 'shape':
/// (2, 3), } and nothing else.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const fs::path& file) : text_(text), file_(file) {}

  void read(std::string& type, bool& fortran, std::vector<std::size_t>& shape) {
    expect('{');
    std::set<std::string> keys;
    while (!take('}')) {
      const std::string key = quoted();
      if (!keys.insert(key).second) fail("a key stands twice");
      expect(':');
      if (key == "descr")
        type = quoted();
      else if (key == "fortran_order")
        fortran = truth();
      else if (key == "shape")
        shape = tuple();
      else
        fail("an unknown key '" + printable(key, 40) + "'");
      if (!take(',')) {
        expect('}');
        break;
      }
    }
    if (keys.size() != 3) fail("expected descr, fortran_order and shape");
    skip();
    if (at_ != text_.size()) fail("text behind the dictionary");
  }

 private:
  [[noreturn]] void fail(const std::string& why) const {
    throw Error("{}: the header of the array cannot be read: {}", file_.string(), why);
  }
  void skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  bool take(char character) {
    skip();
    if (at_ >= text_.size() || text_[at_] != character) return false;
    ++at_;
    return true;
  }
  void expect(char character) {
    if (!take(character)) fail(fmt::format("expected '{}' at place {}", character, at_));
  }
  std::string quoted() {
    skip();
    const char quote = at_ < text_.size() ? text_[at_] : '\0';
    if (quote == '[') fail("records of several fields; expected float16, float32 or float64");
    if (quote != '\'' && quote != '"') fail(fmt::format("expected a name at place {}", at_));
    const std::size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a name without an end");
    const std::string name(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return name;
  }
  bool truth() {
    skip();
    for (const std::string_view word : {"True", "False"})
      if (text_.substr(at_).starts_with(word)) {
        at_ += word.size();
        return word == "True";
      }
    fail("fortran_order is neither True nor False");
  }
  std::vector<std::size_t> tuple() {
    expect('(');
    std::vector<std::size_t> shape;
    while (!take(')')) {
      skip();
      std::size_t end = at_;
      while (end < text_.size() && std::isdigit(static_cast<unsigned char>(text_[end]))) ++end;
      const auto number = parse_number<std::size_t>(text_.substr(at_, end - at_));
      if (!number) fail("a shape that is no tuple of numbers");
      shape.push_back(*number);
      at_ = end;
      if (!take(',')) {
        expect(')');
        break;
      }
    }
    return shape;
  }

  std::string_view text_;
  const fs::path& file_;
  std::size_t at_ = 0;
};

/// The type of a descr such as '<f4', and whether its bytes are in the other order.
std::pair<DataType, bool> parse_type(const std::string& text, const fs::path& file) {
  const char order = text.empty() ? ' ' : text.front();
  const std::string kind = text.substr(order == '<' || order == '>' || order == '=' ? 1 : 0);
  for (const auto& [name, type] : {std::pair("f2", DataType::f16), std::pair("f4", DataType::f32),
                                   std::pair("f8", DataType::f64)})
    if (kind == name) return {type, order == '>'};
  throw Error(
      "{}: has numbers of type '{}', expected float16, float32 or float64 ('<f2', '<f4', "
      "'<f8')",
      file.string(), printable(text, 40));
}

template <class Bits>
Bits read_bits(const std::byte* data, bool swapped) {
  Bits bits = 0;
  for (std::size_t i = 0; i < sizeof(Bits); ++i)
    bits |= static_cast<Bits>(std::to_integer<Bits>(data[swapped ? sizeof(Bits) - 1 - i : i])
                              << (8 * i));
  return bits;
}

template <class T>
T read_number(const std::byte* data, DataType type, bool swapped) {
  if (type == DataType::f16)
    return static_cast<T>(from_f16(read_bits<std::uint16_t>(data, swapped)));
  if (type == DataType::f32)
    return static_cast<T>(std::bit_cast<float>(read_bits<std::uint32_t>(data, swapped)));
  return static_cast<T>(std::bit_cast<double>(read_bits<std::uint64_t>(data, swapped)));
}

}  // namespace

NumpyFile::NumpyFile(const fs::path& file) : file_(file) {
  const std::span<const std::byte> bytes = file_.bytes();
  const auto byte = [&](std::size_t i) { return std::to_integer<std::size_t>(bytes[i]); };
  constexpr std::string_view magic = "\x93NUMPY";
  if (bytes.size() < 12 || std::memcmp(bytes.data(), magic.data(), magic.size()) != 0)
    throw Error("{}: is no NumPy array file (.npy)", file.string());
  const std::size_t version = byte(6);
  if (version < 1 || version > 3)
    throw Error("{}: NumPy's format version {}, expected 1 to 3", file.string(), version);
  const std::size_t lead = version == 1 ? 10 : 12;
  std::size_t length = byte(8) | byte(9) << 8;
  if (version > 1) length |= byte(10) << 16 | byte(11) << 24;
  if (length > bytes.size() - lead)
    throw Error("{}: the header has {} bytes, the file only {} behind its start", file.string(),
                length, bytes.size() - lead);
  begin_ = lead + length;
  const std::string_view header(reinterpret_cast<const char*>(bytes.data()) + lead, length);
  std::string type;
  HeaderReader(header, file).read(type, fortran_, shape_);
  std::tie(type_, swapped_) = parse_type(type, file);
  if (shape_.size() < 2) fortran_ = false;
  size_ = elements(shape_, file);
  std::size_t expected = 0;
  if (__builtin_mul_overflow(size_, data_type_size(type_), &expected) ||
      expected != bytes.size() - begin_)
    throw Error("{}: an array of {} has {} bytes, the file has {}", file.string(),
                fmt::join(shape_, " x "), expected, bytes.size() - begin_);
}

template <class T>
std::vector<T> NumpyFile::read(std::size_t first, std::size_t count) const {
  const std::size_t width = data_type_size(type_);
  const std::byte* data = file_.bytes().data() + begin_;
  std::vector<T> values(count);
  if (count == 0) return values;
  // Of the number at `first`: its indices, the last one running fastest, and its place in the file.
  std::vector<std::size_t> index(shape_.size()), strides(shape_.size());
  std::size_t place = first;
  if (fortran_) {
    place = 0;
    std::size_t stride = 1, rest = first;
    for (std::size_t mode = 0; mode < shape_.size(); ++mode) {
      strides[mode] = stride;
      stride *= shape_[mode];
    }
    for (std::size_t mode = shape_.size(); mode-- > 0; rest /= shape_[mode]) {
      index[mode] = rest % shape_[mode];
      place += index[mode] * strides[mode];
    }
  }
  for (T& value : values) {
    value = read_number<T>(data + place * width, type_, swapped_);
    if (!fortran_) {
      ++place;
      continue;
    }
    for (std::size_t mode = shape_.size(); mode-- > 0;) {
      place += strides[mode];
      if (++index[mode] < shape_[mode]) break;
      place -= strides[mode] * shape_[mode];
      index[mode] = 0;
    }
  }
  return values;
}

template <class T>
const T* NumpyFile::in_place(std::size_t first) const {
  constexpr DataType wanted = sizeof(T) == 4 ? DataType::f32 : DataType::f64;
  const std::byte* data = file_.bytes().data() + begin_ + first * sizeof(T);
  if (type_ != wanted || swapped_ || fortran_ ||
      reinterpret_cast<std::uintptr_t>(data) % alignof(T) != 0)
    return nullptr;
  return reinterpret_cast<const T*>(data);
}

void NumpyFile::release(std::size_t first, std::size_t count) const {
  const std::size_t width = data_type_size(type_);
  if (!fortran_) file_.release(begin_ + first * width, count * width);
}

template std::vector<float> NumpyFile::read(std::size_t, std::size_t) const;
template std::vector<double> NumpyFile::read(std::size_t, std::size_t) const;
template const float* NumpyFile::in_place(std::size_t) const;
template const double* NumpyFile::in_place(std::size_t) const;

}  // namespace rankfold
