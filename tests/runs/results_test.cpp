#include "experiments/runs/results.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cmath>

#include <nlohmann/json.hpp>

#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/runs/run_identity.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string header = "task,model,method,rank,seed,parameters,metric,score\n";

std::vector<ResultRow> read_rows(const std::filesystem::path& place) {
  Results results = read_results(place);
  settle_results(results);
  return results.rows;
}

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
  EXPECT_THAT(failure("task;model;method\n"), HasSubstr("semicolons between its fields"));
  EXPECT_THAT(failure("\xff\xfet\0a\0"), HasSubstr("is UTF-16, expected UTF-8"));
  EXPECT_THAT(failure(""), HasSubstr("is empty"));
}

TEST_F(ResultFiles, ReadTheColumnsOfACsv) {
  const auto rows = read_rows(
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
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,1,accuracy,nine\n"), HasSubstr("a fraction"));
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,1,accuracy,90.5\n"), HasSubstr("between -1 and 1"));
  EXPECT_THAT(failure(header + "cola,m,lora,8,0,-1,accuracy,0.5\n"), HasSubstr("0 or more"));
}

TEST_F(ResultFiles, KeepScoresOfDivergedRunsAsNaN) {
  const auto rows = read_rows(
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
      read_rows(write("counts.csv",
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
  std::string diverged = run_json("diverged");
  diverged.replace(diverged.find("42"), 2, "43");
  write("a/seed=3/run.json", diverged);
  write("a/seed=4/other.json", "{");
  Results results = read_results(folder_.path);
  EXPECT_THAT(results.notes, ElementsAre(HasSubstr("left out 1 run (failed)")));
  settle_results(results);
  const std::vector<ResultRow>& rows = results.rows;
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
  EXPECT_THAT(rows[0].settings, ElementsAre(std::pair("lr", "1e-3"), std::pair("targets", "q,v")));
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

TEST_F(ResultFiles, TakeEveryOtherColumnForASettingButForMeasuresAndWhatPandasAdds) {
  const auto rows = read_rows(
      write("r.csv",
            ",task,model,method,rank,seed,parameters,metric,score,precision,eval_loss,wall_time,"
            "my_knob\n"
            "0,sst2,m,lora,8,1.0,10,accuracy,0.5,bf16,0.7,1.5,True\n"
            "1,sst2,m,lora,8.0, 2 ,10,accuracy,0.5,f32,0.6,2.5,\n"));
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_THAT(rows[0].settings,
              ElementsAre(std::pair("my-knob", "true"), std::pair("precision", "bf16")));
  EXPECT_THAT(rows[1].settings,
              ElementsAre(std::pair("my-knob", ""), std::pair("precision", "f32")));
  EXPECT_EQ(rows[0].seed, "1");
  EXPECT_EQ(rows[1].seed, "2");
  EXPECT_EQ(rows[1].rank, "8");
}

TEST_F(ResultFiles, CountAScoreThatIsMissingAsDiverged) {
  for (const char* missing : {"", "None", "null", "NA", "<NA>"}) {
    const Results results =
        read_results(write("r.csv", header + "sst2,m,lora,8,1,10,accuracy," + missing + "\n"));
    EXPECT_TRUE(std::isnan(*results.rows.at(0).score)) << missing;
    EXPECT_THAT(results.notes, ElementsAre(HasSubstr("a score is missing"))) << missing;
  }
}

TEST_F(ResultFiles, RefuseSeparatorsInNumbers) {
  const std::string with_lr = "task,model,method,rank,seed,parameters,metric,score,lr\n";
  EXPECT_THAT(failure(with_lr + "sst2,m,lora,8,1,\"1,000\",accuracy,0.5,1e-3\n"),
              AllOf(HasSubstr("results.csv:2: column 'parameters'"), HasSubstr("'1,000'")));
  EXPECT_THAT(failure(with_lr + "sst2,m,lora,8,1,1000,accuracy,\"0,5\",1e-3\n"),
              AllOf(HasSubstr("column 'score'"), HasSubstr("'0,5'")));
  EXPECT_THAT(failure(with_lr + "sst2,m,lora,8,1,1000,accuracy,0.5,\"0,001\"\n"),
              AllOf(HasSubstr("column 'lr'"), HasSubstr("a number with a point")));
  EXPECT_THAT(failure(with_lr + "sst2,m,lora,8,1,1000,accuracy,91.5 %,1e-3\n"),
              HasSubstr("a fraction such as 0.91"));
}

TEST_F(ResultFiles, RefuseTwoColumnsOfOneSetting) {
  EXPECT_THAT(
      failure("task,model,method,rank,seed,parameters,metric,score,max_length,max-length\n"),
      HasSubstr("columns 'max_length' and 'max-length' are one setting"));
}

TEST_F(ResultFiles, ReadWhatIsToldOfTheScoredRows) {
  nlohmann::json run = nlohmann::json::parse(run_json("done"));
  run["constant_predictions"] = true;
  run["majority_scores"] = {{"matthews_correlation", 0.25}, {"accuracy", 0.5}};
  write("run.json", run.dump());
  const ResultRow row = read_rows(folder_.path).at(0);
  EXPECT_TRUE(row.constant_predictions);
  EXPECT_EQ(row.majority_score, 0.25);
  const ResultRow other =
      read_rows(write("r.csv",
                      "task,model,method,rank,seed,parameters,metric,score,constant_predictions,"
                      "majority_score\nsst2,m,lora,8,1,10,accuracy,0.5,True,0.5\n"))
          .at(0);
  EXPECT_TRUE(other.constant_predictions);
  EXPECT_EQ(other.majority_score, 0.5);
  EXPECT_TRUE(other.settings.empty());
}

TEST_F(ResultFiles, PassOverWhatCannotBeReadAndFollowLinksOnce) {
  namespace fs = std::filesystem;
  write("a/run.json", run_json("done"));
  fs::create_directories(folder_.path / "loop");
  fs::create_symlink("run.json", folder_.path / "loop/run.json");
  fs::create_directories(folder_.path / "pipe");
  ASSERT_EQ(::mkfifo((folder_.path / "pipe/run.json").c_str(), 0600), 0);
  fs::create_directory_symlink("a", folder_.path / "A-latest");
  const Results results = read_results(folder_.path);
  ASSERT_EQ(results.rows.size(), 1u);
  EXPECT_EQ(results.rows[0].origin, (folder_.path / "a/run.json").string());
  EXPECT_THAT(results.notes,
              ElementsAre(AllOf(HasSubstr("loop/run.json"), HasSubstr("passed over")),
                          AllOf(HasSubstr("pipe/run.json"), HasSubstr("pipe"))));
}

TEST_F(ResultFiles, ReadRunsOfManyEpochsAndRefuseNumbersBeyondRange) {
  std::string text = run_json("done"), epochs;
  for (int epoch = 0; epoch < 300'000; ++epoch)
    epochs += R"({"epoch": 1, "loss": 0.5, "scores": {"accuracy": 0.5}, "seconds": 1},)";
  epochs.pop_back();
  text.insert(text.rfind(']'), epochs);
  write("run.json", text);
  EXPECT_EQ(read_rows(folder_.path).size(), 1u);
  text = run_json("done");
  text.replace(text.find("0.001"), 5, "1e999");
  write("run.json", text);
  try {
    read_results(folder_.path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("run.json"), Not(HasSubstr("json.exception"))));
  }
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
