#pragma once

#include "experiments/runs/parquet.h"

namespace rankfold {

std::unique_ptr<ParquetWriter> make_parquet_writer(const std::vector<TableColumn>& columns,
                                                   const ParquetOptions& options, ByteSink sink);
std::unique_ptr<ParquetReader> make_parquet_reader(const std::filesystem::path& file);

}  // namespace rankfold
