#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "source_paths.h"

// Only core/device loops over a device's memory with threads or calls a BLAS. That nothing else
// touches it at all is what the test device shows (tests/contract, tests/core/device).

namespace rankfold {
namespace {

/// Files and rooms (they end in a slash) that work on the host's own memory with threads or a BLAS,
/// and why.
const std::map<std::string, std::string>& host_work() {
  static const std::map<std::string, std::string> reasons = {
      {"core/fit/", "fits run on the CPU: expect_host_memory"},
      {"core/linalg/", "small dense linear algebra of the host, by LAPACK"},
      {"experiments/runs/fingerprint.cpp", "hashes files"},
      {"experiments/training/data.cpp", "tokenises texts"},
  };
  return reasons;
}

TEST(DeviceBoundary, KeepsThreadsAndBlasWithinTheDevice) {
  const std::regex forbidden(
      R"(#pragma omp|\bomp_[a-z]|<omp\.h>|cblas|openblas_[a-z]|[sd]gemm_\(|xtensor-blas|\b[sd](gemm|gemv|ger|axpy|dot|scal|syrk|trsm|nrm2)_\()");
  const std::filesystem::path source = RANKFOLD_SOURCE_DIR;
  const auto exception = [](const std::string& name) {
    return std::ranges::find_if(host_work(), [&](const auto& entry) {
      return entry.first == name || (entry.first.ends_with('/') && name.starts_with(entry.first));
    });
  };
  std::set<std::string> found;
  int files = 0;
  for (const char* top : {"core", "decompositions", "experiments", "analysis"})
    for (const auto& entry : std::filesystem::recursive_directory_iterator(source / top)) {
      if (entry.path().extension() != ".h" && entry.path().extension() != ".cpp") continue;
      const std::string name = entry.path().lexically_relative(source).string();
      if (name.starts_with("core/device/")) continue;
      ++files;
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) {
        if (line.find("//") < line.find_first_not_of(" /")) continue;
        if (!std::regex_search(line, forbidden)) continue;
        const auto allowed = exception(name);
        if (allowed == host_work().end())
          ADD_FAILURE() << name << ": " << line;
        else
          found.insert(allowed->first);
      }
    }
  EXPECT_GT(files, 200);
  for (const auto& [name, reason] : host_work())
    EXPECT_TRUE(found.contains(name)) << name << " needs no exception (" << reason << ")";
}

}  // namespace
}  // namespace rankfold
