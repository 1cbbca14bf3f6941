#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/safetensors.h"
#include "core/fit/numpy_file.h"
#include "core/fit/update_source.h"
#include "core/network/stack.h"

namespace rankfold {

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
  /// Whether there are frozen weights, the matrices that are subtracted.
  bool has_minus() const { return has_minus_; }
  /// Whether a file has numbers in double precision.
  bool is_double() const { return is_double_; }
  /// Numbers of all sites.
  std::size_t size() const;
  /// Reads all once, into memory where it takes at most `limit` bytes beyond the mapped files
  /// (differences and conversions are then kept). Larger inputs are read again site by site, as
  /// often as a fit asks for them. The matrices subtracted are the source's frozen weights. The
  /// file must outlive the source. Throws Error naming file and matrix where a number is not
  /// finite.
  template <class T>
  std::unique_ptr<UpdateSource<T>> open(std::size_t limit) const;

 private:
  struct Files;
  std::unique_ptr<Files> files_;
  Stack stack_;
  std::vector<std::size_t> order_;  ///< by site of the stack: which matrix of the files
  bool is_double_ = false, has_minus_ = false;
};

/// The limit of programs: inputs up to this size are read into memory once, larger ones as often as
/// they are needed.
constexpr std::size_t kept_input_bytes = std::size_t{2} << 30;

/// The matrix type and layer that a module's name says, or nothing.
struct NamedProjection {
  MatrixType matrix;
  std::size_t layer;
};
std::optional<NamedProjection> read_module_name(const std::string& name);

}  // namespace rankfold
