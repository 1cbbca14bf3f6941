#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/files.h"

namespace rankfold {

/// Tensors in files of the safetensors format: 8 bytes with the length of the header (little
/// endian), the header (a JSON object: name -> dtype, shape, data_offsets; "__metadata__": text ->
/// text, or null), then the data of all tensors without gaps, row-major, little endian.
/// Source: https://github.com/huggingface/safetensors (format description).
enum class DataType { f64, f32, f16, bf16, i64, i32, i16, i8, u8, boolean };

/// The format's word for a type ("F32", "BOOL") and its size in bytes.
std::string_view data_type_name(DataType type);
std::size_t data_type_size(DataType type);

/// One tensor of a file: bytes [begin, end) counted from the end of the header.
struct TensorEntry {
  std::string name;
  DataType type;
  std::vector<std::size_t> shape;
  std::size_t begin, end;

  /// The product of the shape (1 for a scalar).
  std::size_t elements() const { return (end - begin) / data_type_size(type); }
};

/// A safetensors file mapped into memory. Opening checks the whole header: JSON without duplicate
/// or unknown keys, types, shape x size = length of every tensor, and that the tensors cover the
/// data exactly (no overlap, no hole, nothing outside the file). Throws Error naming the file.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(std::filesystem::path file);

  const std::filesystem::path& path() const { return path_; }
  /// Sorted by name.
  const std::vector<TensorEntry>& entries() const { return entries_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  /// The tensor of that name: nullptr, or an Error with the file and the nearest name, if absent.
  const TensorEntry* find(std::string_view name) const;
  const TensorEntry& at(std::string_view name) const;

  /// The tensor's bytes in the map, valid as long as this object. `entry` must be one of entries().
  std::span<const std::byte> bytes(const TensorEntry& entry) const;
  /// The tensor's values in the map, or nullptr if its type is not F32 or it is not aligned.
  const float* f32_data(const TensorEntry& entry) const;
  /// Lets go of the memory of the tensor's bytes, which are read again when they are used again.
  void release(const TensorEntry& entry) const;
  /// A converted copy, row-major. Value is float or double, which read any floating-point type (a
  /// float is the nearest to an F64), or std::int64_t, which reads integers and BOOL (0 or 1).
  /// Floating point read as integer, or the reverse, is an Error.
  template <class Value>
  std::vector<Value> read(std::string_view name) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  std::vector<TensorEntry> entries_;
  std::map<std::string, std::string> metadata_;
  std::size_t data_begin_ = 0;
};

/// The weights of a model folder as the Hub lays it out: model.safetensors, or where that is absent
/// model.safetensors.index.json, whose "weight_map" names the shard (a file in the same folder) of
/// every tensor. Throws Error naming the folder, index or shard when the folder has neither, a
/// shard's name is not a plain file name, a shard or a tensor in it is missing, or a shard holds a
/// tensor that the index does not place there (transformers would read it). Copies are cheap
/// and share the mapped files, which live as long as the last copy.
class WeightFolder {
 public:
  explicit WeightFolder(std::filesystem::path folder);

  const std::filesystem::path& path() const { return path_; }
  /// Sorted.
  std::vector<std::string> names() const;
  /// As SafetensorsFile's, across the shards.
  const TensorEntry* find(std::string_view name) const;
  const TensorEntry& at(std::string_view name) const;
  std::span<const std::byte> bytes(std::string_view name) const;
  const float* f32_data(std::string_view name) const;
  void release(std::string_view name) const;
  template <class Value>
  std::vector<Value> read(std::string_view name) const;

 private:
  struct Place {
    const SafetensorsFile* file;
    const TensorEntry* entry;
  };
  struct Contents {
    std::map<std::string, SafetensorsFile> files;
    std::map<std::string, Place, std::less<>> tensors;
  };
  const Place& place(std::string_view name) const;

  std::filesystem::path path_;
  std::shared_ptr<const Contents> contents_;
};

/// A tensor to be written: a view of `bytes`, row-major, little endian.
struct TensorToWrite {
  std::string name;
  DataType type;
  std::vector<std::size_t> shape;
  std::span<const std::byte> bytes;
};

/// Views of values as F32, F64 and I64 tensors; the values must outlive them.
TensorToWrite make_tensor(std::string name, std::vector<std::size_t> shape,
                          std::span<const float> values);
TensorToWrite make_tensor(std::string name, std::vector<std::size_t> shape,
                          std::span<const double> values);
TensorToWrite make_tensor(std::string name, std::vector<std::size_t> shape,
                          std::span<const std::int64_t> values);

/// Writes the file atomically. The bytes depend on the contents alone, not on the order of
/// `tensors`: data lies by decreasing size of the type, then by name, so that every tensor is
/// aligned. Throws Error naming the file when it cannot be written, a name appears twice, is
/// "__metadata__" or is not UTF-8, or a tensor's shape does not match its bytes.
void write_safetensors(const std::filesystem::path& file, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace rankfold
