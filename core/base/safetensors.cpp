#include "core/base/safetensors.h"

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#include "core/base/error.h"
#include "core/base/half_precision.h"
#include "core/base/json_field.h"
#include "core/base/safetensors_header.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

static_assert(std::endian::native == std::endian::little, "tensors are read as they lie in files");

std::string shown(const fs::path& path) {
  return printable(path.string());
}

Error no_such_tensor(const fs::path& path, std::string_view name,
                     const std::vector<std::string>& names) {
  const std::string nearest = nearest_name(name, names);
  return Error("{}: has no tensor '{}'{}", shown(path), printable(name, 200),
               nearest.empty()
                   ? fmt::format(" among its {}", names.size())
                   : fmt::format("; the nearest name is '{}'", printable(nearest, 200)));
}

/// The elements of `bytes`, stored as Stored, each through `convert`.
template <class Value, class Stored, class Convert>
std::vector<Value> converted(std::span<const std::byte> bytes, Convert convert) {
  std::vector<Value> values(bytes.size() / sizeof(Stored));
  for (std::size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = static_cast<Value>(convert(stored));
  }
  return values;
}

template <class Value>
std::vector<Value> copied(std::span<const std::byte> bytes) {
  std::vector<Value> values(bytes.size() / sizeof(Value));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

template <class Value>
std::vector<Value> values_of(const SafetensorsFile& file, const TensorEntry& entry) {
  const std::span<const std::byte> bytes = file.bytes(entry);
  const auto as_it_is = [](auto stored) { return +stored; };
  if constexpr (std::is_floating_point_v<Value>) {
    switch (entry.type) {
      case DataType::f64:
        if constexpr (std::is_same_v<Value, double>) return copied<double>(bytes);
        return converted<Value, double>(bytes, as_it_is);
      case DataType::f32:
        if constexpr (std::is_same_v<Value, float>) return copied<float>(bytes);
        return converted<Value, float>(bytes, as_it_is);
      case DataType::f16:
        return converted<Value, std::uint16_t>(bytes, from_f16);
      case DataType::bf16:
        return converted<Value, std::uint16_t>(bytes, from_bf16);
      default:
        break;
    }
  } else {
    switch (entry.type) {
      case DataType::i64:
        return copied<Value>(bytes);
      case DataType::i32:
        return converted<Value, std::int32_t>(bytes, as_it_is);
      case DataType::i16:
        return converted<Value, std::int16_t>(bytes, as_it_is);
      case DataType::i8:
        return converted<Value, std::int8_t>(bytes, as_it_is);
      case DataType::u8:
        return converted<Value, std::uint8_t>(bytes, as_it_is);
      case DataType::boolean:
        return converted<Value, std::uint8_t>(bytes, [](std::uint8_t byte) { return byte != 0; });
      default:
        break;
    }
  }
  throw Error("{}: tensor '{}' holds {}, expected {}", shown(file.path()),
              printable(entry.name, 200), data_type_name(entry.type),
              std::is_floating_point_v<Value> ? "floating-point numbers" : "integers");
}

std::uint64_t header_length(const fs::path& file, std::span<const std::byte> bytes) {
  std::uint64_t length = 0;
  if (bytes.size() < sizeof(length))
    throw Error("{}: has {} bytes, expected at least the 8 of a safetensors file", shown(file),
                bytes.size());
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > safetensors_header_limit)
    throw Error("{}: its header claims {} bytes, expected at most {} (is it a safetensors file?)",
                shown(file), length, safetensors_header_limit);
  if (length > bytes.size() - sizeof(length))
    throw Error("{}: its header claims {} bytes, but only {} follow (is the file cut short?)",
                shown(file), length, bytes.size() - sizeof(length));
  return length;
}

/// Room for a million tensors.
constexpr JsonLimits index_limits{
    .bytes = safetensors_header_limit, .depth = 16, .values = 2'000'000};

/// tensor -> shard, from model.safetensors.index.json.
std::map<std::string, std::string> read_index(const fs::path& file) {
  const JsonDocument index(file, index_limits);
  const auto map = index.root().find("weight_map");
  if (!map || !map->is_object()) throw Error("{}: has no object 'weight_map'", shown(file));
  std::map<std::string, std::string> shards;
  for (const auto& [tensor, shard] : map->members()) {
    if (!shard.is_string())
      throw Error("{}: weight_map of '{}' is not a text, expected the name of a file", shown(file),
                  printable(tensor, 200));
    const std::string& name = shard.string();
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string_view("/\\\0", 3)) != std::string::npos)
      throw Error("{}: weight_map of '{}' is '{}', expected the plain name of a file beside it",
                  shown(file), printable(tensor, 200), printable(name, 200));
    shards.emplace(tensor, name);
  }
  return shards;
}

}  // namespace

SafetensorsFile::SafetensorsFile(fs::path file) : path_(std::move(file)), file_(path_) {
  const std::span<const std::byte> bytes = file_.bytes();
  const std::uint64_t length = header_length(path_, bytes);
  data_begin_ = sizeof(length) + length;
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + sizeof(length), length);
  SafetensorsHeader header = parse_safetensors_header(path_, text, bytes.size() - data_begin_);
  entries_ = std::move(header.entries);
  metadata_ = std::move(header.metadata);
}

const TensorEntry* SafetensorsFile::find(std::string_view name) const {
  const auto place = std::lower_bound(
      entries_.begin(), entries_.end(), name,
      [](const TensorEntry& entry, std::string_view key) { return entry.name < key; });
  return place != entries_.end() && place->name == name ? &*place : nullptr;
}

const TensorEntry& SafetensorsFile::at(std::string_view name) const {
  if (const TensorEntry* entry = find(name)) return *entry;
  std::vector<std::string> names;
  for (const TensorEntry& entry : entries_) names.push_back(entry.name);
  throw no_such_tensor(path_, name, names);
}

std::span<const std::byte> SafetensorsFile::bytes(const TensorEntry& entry) const {
  return file_.bytes().subspan(data_begin_ + entry.begin, entry.end - entry.begin);
}

void SafetensorsFile::release(const TensorEntry& entry) const {
  file_.release(data_begin_ + entry.begin, entry.end - entry.begin);
}

const float* SafetensorsFile::f32_data(const TensorEntry& entry) const {
  const std::byte* data = bytes(entry).data();
  const bool aligned = reinterpret_cast<std::uintptr_t>(data) % alignof(float) == 0;
  return entry.type == DataType::f32 && aligned ? reinterpret_cast<const float*>(data) : nullptr;
}

template <class Value>
std::vector<Value> SafetensorsFile::read(std::string_view name) const {
  return values_of<Value>(*this, at(name));
}

template std::vector<float> SafetensorsFile::read(std::string_view) const;
template std::vector<double> SafetensorsFile::read(std::string_view) const;
template std::vector<std::int64_t> SafetensorsFile::read(std::string_view) const;

WeightFolder::WeightFolder(fs::path folder) : path_(std::move(folder)) {
  const fs::path whole = path_ / "model.safetensors";
  const fs::path index = path_ / "model.safetensors.index.json";
  auto contents = std::make_shared<Contents>();
  if (fs::exists(whole)) {
    const SafetensorsFile& file =
        contents->files.emplace(whole.filename().string(), whole).first->second;
    for (const TensorEntry& entry : file.entries())
      contents->tensors.emplace(entry.name, Place{&file, &entry});
  } else if (fs::exists(index)) {
    for (const auto& [tensor, shard] : read_index(index)) {
      auto found = contents->files.find(shard);
      if (found == contents->files.end())
        found = contents->files.emplace(shard, path_ / shard).first;
      const SafetensorsFile& file = found->second;
      const TensorEntry* entry = file.find(tensor);
      if (entry == nullptr)
        throw Error("{}: places tensor '{}' in {}, which does not hold it", shown(index),
                    printable(tensor, 200), printable(shard, 200));
      contents->tensors.emplace(tensor, Place{&file, entry});
    }
    for (const auto& [shard, file] : contents->files)
      for (const TensorEntry& entry : file.entries())
        if (const auto placed = contents->tensors.find(entry.name);
            placed == contents->tensors.end() || placed->second.file != &file)
          throw Error("{}: does not place tensor '{}' in {}, which holds it", shown(index),
                      printable(entry.name, 200), printable(shard, 200));
  } else if (!fs::is_directory(path_)) {
    throw Error("{}: is not a folder, expected one with model.safetensors", shown(path_));
  } else {
    throw Error("{}: holds neither model.safetensors nor model.safetensors.index.json",
                shown(path_));
  }
  contents_ = std::move(contents);
}

std::vector<std::string> WeightFolder::names() const {
  std::vector<std::string> names;
  for (const auto& [name, place] : contents_->tensors) names.push_back(name);
  return names;
}

const TensorEntry* WeightFolder::find(std::string_view name) const {
  const auto found = contents_->tensors.find(name);
  return found == contents_->tensors.end() ? nullptr : found->second.entry;
}

const WeightFolder::Place& WeightFolder::place(std::string_view name) const {
  const auto found = contents_->tensors.find(name);
  if (found == contents_->tensors.end()) throw no_such_tensor(path_, name, names());
  return found->second;
}

const TensorEntry& WeightFolder::at(std::string_view name) const {
  return *place(name).entry;
}

std::span<const std::byte> WeightFolder::bytes(std::string_view name) const {
  const Place& found = place(name);
  return found.file->bytes(*found.entry);
}

void WeightFolder::release(std::string_view name) const {
  const Place& found = place(name);
  found.file->release(*found.entry);
}

const float* WeightFolder::f32_data(std::string_view name) const {
  const Place& found = place(name);
  return found.file->f32_data(*found.entry);
}

template <class Value>
std::vector<Value> WeightFolder::read(std::string_view name) const {
  const Place& found = place(name);
  return values_of<Value>(*found.file, *found.entry);
}

template std::vector<float> WeightFolder::read(std::string_view) const;
template std::vector<double> WeightFolder::read(std::string_view) const;
template std::vector<std::int64_t> WeightFolder::read(std::string_view) const;

}  // namespace rankfold
