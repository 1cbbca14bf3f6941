#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <vector>

#include "core/base/files.h"
#include "core/base/safetensors.h"

namespace rankfold {

/// A NumPy array file (format versions 1 to 3), mapped into memory: float16, float32 or float64 of
/// either byte order, in C or Fortran order. Source: the format's description in
/// numpy/lib/_format_impl.py.
class NumpyFile {
 public:
  /// Throws Error naming the file where it is no such file, has numbers of another type, or is not
  /// as long as its shape says.
  explicit NumpyFile(const std::filesystem::path& file);

  DataType type() const { return type_; }  ///< f16, f32 or f64
  const std::vector<std::size_t>& shape() const { return shape_; }
  std::size_t size() const { return size_; }  ///< numbers
  /// `count` numbers from `first` on, in C order, converted to float or double.
  template <class T>
  std::vector<T> read(std::size_t first, std::size_t count) const;
  /// The numbers from `first` on where they lie, or null where they have another type or order or
  /// are not aligned.
  template <class T>
  const T* in_place(std::size_t first) const;
  /// Lets go of the memory of these numbers, where they lie together.
  void release(std::size_t first, std::size_t count) const;

 private:
  MappedFile file_;
  DataType type_ = DataType::f32;
  std::vector<std::size_t> shape_;
  std::size_t begin_ = 0, size_ = 0;
  bool swapped_ = false;  ///< big-endian
  bool fortran_ = false;
};

}  // namespace rankfold
