#include "experiments/runs/results.h"

#include <array>
#include <fstream>
#include <string_view>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

bool is_parquet(const std::filesystem::path& file) {
  std::error_code failure;
  const bool is_file = std::filesystem::is_regular_file(file, failure);
  if (file.extension() == ".parquet") {
    if (!is_file && std::filesystem::exists(file, failure))
      throw Error("{}: is no regular file, as Parquet has to be", printable(file.string()));
    return true;
  }
  if (!is_file) return false;  // a pipe is read once
  std::array<char, 4> start{};
  std::ifstream(file, std::ios::binary).read(start.data(), start.size());
  return std::string_view(start.data(), start.size()) == "PAR1";
}

}  // namespace

Results read_results(const std::filesystem::path& file_or_folder) {
  if (std::filesystem::is_directory(file_or_folder)) return read_results_folder(file_or_folder);
  if (is_parquet(file_or_folder)) return read_results_parquet(file_or_folder);
  return read_results_csv(file_or_folder);
}

}  // namespace rankfold
