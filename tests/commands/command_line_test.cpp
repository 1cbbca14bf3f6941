#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commands/command_line.h"
#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/commands/options.h"
#include "experiments/runs/settings.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(CommandLine, HelpsOnEveryLevel) {
  EXPECT_THAT(call("--help").out, HasSubstr("finetune"));
  EXPECT_EQ(call("--help").status, 0);
  EXPECT_THAT(call("check --help").out, HasSubstr("check tokenizer"));
  for (const Command& command : commands()) {
    const Outcome outcome = call(command.name + " --help");
    EXPECT_EQ(outcome.status, 0) << command.name;
    EXPECT_THAT(outcome.out, HasSubstr("--json")) << command.name;
    EXPECT_THAT(outcome.out, HasSubstr("--plugin FILE")) << command.name;
    EXPECT_EQ(outcome.err, "") << command.name;
    EXPECT_EQ(call(command.name + " -h").out, outcome.out) << command.name;
    EXPECT_EQ(call("help " + command.name).out, outcome.out) << command.name;
  }
  EXPECT_EQ(call("help").out, call("--help").out);
  EXPECT_EQ(call("help check").out, call("check --help").out);
  EXPECT_THAT(call("help cuont").err, HasSubstr("did you mean 'count'"));
}

TEST(CommandLine, HelpOfFinetuneHasEverySetting) {
  const std::string help = call("finetune --help").out;
  for (const SettingSpec& setting : run_settings())
    EXPECT_THAT(help, HasSubstr("  --" + setting.name + " ")) << setting.name;
}

TEST(CommandLine, HelpOfEvaluateTellsItsDefaults) {
  const std::string help = call("evaluate --help").out;
  EXPECT_THAT(help, HasSubstr("default: the adapter's, else 32"));
  EXPECT_THAT(help, testing::Not(HasSubstr("(default 32)")));
  EXPECT_THAT(help, HasSubstr("editorials-regression"));
}

TEST(CommandLine, HelpKeepsToTheWidth) {
  std::istringstream lines(call("sweep --help").out + call("finetune --help").out);
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 110U) << line;
}

TEST(CommandLine, NamesItsVersion) {
  EXPECT_THAT(call("--version").out, StartsWith("rankfold "));
}

TEST(CommandLine, WithoutACommandSaysWhatThereIs) {
  const Outcome outcome = call("");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("usage"));
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"cuont", "did you mean 'count'"},
      {"--jsn", "'--jsn'"},
      {"check", "method, model, training, tokenizer"},
      {"check methd lora", "did you mean 'method'"},
      {"check method", "NAME is missing"},
      {"check method lort", "did you mean 'lora'"},
      {"methods lorta_", "did you mean 'lorta'"},
      {"methods lora lotr", "'lotr'"},
      {"models roberta", "roberta"},
      {"finetune", "--model is missing"},
      {"finetune --modle x", "did you mean '--model'"},
      {"evaluate --model x --data y", "--task is missing"},
      {"evaluate --model x --task cola", "--data is missing"},
      {"finetune --model x --task cola --method none --lr 1 --out o", "--data is missing"},
      {"finetune --model x --task a.txt --method none --lr 1 --out o", "--task is 'a.txt'"},
      {"finetune --model x --task cola --data y --text a --method none --lr 1 --out o",
       "--text is for a table"},
      {"finetune --model x --task a.csv --metric f2 --method none --lr 1 --out o", "mean 'f1'"},
      {"merge --model x", "--adapter is missing"},
      {"unmerge --model x", "--adapter is missing"},
      {"compress --adapter x --out y", "expected one of the two"},
      {"compress --adapter x --out y --energy 0.5 --budget 3", "expected one of the two"},
      {"compress --adapter x --out y --energy 2", "--energy is 2; expected a share"},
      {"figure --input x --out y.pdf", "KIND is missing"},
      {"figure ranks --input x --out y.pdf", "did you mean 'rank'"},
      {"figure rank --input x", "--out is missing"},
      {"figure rank --out y.pdf", "one of --input and --published"},
      {"figure rank --input x --published lotr --out y.pdf", "one of --input and --published"},
      {"figure rank --published lotrr --out y.pdf", "did you mean 'lotr'"},
      {"figure rank --published lotr --out y.pdf --size doubel", "did you mean 'double'"},
      {"figure rank --published lotr --out y.gif", "'.gif'"},
      {"figure rank --published lotr --overlay lotr --out y.pdf", "give it with --input"},
      {"figure rank --paper d --input x", "'rank' cannot be chosen"},
      {"figure --paper d --input x --out y.pdf", "--out does not go with --paper"},
      {"figure --paper d", "--paper needs --input"},
      {"check model x --tolerance big", "--tolerance"},
      {"doctor --fast", "'--fast'"}};
  for (const auto& [words, message] : wrong) {
    const Outcome outcome = call(words);
    EXPECT_EQ(outcome.status, 2) << words << ": " << outcome.err;
    EXPECT_EQ(outcome.out, "") << words;
    EXPECT_EQ(outcome.error_lines(), 1U) << words;
    EXPECT_THAT(outcome.err, HasSubstr(message));
  }
}

TEST(CommandLine, TakesAnOptionThatMayStandAlone) {
  const std::vector<Option> options = {{"keep", "true|false", "", "", false, false, false, "true"},
                                       {"out", "DIR", "", ""}};
  const auto kept = [&](const std::vector<std::string>& words) {
    const Arguments arguments = parse_arguments("do", options, {{"FILE", false}}, words);
    return arguments.text("keep", "absent") + " " + arguments.positional(0);
  };
  EXPECT_EQ(kept({"--keep", "file"}), "true file");
  EXPECT_EQ(kept({"file", "--keep"}), "true file");
  EXPECT_EQ(kept({"--keep=false", "--out", "x"}), "false ");
  EXPECT_EQ(kept({"--keep", "--out=x"}), "true ");
  EXPECT_EQ(kept({}), "absent ");
  EXPECT_THROW(kept({"--keep", "--keep"}), UsageError);
  EXPECT_THROW(kept({"--keep="}), UsageError);
  EXPECT_THAT(describe_options(options), StartsWith("  --keep [=true|false]"));
}

TEST(CommandLine, FailsOnMissingFiles) {
  const std::string data = " --data " RANKFOLD_SOURCE_DIR "/tests";
  const std::vector<std::string> wrong = {
      "evaluate --model /nowhere --task sst2" + data,
      "merge --model /nowhere --adapter /nowhere --out /tmp/rankfold-never-made",
      "unmerge --model /nowhere --adapter /nowhere --out /tmp/rankfold-never-made",
      "compress --adapter /nowhere --energy 0.5 --out /tmp/rankfold-never-made",
      "figure rank --input /nowhere --out /tmp/rankfold-never-made.pdf",
      "check model /nowhere",
      "check training /nowhere",
      "check tokenizer /nowhere --cases /nowhere",
      "check method lora --golden /nowhere",
      "finetune --model /nowhere --task sst2 --method lora --rank 1 --lr 1 --out "
      "/tmp/rankfold-never-made" +
          data};
  for (const std::string& words : wrong) {
    const Outcome outcome = call(words);
    EXPECT_EQ(outcome.status, 1) << words << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("/nowhere")) << words;
    EXPECT_EQ(outcome.out, "") << words;
  }
}

TEST(CommandLine, ReportsOutputThatCannotBeWritten) {
  std::ostringstream out, err;
  out.setstate(std::ios::badbit);
  EXPECT_EQ(run_command({"methods"}, out, err), 1);
  EXPECT_THAT(err.str(), HasSubstr("standard output"));
}

TEST(CommandLine, PutsControlCharactersOfArgumentsIntoOneLine) {
  const Outcome outcome = call({"count", "--model", "a\nb\x1b[31m", "--method", "lora"});
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.error_lines(), 1U);
  EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
}

TEST(Methods, ListsTheRegistry) {
  const nlohmann::json document = call("methods --json").json();
  const std::vector<std::string> names = builtin_registry().names();
  ASSERT_EQ(document["methods"].size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const nlohmann::json& method = document["methods"][i];
    EXPECT_EQ(method["name"], names[i]);
    EXPECT_NE(method["formula"], "");
    EXPECT_NE(method["reference"], "");
    EXPECT_TRUE(method["options"].is_array());
    const Outcome text = call("methods " + names[i]);
    EXPECT_EQ(text.status, 0);
    EXPECT_THAT(text.out, HasSubstr(method["formula"].get<std::string>()));
  }
  EXPECT_EQ(call("methods lora --json").json()["methods"].size(), 1U);
}

TEST(Models, ListsTheShapes) {
  EXPECT_EQ(call("models --json").json()["models"].size(), 24U);
  const nlohmann::json model = call("models deberta-base --json").json()["models"][0];
  EXPECT_EQ(model["parameters"], 138601728);
  EXPECT_THAT(call("models llama-3-8b").out, HasSubstr("model.layers.0.self_attn.k_proj"));
}

TEST(Check, ComparesAMethodWithGoldenTensors) {
  const Outcome one =
      call("check method lora --golden " RANKFOLD_GOLDEN_DIR "/decompositions/lora --json");
  ASSERT_EQ(one.status, 0) << one.err;
  EXPECT_EQ(one.json().size(), 3U);
  EXPECT_EQ(one.json()["case"], "lora");
  EXPECT_LT(one.json()["worst"], 1e-12);
  EXPECT_GT(one.json()["errors"].size(), 3U);
  const Outcome all = call("check method lorta --golden " RANKFOLD_GOLDEN_DIR "/decompositions");
  EXPECT_EQ(all.status, 0) << all.err;
  EXPECT_THAT(all.out, HasSubstr("lorta_heads_input/"));
  EXPECT_EQ(call("check method none --golden " RANKFOLD_GOLDEN_DIR "/decompositions").status, 1);
}

TEST(Check, ComparesAModelWithReferenceData) {
  const std::string model = RANKFOLD_GOLDEN_DIR "/models/bert";
  const Outcome good = call("check model " + model + " --io " + model + "/io.safetensors --json");
  ASSERT_EQ(good.status, 0) << good.err;
  EXPECT_TRUE(good.json()["errors"].contains("logits"));
  const Outcome strict =
      call("check model " + model + " --io " + model + "/io.safetensors --tolerance 1e-30");
  EXPECT_EQ(strict.status, 1);
}

TEST(Check, PassesNothingThatIsNoNumberAndNothingThatWasNotCompared) {
  const std::string model = RANKFOLD_GOLDEN_DIR "/models/bert";
  const SafetensorsFile file(model + "/io.safetensors");
  const TemporaryFolder folder;
  const auto check = [&](bool with_logits) {
    std::vector<float> logits = file.read<float>("logits");
    logits[0] = std::numeric_limits<float>::quiet_NaN();
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& entry : file.entries())
      if (entry.name == "input_ids" || entry.name == "attention_mask" ||
          (with_logits && entry.name.starts_with("hidden.")))
        tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
    if (with_logits)
      tensors.push_back(
          make_tensor("logits", file.at("logits").shape, std::span<const float>(logits)));
    write_safetensors(folder.path / "io.safetensors", tensors);
    return call("check model " + model + " --io " + (folder.path / "io.safetensors").string());
  };
  const Outcome no_number = check(true);
  EXPECT_EQ(no_number.status, 1);
  EXPECT_THAT(no_number.out, HasSubstr("worst nan, failed"));
  const Outcome nothing = check(false);
  EXPECT_EQ(nothing.status, 1);
  EXPECT_EQ(nothing.out, "");
  EXPECT_THAT(nothing.err, HasSubstr("nothing to compare"));
}

TEST(Doctor, TellsWhatThereIs) {
  const Outcome outcome = call("doctor --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.json()["blas"]["kernel"], "");
  EXPECT_GE(outcome.json()["processors"], 1);
  EXPECT_THAT(call("doctor").out, HasSubstr("gnuplot"));
}

}  // namespace
}  // namespace rankfold
