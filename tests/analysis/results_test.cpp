#include "analysis/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "analysis/csv.h"
#include "core/error.h"
#include "core/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string header = "task,model,method,rank,seed,parameters,metric,score\n";

class ResultFiles : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    write_atomically(folder_.path / name, text);
    return folder_.path / name;
  }
  std::string failure(const std::string& csv) const {
    try {
      read_results(write("results.csv", csv));
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }
  const TemporaryFolder folder_;
};

using Csv = ResultFiles;

TEST_F(Csv, ReadsQuotedFieldsLineEndsAndByteOrderMarks) {
  const CsvTable table = read_csv(write("a.csv",
                                        "\xef\xbb\xbf"
                                        "a,\"b,\"\"c\"\"\"\r\n1,\"two\nlines\"\r\n\r\n\"\",x"));
  EXPECT_THAT(table.columns, ElementsAre("a", "b,\"c\""));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_THAT(table.rows[0].fields, ElementsAre("1", "two\nlines"));
  EXPECT_THAT(table.rows[1].fields, ElementsAre("", "x"));
  EXPECT_EQ(table.rows[0].line, 2u);
  EXPECT_EQ(table.rows[1].line, 5u);
}

TEST_F(Csv, WritesFieldsThatItReadsBack) {
  for (const std::string text : {"plain", "a,b", "\"", "two\r\nlines", ""}) {
    const CsvTable table = read_csv(write("b.csv", "x,y\n" + csv_field(text) + ",1\n"));
    EXPECT_EQ(table.rows.at(0).fields.at(0), text);
  }
}

TEST_F(Csv, NamesTheLineOfWhatIsMalformed) {
  EXPECT_THAT(failure(header + "a,b\n"),
              AllOf(HasSubstr("results.csv:2:"), HasSubstr("2 fields"), HasSubstr("expected 8")));
  EXPECT_THAT(failure(header + "\n\"a"), AllOf(HasSubstr(":3:"), HasSubstr("never closed")));
  EXPECT_THAT(failure(header + "\"a\"b,c\n"), HasSubstr("found 'b' after a closing quote"));
  EXPECT_THAT(failure(header + "a\"b,c\n"), HasSubstr("inside the unquoted field"));
  EXPECT_THAT(failure("a,a\n"), HasSubstr("names column 'a' twice"));
  EXPECT_THAT(failure("a,,b\n"), HasSubstr("column 2 of the header has no name"));
  EXPECT_THAT(failure(""), HasSubstr("is empty"));
}

TEST_F(ResultFiles, ReadTheColumnsOfACsv) {
  const auto rows = read_results(
      write("r.csv",
            "seed,task,model,method,rank,parameters,metric,score,trainable,layers,train_rows,"
            "seconds,lr\n"
            "1,cola,minilm,lora,8,73728,matthews_correlation,0.25,74498,last:2,600,3.5,5e-4\n"
            "1,cola,minilm,full,,3538944.0,matthews_correlation,-0.5,,,,,\n"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].task, "cola");
  EXPECT_EQ(rows[0].rank, "8");
  EXPECT_EQ(rows[0].parameters, 73728);
  EXPECT_EQ(rows[0].trainable, 74498);
  EXPECT_EQ(rows[0].layers, "last:2");
  EXPECT_EQ(rows[0].train_rows, 600);
  EXPECT_EQ(rows[0].score, 0.25);
  EXPECT_EQ(rows[0].settings.at("lr"), "5e-4");
  EXPECT_FALSE(rows[0].settings.contains("seconds"));
  EXPECT_EQ(rows[1].rank, "");
  EXPECT_EQ(rows[1].parameters, 3538944);
  EXPECT_FALSE(rows[1].trainable);
}

TEST_F(ResultFiles, NameLineColumnFoundAndExpected) {
  EXPECT_THAT(
      failure("task,model,metod,rank,seed,parameters,metric,score\n"),
      AllOf(HasSubstr("results.csv:1:"), HasSubstr("'method' is missing"), HasSubstr("'metod'")));
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,many,accuracy,0.5\n"),
              AllOf(HasSubstr("results.csv:2:"), HasSubstr("'parameters'"), HasSubstr("'many'"),
                    HasSubstr("whole number")));
  EXPECT_THAT(failure(header + "cola,m,lora,8x,0,1,accuracy,0.5\n"),
              AllOf(HasSubstr("'8x'"), HasSubstr("8x8x4")));
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,1,accuracy,nine\n"), HasSubstr("a number"));
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,1,accuracy,90.5\n"), HasSubstr("between -1 and 1"));
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,-1,accuracy,0.5\n"), HasSubstr("0 or more"));
}

TEST_F(ResultFiles, KeepScoresOfDivergedRunsAsNaN) {
  const auto rows = read_results(
      write("results.csv",
            "task,model,method,rank,seed,parameters,metric,score,status,peak_memory_mib\n"
            "cola,m,lora,8,0,1,accuracy,nan,,12.5\ncola,m,lora,8,1,1,accuracy,-Inf,done,\n"
            "cola,m,lora,8,2,1,accuracy,0.4,diverged,\ncola,m,lora,8,3,1,accuracy,,diverged,\n"
            "cola,m,lora,8,4,1,accuracy,0.4,failed,\n"));
  ASSERT_EQ(rows.size(), 4u);
  for (const ResultRow& row : rows) EXPECT_FALSE(std::isfinite(*row.score)) << row.origin;
  EXPECT_EQ(rows[0].peak_memory_mib, 12.5);
  EXPECT_FALSE(rows[1].peak_memory_mib);
}

TEST_F(ResultFiles, ReadTheCountsOfASweep) {
  const auto rows =
      read_results(write("counts.csv",
                         "model,method,rank,targets,layers,lorta.head-axis,adapter,trainable\n"
                         "roberta-base,lorta,4,\"q,v\",first:3,output,3424,3424\n"));
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_FALSE(rows[0].score);
  EXPECT_EQ(rows[0].parameters, 3424);
  EXPECT_EQ(rows[0].settings.at("targets"), "q,v");
  EXPECT_EQ(rows[0].settings.at("lorta.head-axis"), "output");
}

std::string run_json(const std::string& status) {
  return R"({"status": ")" + status + R"(", "settings": {"task": "cola", "model": "/x/minilm/",
    "method": "lotr", "rank": 4, "seed": 42, "layers": "all", "targets": "q,v", "max-train": 600,
    "lr": 0.001, "out": "/elsewhere"},
    "parameters": {"adapter": 1632, "head": 770, "trainable": 2402, "total": 22700000},
    "scores": {"accuracy": 0.7, "matthews_correlation": 0.3, "f1": null}, "epochs": []})";
}

TEST_F(ResultFiles, ReadFinishedRunsOfAFolder) {
  write("a/seed=1/run.json", run_json("done"));
  write("a/seed=2/run.json", run_json("failed"));
  write("a/seed=3/run.json", run_json("diverged"));
  write("a/seed=4/other.json", "{");
  testing::internal::CaptureStderr();
  const auto rows = read_results(folder_.path);
  const std::string messages = testing::internal::GetCapturedStderr();
  EXPECT_THAT(messages, AllOf(HasSubstr("left out 1 run (failed)"), Not(HasSubstr("diverged"))));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_TRUE(std::isnan(*rows[1].score));
  EXPECT_EQ(rows[1].metric, "matthews_correlation");
  EXPECT_EQ(rows[0].model, "minilm");
  EXPECT_EQ(rows[0].method, "lotr");
  EXPECT_EQ(rows[0].rank, "4");
  EXPECT_EQ(rows[0].seed, "42");
  EXPECT_EQ(rows[0].parameters, 1632);
  EXPECT_EQ(rows[0].trainable, 2402);
  EXPECT_EQ(rows[0].metric, "matthews_correlation");
  EXPECT_EQ(rows[0].score, 0.3);
  EXPECT_EQ(rows[0].train_rows, 600);
  EXPECT_THAT(rows[0].settings, ElementsAre(std::pair("lr", "0.001"), std::pair("targets", "q,v")));
}

TEST_F(ResultFiles, NameTheKeyOfABrokenRun) {
  const auto broken = [&](std::string text, const std::string& from, const std::string& to) {
    text.replace(text.find(from), from.size(), to);
    write("run.json", text);
    try {
      read_results(folder_.path);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const std::string run = run_json("done");
  EXPECT_THAT(broken(run, "1632", "-1"),
              AllOf(HasSubstr("run.json: adapter: found -1"), HasSubstr("whole number")));
  EXPECT_THAT(broken(run, "\"lotr\"", "null"), HasSubstr("settings.method"));
  EXPECT_THAT(broken(run, "\"scores\"", "\"score\""), HasSubstr("scores: found null"));
  EXPECT_THAT(broken(run, "0.3", "30"), HasSubstr("scores.matthews_correlation: found 30"));
  EXPECT_THAT(broken(run, "{", "["), HasSubstr("is not valid JSON"));
  EXPECT_THAT(broken(run, run, "[1]"), HasSubstr("expected an object"));
}

TEST_F(ResultFiles, RefuseAFolderWithoutFinishedRuns) {
  EXPECT_THROW(read_results(folder_.path), Error);
  EXPECT_THROW(read_results(folder_.path / "missing"), Error);
}

TEST(MainMetric, IsTheOneOfTheTask) {
  EXPECT_EQ(main_metric("cola", {"accuracy", "matthews_correlation"}), "matthews_correlation");
  EXPECT_EQ(main_metric("sst2", {"accuracy", "matthews_correlation"}), "accuracy");
  EXPECT_EQ(main_metric("mrpc", {"f1", "accuracy"}), "accuracy");
  EXPECT_EQ(main_metric("stsb", {"spearman", "pearson"}), "pearson");
  EXPECT_EQ(main_metric("products", {"spearman", "pearson"}), "pearson");
  EXPECT_EQ(main_metric("own", {"spearman", "loss"}), "spearman");
}

TEST(AdaptedLayers, AreCountedFromTheirSelection) {
  const auto count = [](const std::string& layers) {
    ResultRow row;
    row.layers = layers;
    return adapted_layer_count(row);
  };
  EXPECT_EQ(count("first:3"), 3);
  EXPECT_EQ(count("last:12"), 12);
  EXPECT_EQ(count("0,2,5-7"), 5);
  EXPECT_FALSE(count("all"));
  EXPECT_FALSE(count("7-5"));
  ResultRow row;
  row.layers = "all";
  row.adapted_layers = 6;
  EXPECT_EQ(adapted_layer_count(row), 6);
}

TEST(RankPosition, IsTheGeometricMeanOfRanksPerMode) {
  EXPECT_EQ(rank_position("8"), 8);
  EXPECT_EQ(rank_position("8x8x8"), 8);
  EXPECT_EQ(rank_position("16x4"), 8);
  EXPECT_FALSE(rank_position(""));
  EXPECT_FALSE(rank_position("0"));
}

}  // namespace
}  // namespace rankfold
