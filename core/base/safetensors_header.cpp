#include "core/base/safetensors_header.h"

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

struct TypeWord {
  DataType type;
  std::string_view name;
  std::size_t size;
};

/// In the order of the enumeration.
constexpr std::array<TypeWord, 10> type_words = {{{DataType::f64, "F64", 8},
                                                  {DataType::f32, "F32", 4},
                                                  {DataType::f16, "F16", 2},
                                                  {DataType::bf16, "BF16", 2},
                                                  {DataType::i64, "I64", 8},
                                                  {DataType::i32, "I32", 4},
                                                  {DataType::i16, "I16", 2},
                                                  {DataType::i8, "I8", 1},
                                                  {DataType::u8, "U8", 1},
                                                  {DataType::boolean, "BOOL", 1}}};

/// Of one tensor: far more dimensions than any has.
constexpr std::size_t most_numbers = 64;

/// Builds the header from the JSON's events. Whatever does not belong where it stands is refused at
/// once, so no document is ever nested deeper than the format.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderReader(const std::filesystem::path& file) : file_(printable(file.string())) {}

  SafetensorsHeader take() { return std::move(header_); }

  bool start_object(std::size_t) override {
    if (place_ == Place::outside) {
      place_ = Place::header;
    } else if (place_ == Place::header) {
      place_ = name_ == "__metadata__" ? Place::metadata : Place::tensor;
      entry_ = TensorEntry{name_, DataType::f32, {}, 0, 0};
      offsets_.clear();
      fields_.clear();
    } else {
      refuse("an object");
    }
    return true;
  }

  bool key(std::string& name) override {
    if (place_ == Place::header) {
      name_ = name;
      if (!names_.insert(name).second) throw Error("{}: {} appears twice", file_, tensor());
    } else if (place_ == Place::metadata) {
      field_ = name;
      if (header_.metadata.contains(name))
        throw Error("{}: metadata '{}' appears twice", file_, printable(name));
    } else {
      field_ = name;
      if (name != "dtype" && name != "shape" && name != "data_offsets")
        throw Error("{}: {} has an unknown key '{}', expected dtype, shape and data_offsets", file_,
                    tensor(), printable(name));
      if (!fields_.insert(name).second) throw Error("{}: {} has {} twice", file_, tensor(), name);
    }
    return true;
  }

  bool end_object() override {
    if (place_ == Place::tensor) finish_tensor();
    place_ = place_ == Place::header ? Place::outside : Place::header;
    return true;
  }

  bool start_array(std::size_t) override {
    if (place_ != Place::tensor || field_ == "dtype") refuse("an array");
    place_ = Place::numbers;
    return true;
  }

  bool end_array() override {
    place_ = Place::tensor;
    return true;
  }

  bool number_unsigned(number_unsigned_t number) override {
    if (place_ != Place::numbers) refuse("a number");
    if (entry_.shape.size() + offsets_.size() == most_numbers)
      throw Error("{}: {} has more than {} numbers in shape and data_offsets", file_, tensor(),
                  most_numbers);
    (field_ == "shape" ? entry_.shape : offsets_).push_back(number);
    return true;
  }

  bool string(std::string& text) override {
    if (place_ == Place::metadata) {
      header_.metadata.emplace(field_, text);
    } else if (place_ == Place::tensor && field_ == "dtype") {
      const auto word = std::find_if(type_words.begin(), type_words.end(),
                                     [&](const TypeWord& known) { return known.name == text; });
      if (word == type_words.end())
        throw Error("{}: {} has the unknown dtype '{}', expected {}", file_, tensor(),
                    printable(text, 40), known_types());
      entry_.type = word->type;
    } else {
      refuse("a text");
    }
    return true;
  }

  /// The reference implementation takes null for no metadata.
  bool null() override {
    const bool no_metadata = place_ == Place::header && name_ == "__metadata__";
    return no_metadata || refuse("null");
  }
  bool boolean(bool value) override { return refuse(value ? "true" : "false"); }
  bool number_integer(number_integer_t number) override { return refuse(std::to_string(number)); }
  bool number_float(number_float_t, const std::string& text) override {
    return refuse(printable(text, 40));
  }
  bool binary(binary_t&) override { return refuse("binary data"); }

  bool parse_error(std::size_t position, const std::string& token,
                   const nlohmann::json::exception& error) override {
    if (dynamic_cast<const nlohmann::json::out_of_range*>(&error))
      throw Error("{}: its header holds the number {}, which is out of range", file_,
                  printable(token, 40));
    throw Error("{}: its header is not valid JSON (near byte {})", file_, position);
  }

 private:
  enum class Place { outside, header, metadata, tensor, numbers };

  std::string tensor() const { return fmt::format("tensor '{}'", printable(name_, 200)); }

  static std::string known_types() {
    std::vector<std::string> names;
    names.reserve(type_words.size());
    for (const TypeWord& word : type_words) names.emplace_back(word.name);
    return join(names, ", ");
  }

  /// Always throws; the return type is the events'.
  [[noreturn]] bool refuse(std::string_view found) const {
    switch (place_) {
      case Place::outside:
        throw Error("{}: its header is {}, expected a JSON object", file_, found);
      case Place::header:
        throw Error("{}: {} is {}, expected an object", file_, tensor(), found);
      case Place::metadata:
        throw Error("{}: metadata '{}' is {}, expected a text", file_, printable(field_, 200),
                    found);
      case Place::tensor:
      case Place::numbers:
        break;
    }
    throw Error("{}: {} of {} holds {}, expected {}", file_, field_, tensor(), found,
                field_ == "dtype" ? "a text" : "whole numbers from 0 to 2^64 - 1");
  }

  void finish_tensor() {
    for (const std::string field : {"dtype", "shape", "data_offsets"})
      if (!fields_.contains(field)) throw Error("{}: {} has no {}", file_, tensor(), field);
    if (offsets_.size() != 2)
      throw Error("{}: data_offsets of {} holds {} numbers, expected 2", file_, tensor(),
                  offsets_.size());
    entry_.begin = offsets_[0];
    entry_.end = offsets_[1];
    if (entry_.begin > entry_.end)
      throw Error("{}: {} begins at {} after its end {}", file_, tensor(), entry_.begin,
                  entry_.end);
    const std::optional<std::size_t> size = tensor_size(entry_.shape, entry_.type);
    if (!size) throw Error("{}: the shape of {} is too large", file_, tensor());
    if (*size != entry_.end - entry_.begin)
      throw Error("{}: {} has {} bytes, expected {} for its shape as {}", file_, tensor(),
                  entry_.end - entry_.begin, *size, data_type_name(entry_.type));
    header_.entries.push_back(std::move(entry_));
  }

  std::string file_;
  SafetensorsHeader header_;
  Place place_ = Place::outside;
  std::string name_, field_;
  TensorEntry entry_;
  std::vector<std::size_t> offsets_;
  std::set<std::string> names_, fields_;
};

/// Every byte of the data belongs to exactly one tensor.
void check_coverage(const std::string& file, const std::vector<TensorEntry>& entries,
                    std::size_t data_size) {
  std::vector<const TensorEntry*> by_place;
  by_place.reserve(entries.size());
  for (const TensorEntry& entry : entries) by_place.push_back(&entry);
  std::sort(by_place.begin(), by_place.end(), [](const TensorEntry* a, const TensorEntry* b) {
    return std::tie(a->begin, a->end, a->name) < std::tie(b->begin, b->end, b->name);
  });
  std::size_t covered = 0;
  const TensorEntry* last = nullptr;
  for (const TensorEntry* entry : by_place) {
    const std::string name = printable(entry->name, 200);
    if (entry->end > data_size)
      throw Error("{}: tensor '{}' ends at byte {} of the data, which has {}", file, name,
                  entry->end, data_size);
    if (entry->begin < covered)
      throw Error("{}: tensor '{}' overlaps tensor '{}'", file, name, printable(last->name, 200));
    if (entry->begin > covered)
      throw Error("{}: a hole of {} bytes lies before tensor '{}'", file, entry->begin - covered,
                  name);
    covered = entry->end;
    last = entry;
  }
  if (covered != data_size)
    throw Error("{}: {} bytes at the end belong to no tensor", file, data_size - covered);
}

}  // namespace

std::string_view data_type_name(DataType type) {
  return type_words[static_cast<std::size_t>(type)].name;
}

std::size_t data_type_size(DataType type) {
  return type_words[static_cast<std::size_t>(type)].size;
}

std::optional<std::size_t> tensor_size(const std::vector<std::size_t>& shape, DataType type) {
  std::size_t size = data_type_size(type);
  for (const std::size_t extent : shape)
    if (__builtin_mul_overflow(size, extent, &size)) return std::nullopt;
  return size;
}

SafetensorsHeader parse_safetensors_header(const std::filesystem::path& file, std::string_view text,
                                           std::size_t data_size) {
  const std::string shown = printable(file.string());
  if (!text.starts_with('{'))
    throw Error("{}: its header does not begin with '{{', expected a JSON object", shown);
  // The JSON library takes a zero byte for the end of its input.
  if (const std::size_t zero = text.find('\0'); zero != std::string_view::npos)
    throw Error("{}: its header is not valid JSON (near byte {})", shown, zero);
  HeaderReader reader(file);
  nlohmann::json::sax_parse(text.begin(), text.end(), &reader);
  SafetensorsHeader header = reader.take();
  std::sort(header.entries.begin(), header.entries.end(),
            [](const TensorEntry& a, const TensorEntry& b) { return a.name < b.name; });
  check_coverage(shown, header.entries, data_size);
  return header;
}

}  // namespace rankfold
