#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "analysis/logs/collect.h"
#include "analysis/logs/event_log.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/runs/scalar_table.h"
#include "temporary_folder.h"

namespace rankfold {

/// Trees of event files, where this build can write Parquet.
class LogFolders : public testing::Test {
 protected:
  void SetUp() override {
    if (const std::string obstacle = parquet_obstacle(); !obstacle.empty())
      GTEST_SKIP() << "Parquet: " << obstacle;
    request_.logs = {logs_};
    request_.out = folder_.path / "out" / "all.parquet";
  }

  /// One event file in a folder of the tree.
  std::filesystem::path write(const std::string& place,
                              const std::function<void(EventWriter&)>& fill) {
    EventWriter writer(logs_ / place);
    fill(writer);
    writer.close();
    return writer.file();
  }
  std::filesystem::path write(const std::string& place, double loss = 0.5) {
    return write(place, [&](EventWriter& writer) { writer.scalar("train/loss", loss, 1); });
  }

  ScalarTable table() const {
    return read_scalar_table(
        request_.out, [](const std::string&) { return true; },
        [](const ParquetReader::Column&) { return true; });
  }
  /// A column's values as text, with blanks between them.
  std::string column(const std::string& name) const {
    const ScalarTable all = table();
    std::string text;
    for (std::size_t row = 0; row < all.rows; ++row)
      text += (row == 0 ? "" : " ") + all.text(all.position(name), row);
    return text;
  }
  std::string failure() const {
    try {
      collect(request_);
    } catch (const Error& error) {
      status_ = error.exit_status();
      return error.what();
    }
    return "no error";
  }

  TemporaryFolder folder_;
  std::filesystem::path logs_ = folder_.path / "logs";
  CollectRequest request_;
  mutable int status_ = 0;
};

}  // namespace rankfold
