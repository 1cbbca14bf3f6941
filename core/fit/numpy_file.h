#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "core/files.h"
#include "core/safetensors.h"

namespace rankfold {

/// A NumPy array file (format versions 1 to 3), mapped into memory: little-endian float32 or
/// float64 in C order. Source: the format's description in numpy/lib/_format_impl.py.
class NumpyFile {
 public:
  /// Throws Error naming the file where it is no such file, has another type or order, or is not
  /// as long as its shape says.
  explicit NumpyFile(const std::filesystem::path& file);

  DataType type() const { return type_; }  ///< f32 or f64
  const std::vector<std::size_t>& shape() const { return shape_; }
  std::span<const std::byte> bytes() const { return file_.bytes().subspan(begin_); }
  /// The numbers in bytes [begin, begin + size) of the data, converted to float or double.
  template <class T>
  std::vector<T> read(std::size_t begin, std::size_t size) const;
  /// Bytes [begin, begin + size) of the data, as MappedFile's.
  void release(std::size_t begin, std::size_t size) const { file_.release(begin_ + begin, size); }

 private:
  MappedFile file_;
  DataType type_ = DataType::f32;
  std::vector<std::size_t> shape_;
  std::size_t begin_ = 0;
};

}  // namespace rankfold
