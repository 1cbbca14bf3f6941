#include "core/fit/numpy_file.h"

#include <cctype>
#include <cstring>
#include <set>

#include <fmt/format.h>

#include "core/error.h"
#include "core/text.h"

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
    if (quote == '[') fail("records of several fields; expected float32 or float64");
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
  bool fortran = false;
  HeaderReader(header, file).read(type, fortran, shape_);
  if (type != "<f4" && type != "<f8")
    throw Error("{}: has numbers of type '{}', expected '<f4' (float32) or '<f8' (float64)",
                file.string(), printable(type, 40));
  if (fortran)
    throw Error("{}: is in Fortran order, expected C order (numpy.ascontiguousarray)",
                file.string());
  type_ = type == "<f4" ? DataType::f32 : DataType::f64;
  std::size_t expected = elements(shape_, file);
  if (__builtin_mul_overflow(expected, data_type_size(type_), &expected) ||
      expected != bytes.size() - begin_)
    throw Error("{}: an array of {} has {} bytes, the file has {}", file.string(),
                fmt::join(shape_, " x "), expected, bytes.size() - begin_);
}

template <class T>
std::vector<T> NumpyFile::read(std::size_t begin, std::size_t size) const {
  const std::span<const std::byte> part = bytes().subspan(begin, size);
  const auto convert = [&](auto example) {
    using Stored = decltype(example);
    std::vector<T> values(part.size() / sizeof(Stored));
    for (std::size_t i = 0; i < values.size(); ++i) {
      Stored value;
      std::memcpy(&value, part.data() + i * sizeof(Stored), sizeof(Stored));
      values[i] = static_cast<T>(value);
    }
    return values;
  };
  return type_ == DataType::f32 ? convert(float{}) : convert(double{});
}

template std::vector<float> NumpyFile::read(std::size_t, std::size_t) const;
template std::vector<double> NumpyFile::read(std::size_t, std::size_t) const;

}  // namespace rankfold
