#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/training/evaluate.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"
#include "word_tokenizer.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

/// A tiny Llama that can read the words w5 ... w100 and those of sst2's prompt, and an SST-2 of
/// 520 rows, of which 20 are left to train on.
class PromptRun : public Workplace {
 protected:
  PromptRun() {
    const fs::path golden = fs::path(RANKFOLD_GOLDEN_DIR) / "models/llama";
    fs::create_directories(folder / "llama");
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(golden / name, folder / "llama" / name);
    write_word_tokenizer(folder / "llama", 101);
    const fs::path file = folder / "llama/tokenizer.json";
    nlohmann::json document = nlohmann::json::parse(read_text(file));
    nlohmann::json& words = document["model"]["vocab"];
    int id = 1;
    for (const char* word : {"It", "was", "terrible", "great"}) {
      words.erase("w" + std::to_string(id));
      words[word] = id++;
    }
    write_atomically(file, document.dump());
    fs::create_directories(folder / "glue/SST-2");
    write_sentences("train.tsv", 520);
    write_sentences("dev.tsv", 11);
  }

  void write_sentences(const std::string& name, int rows) const {
    std::string text = "sentence\tlabel\n";
    for (int row = 0; row < rows; ++row) {
      const int first = 5 + (row * 37) % 96;
      text += fmt::format("w{} w{} \t{}\n", first, 5 + row % 96, first % 2);
    }
    write_atomically(folder / "glue/SST-2" / name, text);
  }

  RunSettings prompted() const {
    RunSettings wanted = settings();
    wanted.values["model"] = (folder / "llama").string();
    wanted.values["data"] = (folder / "glue").string();
    wanted.values["task"] = "sst2";
    for (const char* name : {"max-length", "dropout"}) wanted.values.erase(name);
    return wanted;
  }
  RunSettings with(const char* name, const char* value) const {
    RunSettings wanted = prompted();
    wanted.values[name] = value;
    return wanted;
  }
  RunResult run(const RunSettings& settings, const char* out = "out") const {
    return finetune(settings, folder / out, builtin_registry());
  }
  std::string refusal(const RunSettings& settings) const {
    return error_of([&] { run(settings, "refused"); });
  }
  EvaluationRequest request(const char* out = "out") const {
    EvaluationRequest request;
    request.model = folder / "llama";
    request.data = folder / "glue";
    request.adapter = folder / out / "adapter";
    request.threads = 1;
    return request;
  }
};

TEST_F(PromptRun, AsksADecoderInWordsWhereTheTaskHasAPrompt) {
  const RunResult result = run(prompted());
  EXPECT_EQ(result.settings.text("scoring"), "prompt");
  EXPECT_EQ(result.settings.count("max-length"), 64U) << "all of the model's positions";
  EXPECT_EQ(result.parameters.head, 0U);
  ASSERT_TRUE(result.scores.contains("accuracy"));
  EXPECT_TRUE(result.majority_scores.contains("accuracy"));
  EXPECT_TRUE(run(prompted()).skipped);

  const Evaluation found = evaluate(request(), builtin_registry());
  EXPECT_EQ(found.scores, result.scores) << "the score that the run reported";
  EXPECT_EQ(found.task, "sst2");
  EXPECT_EQ(found.examples, 11U);

  EvaluationRequest alone = request();
  alone.adapter.clear();
  alone.task = "sst2";
  alone.predictions = folder / "predictions.tsv";
  const Evaluation untrained = evaluate(alone, builtin_registry());
  EXPECT_TRUE(untrained.scores.contains("accuracy"));
  const std::string predictions = read_text(alone.predictions);
  EXPECT_THAT(predictions, HasSubstr("index\tprediction\tlabel\tright\tscores\tprompt\n"));
  EXPECT_THAT(predictions, HasSubstr(" It was\n"));
  alone.scoring = "head";
  EXPECT_THAT(error_of([&] { evaluate(alone, builtin_registry()); }),
              HasSubstr("has no classifier"));
}

TEST_F(PromptRun, DrawsItsRowsByTheSeedAndKnowsThemAgain) {
  const RunResult first = run(prompted()), second = run(with("seed", "7"), "other");
  EXPECT_NE(first.fingerprints.train, second.fingerprints.train);
  FingerprintStore store;
  EXPECT_EQ(store.of(first.settings), first.fingerprints);
  EXPECT_EQ(store.of(second.settings), second.fingerprints);
  write_sentences("dev.tsv", 12);
  EXPECT_THAT(error_of([&] { run(prompted()); }), HasSubstr("the rows to score have other"));
}

TEST_F(PromptRun, TrainsWithoutGradientsAndByTheHeldOutRows) {
  RunSettings wanted = with("optimizer", "zo-sgd");
  wanted.values["score-on"] = "held-out";
  wanted.values["steps"] = "3";
  const RunResult result = run(wanted);
  EXPECT_EQ(result.status, "done");
  EvaluationRequest asked = request();
  EXPECT_EQ(evaluate(asked, builtin_registry()).examples, 500U);
  asked.seed = 7;
  EXPECT_THAT(error_of([&] { evaluate(asked, builtin_registry()); }),
              HasSubstr("the rows to train on are others here than those of the adapter in"));
  asked.seed.reset();
  write_sentences("train.tsv", 521);
  EXPECT_THAT(error_of([&] { evaluate(asked, builtin_registry()); }), HasSubstr("and --seed 42"));
  asked.score_on = "dev";
  EXPECT_EQ(evaluate(asked, builtin_registry()).examples, 11U);
  asked.adapter.clear();
  asked.task = "sst2";
  EXPECT_TRUE(evaluate(asked, builtin_registry()).notes.empty());
  asked.score_on = "held-out";
  EXPECT_THAT(evaluate(asked, builtin_registry()).notes, Contains(HasSubstr("nothing tells")));
}

TEST_F(PromptRun, ScoresTheHeldOutRowsBehindAsManyAsItTrainedOn) {
  write_sentences("train.tsv", 1600);
  RunSettings wanted = with("score-on", "held-out");
  wanted.values["max-train"] = "1080";
  wanted.values["steps"] = "4";
  const RunResult result = run(wanted);
  EXPECT_THAT(result.notes, Contains(HasSubstr("of the 500 rows of held-out stand in train")));
  EvaluationRequest again = request();
  again.predictions = folder / "again.tsv";
  EXPECT_EQ(evaluate(again, builtin_registry()).scores, result.scores);
  wanted.values["max-train"] = "1000";
  run(wanted, "fewer");
  EvaluationRequest fewer = request("fewer");
  fewer.predictions = folder / "fewer.tsv";
  evaluate(fewer, builtin_registry());
  EXPECT_NE(read_text(again.predictions), read_text(fewer.predictions)) << "other rows";
}

TEST_F(PromptRun, AsksATableByAPromptOfTheUsersOwn) {
  std::string table = "id,first,mood\n";
  for (int row = 0; row < 60; ++row)
    table += fmt::format("{0},w{1} w{2},{3}\n", row, 5 + row % 90, 6 + row % 80,
                         row % 3 == 0 ? "w98" : "w99 w97");
  write_atomically(folder / "moods.csv", table);
  RunSettings wanted = prompted();
  wanted.values.erase("data");
  wanted.values["task"] = (folder / "moods.csv").string();
  wanted.values["label"] = "mood";
  wanted.values["prompt"] = "w9, {first} w10; {label}";
  const RunResult result = run(wanted);
  EXPECT_EQ(result.settings.text("scoring"), "prompt");
  EXPECT_EQ(result.settings.text("prompt"), wanted.values["prompt"]);
  EXPECT_EQ(result.settings.text("text"), "") << "the prompt names its columns";
  EXPECT_THAT(result.notes, Contains(HasSubstr("a hash of the texts puts")));
  EXPECT_EQ(FingerprintStore().of(result.settings), result.fingerprints);
  EXPECT_TRUE(run(wanted).skipped);

  EvaluationRequest again = request();
  again.data = folder / "moods.csv";
  const Evaluation found = evaluate(again, builtin_registry());
  EXPECT_EQ(found.scores, result.scores);
  EXPECT_EQ(found.task, "moods");
  again.prompt = "{id} {first} {label}";
  EXPECT_THAT(error_of([&] { evaluate(again, builtin_registry()); }),
              HasSubstr("divided by other columns (first)"));
  again.prompt = "other words: {first} {label}";
  EXPECT_EQ(evaluate(again, builtin_registry()).examples, found.examples);

  wanted.values["dev"] = wanted.values["task"];
  run(wanted, "apart");
  again = request("apart");
  again.data = folder / "moods.csv";
  EXPECT_THAT(error_of([&] { evaluate(again, builtin_registry()); }),
              HasSubstr("scored on another one (moods.csv)"));
}

TEST_F(PromptRun, RefusesWhatIsOfAHead) {
  EXPECT_THAT(refusal(with("train", "norms,head")),
              HasSubstr("--train head: a run with --scoring prompt has no head"));
  EXPECT_THAT(refusal(with("label-smoothing", "0.1")), HasSubstr("--label-smoothing is 0.1"));
  EXPECT_THAT(refusal(with("lr-head", "0.1")), HasSubstr("--lr-head is 0.1, which is for "));
  EXPECT_THAT(refusal(with("cache-features", "true")), HasSubstr("--cache-features"));
  EXPECT_THAT(refusal(with("max-length", "65")), HasSubstr("64"));
  RunSettings encoder = with("scoring", "prompt");
  encoder.values["model"] = (folder / "model").string();
  EXPECT_THAT(refusal(encoder), HasSubstr("tells no next tokens"));
  encoder.values["task"] = "boolq";
  encoder.values.erase("scoring");
  EXPECT_THAT(refusal(encoder), HasSubstr("--task boolq: is asked in words alone"));
  EXPECT_THAT(refusal(with("prompt", "\xff {text} {label}")), HasSubstr("which is no UTF-8"));
  EXPECT_FALSE(fs::exists(folder / "refused/run.json"));
}

}  // namespace
}  // namespace rankfold
