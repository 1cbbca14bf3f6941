#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "commands/command_line.h"
#include "commands/process.h"
#include "core/base/text.h"
#include "decompositions/registry.h"
#include "experiments/sweep/presets.h"
#include "experiments/sweep/step_work.h"
#include "word_tokenizer.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::Not;

TEST(SweepPlan, OfAShapeByItsNameKnowsCountsWithoutWeightsAndData) {
  const Outcome outcome = call(
      "sweep --dry-run --model roberta-base --task mnli --method lotr,lora --rank 2 --lr 1e-3,1e-4 "
      "--lora.optimizer zo-sgd --lora.steps 10 --lora.zo-samples 3 --seed 1,2");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  // A head of three outputs: 768 more of a weight and 1 of a bias than the 595,298 of two.
  EXPECT_THAT(outcome.out, HasSubstr("4     3168     596067        3  unknown   unknown  unknown  "
                                     "    mnli/roberta-base/lotr/lr=*/rank=2/seed=*\n"));
  EXPECT_THAT(outcome.out, HasSubstr("4    73728     666627  unknown       10        60  unknown  "
                                     "    mnli/roberta-base/lora/lr=*/rank=2/optimizer=zo-sgd/"));
  EXPECT_THAT(outcome.out, HasSubstr("8 open, 1 at a time: time unknown\nno --data is given"));
  const json run = call(
                       "sweep --dry-run --json --model roberta-base --task sst2 --method lora "
                       "--rank 1 --lr 1e-3")
                       .json()["runs"][0];
  EXPECT_EQ(run["model"], "roberta-base");
  EXPECT_FALSE(run["settings"].contains("data"));
  EXPECT_TRUE(run["forecast"]["steps"].is_null());
  EXPECT_TRUE(run["forecast"]["seconds"].is_null());
  EXPECT_TRUE(run["forecast"]["forwards"].is_null());
}

TEST(SweepPlan, SaysWhereARunIsAllWarmUp) {
  EXPECT_THAT(call("sweep --dry-run --model roberta-base --task sst2 --method lora --rank 2 --lr 1 "
                   "--steps 1,2,30 --warmup 0.06,7")
                  .out,
              AllOf(HasSubstr("\n--warmup: the only step of the run is the first of its rise"),
                    HasSubstr("\n--warmup: the rate rises for 7 steps and the run has 2, "),
                    Not(HasSubstr("the run has 30"))));
}

TEST(SweepPlan, OfATaskByPromptHasNoHeadAndAFixedNumberOfRows) {
  const json runs =
      call(
          "sweep --dry-run --json --model llama-2-7b --task cb,sst2 --method lora,full "
          "--rank 8 --lr 1e-3 --batch 10 --full.optimizer zo-sgd --max-train 0,400")
          .json()["runs"];
  ASSERT_EQ(runs.size(), 8u);
  for (const json& run : runs) {
    const json& forecast = run["forecast"];
    EXPECT_EQ(run["settings"]["scoring"], "prompt");
    EXPECT_EQ(forecast["trainable"], forecast["adapter"]);
    const int rows = run["settings"]["max-train"] == 0 ? 1000 : 400;
    EXPECT_EQ(forecast["rows"], rows);
    EXPECT_EQ(forecast["steps"], 3 * rows / 10);
    EXPECT_EQ(forecast["forwards"], (run["method"] == "full" ? 6 : 3) * rows / 10);
    EXPECT_TRUE(forecast["seconds"].is_null());
  }
  // All that the dry run of LoRETTA's table 1 says of full fine-tuning: 139.19M.
  const std::string all = call("sweep --preset loretta-glue --task sst2 --dry-run").out;
  EXPECT_THAT(all, HasSubstr("1  139192320  139193858      20  unknown"));
  // A head is asked for.
  const json run = call(
                       "sweep --dry-run --json --model llama-2-7b --task sst2 --scoring head "
                       "--method lora --rank 8 --lr 1e-3")
                       .json()["runs"][0];
  EXPECT_EQ(run["forecast"]["trainable"], 4194304 + 2 * 4096);
  EXPECT_TRUE(run["forecast"]["rows"].is_null());
}

TEST(SweepPlan, OfEveryPresetNeedsNothingElse) {
  ASSERT_GE(sweep_presets().size(), 4u);
  for (const SweepPreset& preset : sweep_presets()) {
    SCOPED_TRACE(preset.name);
    const Outcome outcome = call(fmt::format("sweep --preset {} --seed 1 --dry-run", preset.name));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out, testing::StartsWith("runs "));
    EXPECT_THAT(outcome.out, HasSubstr("\nno --data is given"));
  }
  // Without a folder of weights there is nothing to run.
  const Outcome run =
      call("sweep --preset tenslora-glue --data " RANKFOLD_GOLDEN_DIR " --out /x/y");
  EXPECT_EQ(run.status, 1);
  EXPECT_THAT(run.err, HasSubstr("is a built-in shape, which has no weights"));
}

/// The commands in the tables of a page's section, word by word.
std::vector<std::vector<std::string>> commands_of(const fs::path& page,
                                                  const std::string& section) {
  const std::string text = read_text(page);
  const std::size_t begin = text.find("\n## " + section + "\n");
  std::vector<std::vector<std::string>> commands;
  for (const std::string& line :
       split(text.substr(begin, text.find("\n## ", begin + 1) - begin), '\n')) {
    const std::size_t start = line.find("`rankfold sweep ");
    if (!line.starts_with("|") || start == std::string::npos) continue;
    const std::string command = line.substr(start + 1, line.find('`', start + 1) - start - 1);
    std::vector<std::string> words(1);
    bool quoted = false;
    for (const char letter : command.substr(std::string("rankfold ").size())) {
      if (letter == '\'')
        quoted = !quoted;
      else if (letter == ' ' && !quoted)
        words.emplace_back();
      else
        words.back() += letter;
    }
    commands.push_back(words);
  }
  return commands;
}

TEST(SweepPlan, OfEveryCommandOnThePageOfPapersIsOne) {
  const auto commands = commands_of(RANKFOLD_SOURCE_DIR "/docs/papers.md", "Tables");
  EXPECT_GE(commands.size(), 10u);
  std::string all;
  for (std::vector<std::string> words : commands) {
    SCOPED_TRACE(join(words, " "));
    all += join(words, " ") + "\n";
    // What has to be brought is not there.
    for (std::size_t i = 0; i + 1 < words.size();)
      if (words[i] == "--data" || words[i + 1].starts_with("FILE."))
        words.erase(words.begin() + static_cast<std::ptrdiff_t>(i),
                    words.begin() + static_cast<std::ptrdiff_t>(i) + 2);
      else
        ++i;
    words.insert(words.end(), {"--seed", "1", "--dry-run"});
    const Outcome outcome = call(words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  for (const SweepPreset& preset : sweep_presets())
    EXPECT_THAT(all, HasSubstr(fmt::format("--preset {} ", preset.name)));
}

using SweepPlanOfFiles = Process;

TEST_F(SweepPlanOfFiles, SaysWhatTheRunsThenTellOfThemselves) {
  std::vector<std::string> words = sweep("2", "1");
  *std::next(std::ranges::find(words, "--batch")) = "7";
  words.insert(words.end(), {"--accumulate", "2", "--dry-run", "--json"});
  const auto dry = [&](const std::vector<std::string>& of) {
    const Result result = run(of);
    EXPECT_EQ(result.status, 0) << result.err;
    return json::parse(result.out);
  };
  // 64 rows are 10 batches of 7, or 5 steps of two of them.
  EXPECT_EQ(dry(words)["runs"][0]["forecast"]["steps"], 10);
  words = sweep("2", "1,2");
  *std::next(std::ranges::find(words, "--method")) = "lora,none";
  words.insert(words.end(), {"--lora.optimizer", "zo-sgd"});
  std::vector<std::string> dry_words = words;
  dry_words.insert(dry_words.end(), {"--dry-run", "--json"});
  const json before = dry(dry_words);
  EXPECT_FALSE(fs::exists(folder_.path / "out"));
  EXPECT_TRUE(before["seconds"].is_null());
  EXPECT_GT(before["least_seconds"], 0);
  ASSERT_EQ(run(words).status, 0);
  ASSERT_EQ(before["runs"].size(), 3u);
  for (const json& planned : before["runs"]) {
    const json& forecast = planned["forecast"];
    const json found = json::parse(
        read_text(folder_.path / "out" / planned["folder"].get<std::string>() / "run.json"));
    EXPECT_EQ(forecast["adapter"], found["parameters"]["adapter"]);
    EXPECT_EQ(forecast["trainable"], found["parameters"]["trainable"]);
    EXPECT_EQ(forecast["steps"], 16);
    EXPECT_EQ(found["evaluations"].back()["step"], 16);
    EXPECT_EQ(forecast["epochs"], 2);
    EXPECT_EQ(forecast["rows"], 64);
    EXPECT_EQ(forecast["forwards"], found["forwards"]);
    EXPECT_EQ(forecast["seconds_by"], "products alone");
  }
  // Of what is done the others are told by it.
  dry_words.insert(dry_words.end(), {"--seed", "1,42"});
  const json after = dry(dry_words);
  EXPECT_EQ(after["open"], 3);
  EXPECT_EQ(after["seconds"], after["least_seconds"]);
  for (const json& planned : after["runs"])
    EXPECT_EQ(planned["forecast"]["seconds_by"], "finished runs");
  dry_words.erase(std::ranges::find(dry_words, "--json"));
  EXPECT_THAT(run(dry_words).out, HasSubstr("done    sst2/tiny/lora/lr=0.01/rank=1/"));
}

TEST_F(SweepPlanOfFiles, KnowsTheRowsOfATableThatIsAskedInWords) {
  const fs::path model = folder_.path / "llama";
  fs::create_directories(model);
  for (const char* name : {"config.json", "model.safetensors"})
    fs::copy_file(fs::path(RANKFOLD_GOLDEN_DIR) / "models/llama" / name, model / name);
  write_word_tokenizer(model, 101);
  std::string rows = "text\tlabel\n";
  for (int i = 0; i < 60; ++i) rows += fmt::format("w{} w{}\tw{}\n", 9 + i, 20 + i, 7 + i % 2);
  write_atomically(folder_.path / "moods.tsv", rows);
  std::vector<std::string> words = {"sweep",
                                    "--model",
                                    model.string(),
                                    "--task",
                                    (folder_.path / "moods.tsv").string(),
                                    "--prompt",
                                    "{text} is {label}",
                                    "--method",
                                    "lora",
                                    "--rank",
                                    "1",
                                    "--lr",
                                    "1e-3",
                                    "--batch",
                                    "8",
                                    "--moods.epochs",
                                    "2",
                                    "--out",
                                    (folder_.path / "out").string(),
                                    "--json"};
  std::vector<std::string> dry_words = words;
  dry_words.emplace_back("--dry-run");
  const Result dry = run(dry_words);
  ASSERT_EQ(dry.status, 0) << dry.err;
  const json forecast = json::parse(dry.out)["runs"][0]["forecast"];
  EXPECT_EQ(forecast["epochs"], 2);
  EXPECT_GT(forecast["seconds"], 0);
  const Result made = run(words);
  ASSERT_EQ(made.status, 0) << made.err;
  const json found = json::parse(read_text(finished().at(0)));
  EXPECT_EQ(forecast["trainable"], found["parameters"]["trainable"]);
  EXPECT_EQ(forecast["forwards"], found["forwards"]);
  EXPECT_EQ(forecast["steps"], found["evaluations"].back()["step"]);
}

TEST(StepWork, IsALittleLessThanTheBenchCounts) {
  const Registry registry = builtin_registry();
  const auto ratio = [&](const std::string& folder, const std::string& method,
                         const std::string& more) {
    const std::string model = RANKFOLD_GOLDEN_DIR "/models/" + folder;
    const Outcome outcome = call("bench step --model " + model + " --method " + method +
                                 " --length 12 --batch 4 --threads 1 --steps 1 --json " + more);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    RunSettings settings;
    settings.values = {{"method", method}};
    const std::vector<std::string> words = split(more, ' ');
    for (std::size_t i = 0; i + 1 < words.size(); i += 2)
      settings.values[words[i].substr(2)] = words[i + 1];
    const ModelShape shape = find_shape(model);
    const SiteCatalogue places = catalogue(shape);
    const Method& chosen = registry.at(method);
    const Stack stack =
        select_stack(places, chosen_targets(settings, chosen, places), settings.text("layers"));
    const double told = settings.values.contains("loss") ? 4 * 11 : 0;
    const double work = step_work(shape, places, chosen, stack, settings,
                                  {.sequences = 4, .length = 12, .told = told});
    return work / outcome.json()["flops"].get<double>();
  };
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"bert", "lora", "--rank 1"},
      {"bert", "lora", "--rank 1 --layers last:1"},
      {"bert", "lora", "--rank 1 --optimizer zo-sgd"},
      {"albert", "none", ""},
      {"gpt2-classifier", "lora", "--rank 1 --targets o"},
      {"llama-classifier", "full", ""},
      {"llama", "lora", "--rank 1 --loss tokens"}};
  for (const auto& [folder, method, more] : cases) {
    SCOPED_TRACE(fmt::format("{} {} {}", folder, method, more));
    const double found = ratio(folder, method, more);
    EXPECT_LE(found, 1.0);
    EXPECT_GE(found, 0.75);
  }
}

}  // namespace
}  // namespace rankfold
