#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace rankfold {

/// One singular value of a site's update.
struct SingularValue {
  std::string site;
  std::size_t layer = 0;
  std::string matrix;     ///< q, k, v, ...
  std::size_t index = 1;  ///< 1 for the largest
  double value = 0;
};

/// Reads the CSV that `rankfold diagnose --spectrum` writes: columns site, layer, matrix, index,
/// value. Throws Error naming file and line, what was found and what was expected.
std::vector<SingularValue> read_spectrum(const std::filesystem::path& file);
std::string spectrum_csv(const std::vector<SingularValue>& values);

}  // namespace rankfold
