#include "experiments/runs/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <charconv>
#include <cmath>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/random.h"
#include "decompositions/registry.h"
#include "experiments/runs/setting_rules.h"
#include "experiments/tasks/task.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

RunSettings valid_settings() {
  RunSettings settings;
  settings.values = {{"model", "models/minilm"}, {"data", "glue"}, {"task", "cola"},
                     {"method", "lora"},         {"rank", "8"},    {"lr", "1e-3"}};
  return settings;
}

std::string message(const RunSettings& settings) {
  try {
    check_settings(settings);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "";
}

std::string message_with(const std::string& name, const std::string& value) {
  RunSettings settings = valid_settings();
  settings.values[name] = value;
  return message(settings);
}

TEST(CanonicalNumber, IsTheShorterFormBelowOne) {
  EXPECT_EQ(canonical_number(5e-4), "5e-4");
  EXPECT_EQ(canonical_number(0.001), "1e-3");
  EXPECT_EQ(canonical_number(0.00025), "2.5e-4");
  EXPECT_EQ(canonical_number(0.06), "0.06");
  EXPECT_EQ(canonical_number(0.1), "0.1");
  EXPECT_EQ(canonical_number(0.999), "0.999");
  EXPECT_EQ(canonical_number(1e-8), "1e-8");
  EXPECT_EQ(canonical_number(-0.5), "-0.5");
  EXPECT_EQ(canonical_number(0), "0");
  EXPECT_EQ(canonical_number(-0.0), "0");
}

TEST(CanonicalNumber, IsPlainFromOneOn) {
  EXPECT_EQ(canonical_number(1), "1");
  EXPECT_EQ(canonical_number(16), "16");
  EXPECT_EQ(canonical_number(1000), "1000");
  EXPECT_EQ(canonical_number(2.5), "2.5");
  EXPECT_EQ(canonical_number(1e16), "1e16");
}

TEST(CanonicalNumber, ReadsBackAsTheSameDouble) {
  const RandomStream random(1, "test");
  for (std::size_t i = 0; i < 20000; ++i) {
    const double exponent = 200 * (random.uniform(2 * i) - 0.5);
    const double value = (random.uniform(2 * i + 1) - 0.5) * std::pow(10.0, exponent);
    const std::string text = canonical_number(value);
    double read = 0;
    std::from_chars(text.data(), text.data() + text.size(), read);
    ASSERT_EQ(read, value) << text;
    ASSERT_EQ(canonical_number(read), text);
  }
}

TEST(RunSettings, HaveTheDocumentedDefaults) {
  const RunSettings settings = valid_settings();
  EXPECT_EQ(settings.count("batch"), 32U);
  EXPECT_EQ(settings.count("epochs"), 3U);
  EXPECT_EQ(settings.count("max-length"), 128U);
  EXPECT_EQ(settings.count("max-train"), 0U);
  EXPECT_EQ(settings.count("seed"), 42U);
  EXPECT_EQ(settings.number("beta2"), 0.999);
  EXPECT_EQ(settings.number("epsilon"), 1e-8);
  EXPECT_EQ(settings.number("weight-decay"), 0);
  EXPECT_EQ(settings.number("warmup"), 0.06);
  EXPECT_EQ(settings.number("clip"), 0);
  EXPECT_EQ(settings.text("schedule"), "linear");
  EXPECT_EQ(settings.text("layers"), "all");
  EXPECT_EQ(settings.text("precision"), "f32");
}

TEST(RunSettings, NameTheNearestSettingOfAnUnknownOne) {
  EXPECT_THAT(message_with("epoch", "3"), testing::HasSubstr("did you mean 'epochs'"));
}

TEST(RunSettings, NameTheOptionAndItsValue) {
  EXPECT_THAT(message_with("lr", "fast"), testing::HasSubstr("--lr is 'fast'"));
  EXPECT_THAT(message_with("lr", "nan"), testing::HasSubstr("--lr is 'nan'"));
  EXPECT_THAT(message_with("lr", "0"), testing::HasSubstr("--lr is 0"));
  EXPECT_THAT(message_with("batch", "-1"), testing::HasSubstr("--batch is '-1'"));
  EXPECT_THAT(message_with("batch", "0"), testing::HasSubstr("--batch is 0"));
  EXPECT_THAT(message_with("rank", "8x0"), testing::HasSubstr("--rank is '8x0'"));
  EXPECT_THAT(message_with("warmup", "1.5"), testing::HasSubstr("--warmup is 1.5"));
  EXPECT_THAT(message_with("dropout", "1"), testing::HasSubstr("--dropout is 1"));
  EXPECT_THAT(message_with("optimizer", "adamm"), testing::HasSubstr("did you mean 'adamw'"));
  EXPECT_THAT(message_with("precision", "bf61"), testing::HasSubstr("did you mean 'bf16'"));
  EXPECT_THAT(message_with("precision", "f16"), testing::HasSubstr("known: f32, bf16"));
  EXPECT_THAT(message_with("train", "norm"), testing::HasSubstr("did you mean 'norms'"));
  EXPECT_THAT(message_with("targets", "q,,v"), testing::HasSubstr("--targets is 'q,,v'"));
  EXPECT_THAT(message_with("threads", "0"), testing::HasSubstr("--threads is 0"));
}

TEST(RunSettings, NameARequiredOneThatIsMissing) {
  RunSettings settings = valid_settings();
  settings.values.erase("lr");
  EXPECT_THAT(message(settings), testing::HasSubstr("--lr is missing"));
}

TEST(CanonicalSettings, AreCompleteAndHaveOneFormAValue) {
  RunSettings settings = valid_settings();
  settings.values["lr"] = "0.0010";
  settings.values["batch"] = "016";
  settings.values["targets"] = "q, v";
  settings.values["model"] = "models//minilm/";
  const RunSettings result = canonical(settings);
  EXPECT_EQ(result.text("lr"), "1e-3");
  EXPECT_EQ(result.text("batch"), "16");
  EXPECT_EQ(result.text("targets"), "q,v");
  EXPECT_EQ(result.text("model"),
            (std::filesystem::weakly_canonical(std::filesystem::current_path()) / "models/minilm")
                .string());
  EXPECT_EQ(result.values.at("seed"), "42");
  EXPECT_EQ(canonical(result), result);
}

TEST(CanonicalSettings, KeepTheNameOfAFolderThatIsALink) {
  const TemporaryFolder folder;
  const std::filesystem::path place = std::filesystem::canonical(folder.path);
  std::filesystem::create_directory(place / "snapshot");
  std::filesystem::create_directory_symlink(place / "snapshot", place / "bert");
  RunSettings settings = valid_settings();
  settings.values["model"] = (place / "bert/").string();
  EXPECT_EQ(canonical(settings).text("model"), (place / "bert").string());
  settings.values["model"] = (place / "bert/..").string();
  EXPECT_EQ(canonical(settings).text("model"), place.string());
}

TEST(Identity, FollowsLinksAndFillsInWhatIsMissing) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder.path / "snapshot");
  std::filesystem::create_directory_symlink(folder.path / "snapshot", folder.path / "bert");
  const Registry registry = builtin_registry();
  RunSettings direct = valid_settings(), linked = valid_settings();
  direct.values["model"] = (folder.path / "snapshot").string();
  linked.values["model"] = (folder.path / "bert").string();
  EXPECT_NE(canonical(direct), canonical(linked));
  EXPECT_EQ(identity(direct, registry), identity(linked, registry));
  RunSettings old = canonical(direct, &registry.at("lora"));
  old.values.erase("score-on");
  old.values.erase("precision");
  old.options.erase("rslora");
  EXPECT_EQ(identity(old, registry), identity(direct, registry));
  old.values["of-a-newer-version"] = "1";
  EXPECT_EQ(identity(old, registry), old);
}

TEST(Identity, LeavesOutWhereFeaturesAreKept) {
  const Registry registry = builtin_registry();
  RunSettings here = valid_settings(), there = valid_settings();
  there.values["cache-dir"] = "/elsewhere";
  there.values["cache-limit"] = "100";
  EXPECT_EQ(identity(here, registry), identity(there, registry));
  EXPECT_TRUE(is_incidental("cache-dir"));
  EXPECT_FALSE(is_incidental("cache-features"));
  EXPECT_FALSE(is_incidental("threads"));
  EXPECT_FALSE(is_incidental("nothing"));
  there.values["cache-features"] = "true";
  EXPECT_NE(identity(here, registry), identity(there, registry));
  // In run.json all of it stands.
  EXPECT_EQ(canonical(there).text("cache-limit"), "100");
  EXPECT_EQ(canonical(there).text("cache-dir"), "/elsewhere");
}

TEST(RunSettings, OfferEveryTaskAndNoRankAMode) {
  for (const SettingSpec& spec : run_settings()) {
    if (spec.name == "rank") {
      EXPECT_THAT(spec.meaning, testing::Not(testing::HasSubstr("8x8")));
    }
    if (spec.name != "task") continue;
    for (const Task& task : tasks()) EXPECT_THAT(spec.meaning, testing::HasSubstr(task.name));
  }
}

TEST(CanonicalSettings, ATableIsItsOwnDataAndTheTaskIsCalledAfterIt) {
  RunSettings settings = valid_settings();
  settings.values.erase("data");
  EXPECT_THROW(canonical(settings), UsageError) << "cola needs a folder";
  settings.values["task"] = "/tables/x/../reviews.csv";
  settings.values["text"] = "second, first";
  const RunSettings result = canonical(settings);
  EXPECT_EQ(result.text("task"), "reviews");
  EXPECT_EQ(result.text("data"), "/tables/reviews.csv");
  EXPECT_EQ(result.text("text"), "second,first") << "their order counts";
  EXPECT_EQ(result.text("label"), "label");
  EXPECT_EQ(result.text("metric"), "accuracy");
  EXPECT_EQ(canonical(result), result);
  settings.values["data"] = "/glue";
  EXPECT_EQ(canonical(settings), result) << "that is for the sweep's other tasks";
  EXPECT_FALSE(canonical(valid_settings()).values.contains("metric"));
  settings.values["task"] = "tables/cola.tsv";
  const RunSettings named = canonical(settings);
  EXPECT_EQ(named.text("task"), "cola.tsv");
  EXPECT_EQ(canonical(named), named);
  settings.values["task"] = "reviews.parquet";
  EXPECT_THROW(canonical(settings), UsageError);
  EXPECT_EQ(setting_form("text", "second,first"), "second,first");
}

TEST(CanonicalSettings, TakeWhatIsNotGivenFromTheMethod) {
  Method method;
  method.name = "lora";
  method.alpha = 8;
  method.options = {{"rslora", "false", {"true", "false"}, ""}, {"bottleneck", "8", {}, ""}};
  method.presets = {{"paper", "", {{"alpha", "16.0"}, {"rslora", "true"}}}};
  RunSettings settings = valid_settings();
  RunSettings result = canonical(settings, &method);
  EXPECT_EQ(result.text("alpha"), "8");
  EXPECT_EQ(result.text("targets"), "q,v");
  EXPECT_EQ(result.options.at("rslora"), "false");

  settings.values["preset"] = "paper";
  settings.options["bottleneck"] = "064";
  result = canonical(settings, &method);
  EXPECT_EQ(result.text("alpha"), "16");
  EXPECT_EQ(result.options.at("rslora"), "true");
  EXPECT_EQ(result.options.at("bottleneck"), "64");
  EXPECT_EQ(canonical(result, &method), result);

  method.default_targets = "adapters";
  EXPECT_EQ(canonical(settings, &method).text("targets"), "adapters");
}

TEST(ChosenTargets, AreTheWholeWhereTheModelHasQAndVAsItsParts) {
  Method method;
  const SiteCatalogue apart{"apart", 1, {{"q", MatrixType::q}, {"v", MatrixType::v}}, {}},
      fused{"fused",
            1,
            {{"whole.q", MatrixType::q, 0, 4, 4, 1, "whole"}, {"whole", MatrixType::in_proj}},
            {}};
  const auto filled = [&](RunSettings settings, const SiteCatalogue& catalogue) {
    fill_targets(settings, method, catalogue);
    return settings.text("targets");
  };
  RunSettings settings = valid_settings();
  EXPECT_EQ(chosen_targets(settings, method, apart), "q,v");
  EXPECT_EQ(chosen_targets(settings, method, fused), "in_proj");
  EXPECT_EQ(filled(settings, apart), "");  // which canonical reads as q,v
  EXPECT_EQ(filled(settings, fused), "in_proj");
  method.default_targets = "q,k,v";
  EXPECT_EQ(chosen_targets(settings, method, fused), "q,k,v");
  EXPECT_EQ(filled(settings, fused), "");
  // Of all, parts where only some have a bias.
  method.default_targets = "all";
  EXPECT_EQ(chosen_targets(settings, method, fused), "all");
  SiteCatalogue biased = fused;
  biased.sites.push_back({"o", MatrixType::o});
  biased.sites[1].bias = Site::BiasRows::some;
  EXPECT_EQ(chosen_targets(settings, method, biased), "q,o");
  EXPECT_EQ(filled(settings, biased), "q,o");
  settings.values["targets"] = "q";
  EXPECT_EQ(filled(settings, fused), "q");
}

}  // namespace
}  // namespace rankfold
