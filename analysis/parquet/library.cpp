#include <dlfcn.h>

#include <arrow/config.h>

#include "analysis/parquet/make.h"
#include "experiments/runs/parquet.h"

namespace {

std::string arrow_file() {
  Dl_info info{};
  const void* place = reinterpret_cast<const void*>(&arrow::GetBuildInfo);
  return ::dladdr(place, &info) != 0 && info.dli_fname != nullptr ? info.dli_fname : "";
}

}  // namespace

extern "C" __attribute__((visibility("default"))) const rankfold::ParquetLibrary*
rankfold_parquet_library() {
  static const rankfold::ParquetLibrary library = {
      rankfold::parquet_interface, arrow::GetBuildInfo().version_string.c_str(), arrow_file,
      rankfold::make_parquet_writer, rankfold::make_parquet_reader};
  return &library;
}
