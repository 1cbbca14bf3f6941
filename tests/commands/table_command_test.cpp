#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include <fmt/core.h>

#include "command_line.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

class TableCommand : public testing::Test {
 protected:
  TableCommand() {
    std::string csv = "task,model,method,rank,seed,parameters,metric,score\n";
    for (const auto& [method, parameters, low] :
         {std::tuple("lora", 100, 0.70), std::tuple("lotr", 40, 0.80),
          std::tuple("full", 9000, 0.85)})
      for (int seed = 0; seed < 4; ++seed)
        csv += fmt::format("sst2,minilm,{},{},{},{},accuracy,{}\n", method,
                           std::string(method) == "full" ? "" : "8", seed, parameters,
                           low + 0.01 * ((seed * 7) % 5) + 1e-5 * seed * (parameters % 900));
    write_atomically(input, csv);
  }
  Outcome table(const std::string& options) const {
    return call("table --input " + input.string() + " " + options);
  }

  TemporaryFolder folder;
  fs::path input = folder.path / "results.csv";
};

TEST_F(TableCommand, PrintsMeansWithIntervalsAndMarksTheBest) {
  const Outcome text = table("");
  EXPECT_EQ(text.status, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("lotr       8          40  81.81* \u00b1 2.75"));
  EXPECT_THAT(text.out, HasSubstr("sst2: accuracy, %"));
  EXPECT_THAT(table("--format markdown").out, HasSubstr("| **81.81** \u00b1 2.75 |"));
  EXPECT_THAT(table("--format latex").out, HasSubstr("\\textbf{81.81} {\\footnotesize$\\pm$2.75}"));
  EXPECT_THAT(table("--decimals 1").out, HasSubstr("81.8* \u00b1 2.7"));
}

TEST_F(TableCommand, TakesSeveralInputsByPositionOrOptionAndPicksFromThem) {
  const fs::path more = folder.path / "more.csv";
  write_atomically(more,
                   "task,model,method,rank,seed,parameters,metric,score\n"
                   "sst2,minilm,vera,8,0,10,accuracy,0.5\n"
                   "sst2,minilm,lora,8,0,100,accuracy,0.7\n");
  const auto methods = [&](const std::string& words) {
    const Outcome outcome = call("table --json " + words);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::set<std::string> found;
    const nlohmann::json document = outcome.json();
    for (const auto& row : document["rows"]) found.insert(row["method"].get<std::string>());
    return found;
  };
  const std::string a = input.string(), b = more.string();
  const std::set<std::string> all = {"full", "lora", "lotr", "vera"};
  EXPECT_EQ(methods(a + " " + b), all);
  EXPECT_EQ(methods(a + " --input " + b), all);
  EXPECT_EQ(methods("--input " + a + " --input " + b), all);
  EXPECT_EQ(methods(a + " " + b + " --where method=vera,lotr"),
            (std::set<std::string>{"lotr", "vera"}));
  EXPECT_THAT(call("table " + a + " " + b).err, HasSubstr("counted once"));
  const Outcome wrong = call("table " + a + " --where metod=lora");
  EXPECT_EQ(wrong.status, 2);
  EXPECT_THAT(wrong.err, HasSubstr("did you mean 'method'?"));
  EXPECT_EQ(call("table " + a + " " + a).status, 2);
  EXPECT_EQ(call("table").status, 2);
}

TEST_F(TableCommand, GivesTheNumbersInFullAsJsonAndCsv) {
  const nlohmann::json document = table("--json").json();
  EXPECT_EQ(document["show"], "scores");
  EXPECT_EQ(document["rows"].size(), 3U);
  EXPECT_THAT(table("--format csv").out, StartsWith("model,method,rank,setting,parameters,task,"));
}

TEST_F(TableCommand, ShowsMethodsAndTests) {
  const Outcome methods = table("--show methods --share 0.9 --budget 40");
  EXPECT_EQ(methods.status, 0) << methods.err;
  EXPECT_THAT(methods.out, HasSubstr("\u2264 40"));
  EXPECT_THAT(methods.out, HasSubstr("not reached"));
  EXPECT_THAT(methods.out, HasSubstr("the score at 40 parameters"));
  const Outcome tests = table("--show tests --against lotr");
  EXPECT_EQ(tests.status, 0) << tests.err;
  EXPECT_THAT(tests.out, HasSubstr("lora 8  lotr 8      4       -9.91"));
  EXPECT_THAT(methods.out, HasSubstr("nor the untouched model (none)"));
}

TEST_F(TableCommand, WritesAFileInsteadOfPrinting) {
  const fs::path out = folder.path / "new/table.tex";
  const Outcome written = table("--format latex --out " + out.string());
  EXPECT_EQ(written.status, 0) << written.err;
  EXPECT_EQ(written.out, "");
  EXPECT_THAT(read_text(out), StartsWith("\\begin{tabular}"));
}

TEST_F(TableCommand, WritesPeftsResultsOfARunsFolder) {
  const fs::path run = folder.path / "results/movies/lora/seed=1";
  const nlohmann::json document = {
      {"settings",
       {{"model", "m"},
        {"task", "movies"},
        {"method", "lora"},
        {"rank", 8},
        {"seed", 1},
        {"lr", 0.01},
        {"lora.init", "pissa"}}},
      {"status", "done"},
      {"parameters", {{"adapter", 10}, {"trainable", 12}, {"total", 100}}},
      {"scores", {{"accuracy", 0.75}, {"f1", 0.5}}},
      {"epochs",
       {{{"epoch", 1}, {"loss", 0.5}, {"scores", {{"accuracy", 0.75}}}, {"seconds", 2.0}}}},
      {"tokens_per_second", 100.0},
      {"examples_per_second", 10.0},
      {"train_seconds", 2.0},
      {"peak_memory_mib", 1.0}};
  write_atomically(run / "run.json", document.dump());
  nlohmann::json failed = document;
  failed["status"] = "failed";
  write_atomically(folder.path / "results/movies/lora/seed=2/run.json", failed.dump());
  const fs::path out = folder.path / "peft";
  const std::string line = "table --format peft --input " + (folder.path / "results").string() +
                           " --out " + out.string();
  const Outcome written = call(line);
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_EQ(written.out, out.string() + ": 1 run\n");
  const auto result = nlohmann::json::parse(read_text(out / "movies--lora--seed=1.json"));
  EXPECT_EQ(result["run_info"]["peft_config"]["init"], "pissa");
  EXPECT_EQ(result["train_info"]["num_trainable_params"], 12);
  EXPECT_EQ(result["train_info"]["accelerator_memory_max"], 1048576);
  EXPECT_EQ(result["train_info"]["metrics"].back()["test accuracy"], 0.75);
  EXPECT_EQ(result["train_info"]["metrics"].back()["train total tokens"], 200);
  EXPECT_EQ(call(line).status, 2);  // is there and not empty
  write_atomically(run / "run.json", "{\"status\": \"done\", \"settings\": 3}");
  const Outcome broken = call(line + "2");
  EXPECT_EQ(broken.status, 1);
  EXPECT_THAT(broken.err, HasSubstr("run.json: is not what finetune writes"));
  EXPECT_FALSE(fs::exists(out.string() + "2"));
}

TEST_F(TableCommand, NamesWhatIsWrong) {
  for (const auto& [options, message] :
       {std::pair("--show score", "--show is 'score', expected one of scores, methods, tests"),
        std::pair("--format html", "--format is 'html', expected one of text, markdown"),
        std::pair("--against lora", "--against goes with --show tests"),
        std::pair("--show tests --against lorra", "did you mean 'lora'"),
        std::pair("--show methods --share 1.5", "--share is 1.5"),
        std::pair("--format peft", "--out DIR is missing")}) {
    const Outcome wrong = table(options);
    EXPECT_EQ(wrong.status, 2) << options;
    EXPECT_THAT(wrong.err, HasSubstr(message));
    EXPECT_EQ(wrong.error_lines(), 1U);
  }
  EXPECT_EQ(call("table --input /nowhere").status, 1);
}

}  // namespace
}  // namespace rankfold
