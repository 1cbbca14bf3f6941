#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "analysis/log_folders.h"
#include "experiments/runs/results.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

class ParquetResults : public LogFolders {
 protected:
  void write_run(const std::string& place, double first, double last) {
    write(place, [&](EventWriter& writer) {
      writer.exact_scalar("parameters/adapter", 16777217, 0);
      writer.exact_scalar("parameters/trainable", 16777300, 0);
      writer.scalar("eval/loss", 3, 10);
      writer.scalar("eval/matthews_correlation", first, 10);
      writer.scalar("eval/accuracy", 0.5, 20);
      writer.scalar("eval/matthews_correlation", last, 20);
    });
  }
  std::string refusal() const {
    try {
      read_results(request_.out);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
};

TEST_F(ParquetResults, AreTheLastScoresOfRuns) {
  write_run("cola/bert/lora/rank=8/lr=5e-4/seed=1", 0.25, 0.5);
  write_run("cola/bert/lora/rank=8/lr=5e-4/seed=2", 0.75, 0.25);
  write_run("cola/bert/tenslora/rank=8x8x4/seed=1", 0.5, 0.125);
  request_.names = {"task", "model", "method"};
  collect(request_);
  const std::vector<ResultRow> rows = read_results(request_.out).rows;
  ASSERT_EQ(rows.size(), 3u);
  double sum = 0;
  for (const ResultRow& row : rows) {
    EXPECT_EQ(row.task, "cola");
    EXPECT_EQ(row.model, "bert");
    EXPECT_EQ(row.metric, "matthews_correlation");
    EXPECT_EQ(row.rank, row.method == "lora" ? "8" : "8x8x4");
    EXPECT_EQ(row.settings.at("lr"), row.method == "lora" ? "5e-4" : "");
    EXPECT_EQ(row.parameters, 16777217);
    EXPECT_EQ(row.trainable, 16777300);
    sum += *row.score;
  }
  EXPECT_EQ(sum, 0.5 + 0.25 + 0.125);
}

TEST_F(ParquetResults, HaveNoNumberForARunThatDiverged) {
  write_run("cola/bert/lora/seed=1", 0.25, NAN);
  write_run("cola/bert/lora/seed=2", 0.25, 0.5);
  request_.names = {"task", "model", "method"};
  collect(request_);
  const std::vector<ResultRow> rows = read_results(request_.out).rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(std::isnan(*rows[0].score));
  EXPECT_EQ(rows[1].score, 0.5);
}

TEST_F(ParquetResults, NameTheColumnThatIsMissing) {
  write_run("cola/bert/lora/seed=1", 0.25, 0.5);
  request_.names = {"task", "model"};
  collect(request_);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("all.parquet: column 'method' is missing; found "),
                               HasSubstr("task, model, 2")));
  const ByteSink to_file = [&](const void* bytes, std::size_t size) {
    std::ofstream(request_.out, std::ios::binary | std::ios::app)
        .write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
  };
  fs::remove(request_.out);
  const auto writer = parquet_library().make_writer(
      {{"tag", ColumnType::int64, false, {}}, {"step", ColumnType::int64, false, {}}}, {}, to_file);
  writer->write({{{1, 2}, {}, {}, {}}, {{1, 2}, {}, {}, {}}}, 2);
  writer->finish();
  EXPECT_THAT(refusal(), HasSubstr("column 'tag' is of type int64, expected text"));
}

TEST_F(ParquetResults, NeedACountOfParameters) {
  write("cola/bert/lora", [](EventWriter& writer) { writer.scalar("eval/accuracy", 0.5, 1); });
  request_.names = {"task", "model", "method"};
  collect(request_);
  EXPECT_THAT(refusal(), HasSubstr("neither a column 'parameters' nor a tag parameters/adapter"));
  write_run("cola/bert/lotr", 0.5, 0.5);
  collect(request_);
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("method lora"), HasSubstr("found no tag parameters/adapter")));
  write("cola/bert/lora/parameters=64",
        [](EventWriter& writer) { writer.scalar("eval/accuracy", 0.5, 1); });
  fs::remove_all(logs_ / "cola" / "bert" / "lotr");
  collect(request_);
  const std::vector<ResultRow> rows = read_results(request_.out).rows;
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(std::max(rows[0].parameters, rows[1].parameters), 64);
}

TEST_F(ParquetResults, RefuseWhatIsDamaged) {
  for (int seed = 0; seed < 5; ++seed)
    write_run("cola/bert/lora/seed=" + std::to_string(seed), 0.25, 0.5);
  request_.names = {"task", "model", "method"};
  collect(request_);
  const std::string bytes = read_text(request_.out);
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{4}, std::size_t{100}, bytes.size() / 2, bytes.size() - 1}) {
    std::ofstream(request_.out, std::ios::binary) << bytes.substr(0, size);
    EXPECT_THAT(refusal(), HasSubstr("all.parquet: cannot be read as Parquet: ")) << size;
  }
  // A changed byte may go unseen in a value; it must do no harm.
  std::size_t refused = 0;
  for (std::size_t at = 4; at + 8 < bytes.size(); at += 7) {
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 0x55);
    std::ofstream(request_.out, std::ios::binary) << changed;
    refused += refusal() == "no error" ? 0 : 1;
  }
  EXPECT_GT(refused, 100u);
}

}  // namespace
}  // namespace rankfold
