#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/files.h"
#include "core/fit/update_source.h"
#include "core/safetensors.h"
#include "core/stack.h"

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
  /// Bytes [begin, begin + size) of the data, as MappedFile's.
  void release(std::size_t begin, std::size_t size) const { file_.release(begin_ + begin, size); }

 private:
  MappedFile file_;
  DataType type_ = DataType::f32;
  std::vector<std::size_t> shape_;
  std::size_t begin_ = 0;
};

/// A stack of updates in a file, and one sites are subtracted from: a .npy array [sites, out, in]
/// (layers of one matrix type), or every matrix of a .safetensors file. There, sites are named by
/// their modules; layer and matrix type come from the names where all have a layer's number and a
/// known projection and no two have the same, else the matrices are layers of one type in the
/// file's order.
class UpdateFile {
 public:
  /// `minus` may be empty. Throws Error naming the file, tensor and shapes where both do not match,
  /// and where there is no matrix.
  UpdateFile(const std::filesystem::path& file, const std::filesystem::path& minus,
             std::size_t heads);
  ~UpdateFile();

  const Stack& stack() const { return stack_; }
  /// Whether a file has numbers in double precision.
  bool is_double() const { return is_double_; }
  /// Numbers of all sites.
  std::size_t size() const;
  /// Reads all into memory where it takes at most `limit` bytes beyond the mapped files
  /// (differences and conversions are then kept), or touches what is used as it is mapped. Larger
  /// inputs are read site by site, as often as a fit asks for them. The file must outlive the
  /// source.
  template <class T>
  std::unique_ptr<UpdateSource<T>> open(std::size_t limit) const;

 private:
  struct Files;
  std::unique_ptr<Files> files_;
  Stack stack_;
  std::vector<std::size_t> order_;  ///< by site of the stack: which matrix of the files
  bool is_double_ = false;
};

/// The limit of programs: inputs up to this size are read into memory once, larger ones as often as
/// they are needed.
constexpr std::size_t kept_bytes = std::size_t{2} << 30;

/// The matrix type and layer that a module's name says, or nothing.
struct NamedProjection {
  MatrixType matrix;
  std::size_t layer;
};
std::optional<NamedProjection> read_module_name(const std::string& name);

}  // namespace rankfold
