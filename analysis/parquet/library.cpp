#include <arrow/config.h>

#include "analysis/parquet.h"
#include "analysis/parquet/make.h"

extern "C" __attribute__((visibility("default"))) const rankfold::ParquetLibrary*
rankfold_parquet_library() {
  static const rankfold::ParquetLibrary library = {
      rankfold::parquet_interface, arrow::GetBuildInfo().version_string.c_str(),
      rankfold::make_parquet_writer, rankfold::make_parquet_reader};
  return &library;
}
