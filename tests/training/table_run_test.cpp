#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/runs/run_result.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

class TableRun : public Workplace {
 protected:
  /// Rows of a table in CSV: the mood tells whether the first word is even, odd or large.
  fs::path write_table(const std::string& name, int rows) const {
    std::string text = "id,first,second,mood\n";
    for (int row = 0; row < rows; ++row) {
      const int word = 5 + (row * 37) % 96;
      const char* mood = word > 70 ? "very good" : word % 2 == 0 ? "bad" : "good";
      text +=
          fmt::format("{},\"w{} w{}\",w{},{}\n", row, word, 5 + row % 96, 5 + (row * 7) % 96, mood);
    }
    write_atomically(folder / name, text);
    return folder / name;
  }
  RunSettings table_settings(const fs::path& table) const {
    RunSettings wanted = settings();
    wanted.values.erase("data");
    wanted.values["task"] = table.string();
    wanted.values["text"] = "first,second";
    wanted.values["label"] = "mood";
    return wanted;
  }
  RunResult run(const RunSettings& settings, const char* out = "out") const {
    return finetune(settings, folder / out, builtin_registry());
  }
  EvaluationRequest request(const char* out = "out") const {
    EvaluationRequest request;
    request.model = folder / "model";
    request.adapter = folder / out / "adapter";
    request.threads = 1;
    return request;
  }
  nlohmann::json json_of(const fs::path& file) const {
    return nlohmann::json::parse(read_text(folder / file));
  }
};

TEST_F(TableRun, TrainsAHeadForEachClassAndTheAdapterKnowsTheTable) {
  const fs::path table = write_table("moods.csv", 90);
  const RunResult result = run(table_settings(table));
  EXPECT_EQ(result.settings.text("task"), "moods");
  EXPECT_EQ(result.settings.text("data"), table.string());
  EXPECT_EQ(result.settings.text("metric"), "accuracy");
  EXPECT_EQ(result.parameters.head, 3U * 32 + 3);
  EXPECT_THAT(result.notes, Contains(HasSubstr("numbered 0 bad, 1 good, 2 very good")));
  EXPECT_THAT(read_run(folder / "out/run.json").notes, Contains(HasSubstr("a hash of the texts")));

  const nlohmann::json description = json_of("out/adapter/adapter_config.json");
  EXPECT_EQ(description.at("classes"), (nlohmann::json{"bad", "good", "very good"}));
  EXPECT_EQ(description.at("table").at("text"), "first,second");

  EvaluationRequest asked = request();
  asked.task = table.string();
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, result.scores);
  asked.task = "";
  asked.data = table;
  asked.predictions = folder / "predictions.tsv";
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, result.scores);
  EXPECT_THAT(read_text(asked.predictions), HasSubstr("\tlogit_2\tsentence1\tsentence2\n"));

  // Labels of another file are those of the run, in its order.
  write_atomically(folder / "new.jsonl",
                   "{\"first\": \"w70\", \"second\": \"w7\", \"mood\": \"very good\"}\n");
  asked.dev = (folder / "new.jsonl").string();
  EXPECT_EQ(evaluate(asked, builtin_registry()).examples, 1U);
  write_atomically(folder / "new.jsonl",
                   "{\"first\": \"w70\", \"second\": \"w7\", \"mood\": \"fair\"}\n");
  EXPECT_THAT(error_of([&] { evaluate(asked, builtin_registry()); }),
              HasSubstr("new.jsonl:1: found label 'fair' in column 'mood'"));
}

TEST_F(TableRun, RowsThatWereTrainedAreScoredOnlyWhereTheUserNamesThem) {
  const fs::path table = write_table("moods.csv", 90), dev = write_table("dev.csv", 40);
  RunSettings wanted = table_settings(table);
  wanted.values["dev"] = dev.string();
  const RunResult apart = run(wanted);
  EXPECT_EQ(json_of("out/adapter/adapter_config.json").at("table").at("dev"), "dev.csv");
  fs::copy(folder / "out/adapter", folder / "copied");
  EvaluationRequest asked = request();
  asked.adapter = folder / "copied";
  asked.data = table;
  const auto refusal = [&] { return error_of([&] { evaluate(asked, builtin_registry()); }); };
  EXPECT_THAT(refusal(), HasSubstr("--dev is missing: the adapter in"));
  EXPECT_THAT(refusal(), HasSubstr("a whole table and scored on another one (dev.csv)"));
  asked.score_on = "held-out";
  EXPECT_THAT(refusal(), HasSubstr("--dev is missing"));
  asked.score_on.clear();
  asked.dev = dev.string();
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, apart.scores);
  asked.dev = table.string();
  EXPECT_EQ(evaluate(asked, builtin_registry()).examples, 90U);

  // Other columns divide the rows in another way.
  run(table_settings(table), "divided");
  asked = request("divided");
  asked.data = table;
  asked.text = "second,first";
  EXPECT_THAT(refusal(), HasSubstr("divided by other columns (first,second)"));
  asked.text = " first , second";
  EXPECT_LT(evaluate(asked, builtin_registry()).examples, 40U);
  wanted = table_settings(table);
  wanted.values["score-on"] = "held-out";
  run(wanted, "divided-held-out");
  asked = request("divided-held-out");
  asked.data = table;
  asked.dev = dev.string();
  EXPECT_EQ(evaluate(asked, builtin_registry()).examples, 40U)
      << "what the run was scored on is said of its own rows";
  asked.dev.clear();

  // The rows of a task that has a name are divided by nobody.
  run(settings(), "named");
  asked.adapter = folder / "named/adapter";
  asked.text.clear();
  EXPECT_THAT(refusal(), HasSubstr("was trained on task cola"));
}

TEST_F(TableRun, AMergedModelHasTheClassesByName) {
  const fs::path table = write_table("moods.csv", 90);
  const RunResult result = run(table_settings(table));
  merge(folder / "model", folder / "out/adapter", folder / "merged", builtin_registry());
  EXPECT_EQ(json_of("merged/config.json").at("id2label"),
            (nlohmann::json{{"0", "bad"}, {"1", "good"}, {"2", "very good"}}));
  EvaluationRequest asked = request();
  asked.model = folder / "merged";
  asked.adapter = "";
  asked.task = table.string();
  asked.text = "first,second";
  asked.label = "mood";
  asked.max_length = 16;
  asked.batch = 8;
  const Evaluation found = evaluate(asked, builtin_registry());
  EXPECT_EQ(found.scores, result.scores);
  EXPECT_THAT(found.notes, Contains(HasSubstr("nothing tells whether the model was trained on")));
}

TEST_F(TableRun, AFinishedRunIsKnownAgainAndChangedRowsAreTold) {
  const fs::path table = write_table("moods.csv", 90);
  run(table_settings(table));
  EXPECT_TRUE(run(table_settings(table)).skipped);
  write_table("moods.csv", 91);
  EXPECT_THAT(error_of([&] { run(table_settings(table)); }), HasSubstr("other content"));
}

TEST_F(TableRun, RegressesNumbersWhereTheMetricIsACorrelation) {
  std::string text = "text\tlabel\n";
  for (int row = 0; row < 60; ++row) text += fmt::format("w{}\t{}\n", 5 + row, row / 10.0);
  write_atomically(folder / "numbers.tsv", text);
  RunSettings wanted = settings();
  wanted.values.erase("data");
  wanted.values["task"] = (folder / "numbers.tsv").string();
  wanted.values["metric"] = "pearson";
  const RunResult result = run(wanted);
  EXPECT_EQ(result.parameters.head, 33U);
  EXPECT_EQ(result.scores.size(), 1U);
  EXPECT_TRUE(result.scores.contains("pearson"));
  EvaluationRequest asked = request();
  asked.data = folder / "numbers.tsv";
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, result.scores);
}

TEST_F(TableRun, MnliHasScoresOfBothItsParts) {
  const auto write = [&](const char* name, int rows, int first) {
    std::string text;
    const char* labels[] = {"entailment", "neutral", "contradiction"};
    for (int row = first; row < first + rows; ++row)
      text += fmt::format(
          "{{\"premise\": \"w{}\", \"hypothesis\": \"w{}\", \"label\": {}}}\n", 5 + row % 96,
          5 + (row * 7) % 96,
          row % 2 == 0 ? fmt::format("\"{}\"", labels[row % 3]) : std::to_string(row % 3));
    write_atomically(folder / "data" / name, text);
  };
  fs::remove(folder / "data/train.tsv");
  fs::remove(folder / "data/dev.tsv");
  write("train.jsonl", 30, 0);
  write("dev_matched.jsonl", 10, 40);
  write("dev_mismatched.jsonl", 11, 60);
  RunSettings wanted = settings();
  wanted.values["task"] = "mnli";
  const RunResult result = run(wanted);
  EXPECT_EQ(result.scores.size(), 2U);
  EXPECT_TRUE(result.scores.contains("accuracy_mismatched"));
  EXPECT_EQ(result.majority_scores.size(), 2U);
  EvaluationRequest asked = request();
  asked.data = folder / "data";
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, result.scores);

  // A model whose classes stand in another order is read by their names.
  merge(folder / "model", folder / "out/adapter", folder / "merged", builtin_registry());
  nlohmann::json config = json_of("merged/config.json");
  config["id2label"] = {{"0", "CONTRADICTION"}, {"1", "NEUTRAL"}, {"2", "ENTAILMENT"}};
  write_atomically(folder / "merged/config.json", config.dump());
  asked.model = folder / "merged";
  asked.adapter = "";
  asked.task = "mnli";
  asked.max_length = 16;
  asked.batch = 8;
  asked.predictions = folder / "predictions.tsv";
  const Evaluation other = evaluate(asked, builtin_registry());
  EXPECT_THAT(other.notes, Contains(HasSubstr("its outputs are read by name")));
  const std::string turned = read_text(asked.predictions);
  // So is one that is trained on, and its adapter has the task's order.
  wanted.values["model"] = (folder / "merged").string();
  wanted.values["lr"] = "1e-12";
  const RunResult again = finetune(wanted, folder / "again", builtin_registry());
  EXPECT_THAT(again.notes, Contains(HasSubstr("its outputs are read by name")));
  EXPECT_EQ(again.scores, other.scores);
  asked.adapter = folder / "again/adapter";
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, other.scores);
  EXPECT_EQ(read_text(asked.predictions), turned);
  asked.adapter = "";
  config["id2label"] = {{"0", "entailment"}, {"1", "neutral"}, {"2", "contradiction"}};
  write_atomically(folder / "merged/config.json", config.dump());
  EXPECT_EQ(evaluate(asked, builtin_registry()).scores, result.scores);
  EXPECT_NE(read_text(asked.predictions), turned);
  // Other names are taken by their order, which is told.
  config["id2label"] = {{"0", "happy"}, {"1", "sad"}, {"2", "so-so"}};
  write_atomically(folder / "merged/config.json", config.dump());
  EXPECT_THAT(evaluate(asked, builtin_registry()).notes,
              Contains(HasSubstr("happy, sad, so-so: its outputs stand for entailment")));
  EXPECT_THAT(finetune(wanted, folder / "other", builtin_registry()).notes,
              Contains(HasSubstr("happy, sad, so-so: its outputs stand for entailment")));
}

}  // namespace
}  // namespace rankfold
