#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <fstream>

#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/adapter_files/peft_form.h"
#include "experiments/training/evaluate.h"
#include "golden_batch.h"
#include "source_paths.h"
#include "training/relative_error.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;
using testing::AllOf;
using testing::HasSubstr;

const fs::path keys_golden = fs::path(RANKFOLD_GOLDEN_DIR) / "peft-keys";
const fs::path keys_model = keys_golden / "model";

AdaptedModel load(const fs::path& folder) {
  return load_adapted_model(keys_model, folder, builtin_registry(), make_cpu_device());
}

/// The value of `name`, which a model without its head calls otherwise.
std::vector<float> merged_value(const SafetensorsFile& file, const std::string& name) {
  return file.read<float>(file.find(name) ? name : "bert." + name);
}

class PeftKeys : public Workplace, public testing::WithParamInterface<std::string> {};

TEST_P(PeftKeys, GiveWhatPeftComputes) {
  const fs::path adapter = keys_golden / GetParam();
  const SafetensorsFile expected(adapter / "expected.safetensors");
  const AdaptedModel adapted = load(adapter);
  if (expected.find("logits")) {
    EXPECT_TRUE(adapted.untrained.empty());
    EXPECT_LE(relative_error(adapted.host->predict(read_golden_batch(keys_model)),
                             expected.read<float>("logits")),
              1e-5);
  }
  merge(keys_model, adapter, folder / "merged", builtin_registry());
  const SafetensorsFile merged(folder / "merged/model.safetensors");
  // PEFT takes the singular values of pissa in float.
  const double tolerance = GetParam().find("pissa") == std::string::npos ? 1e-6 : 1e-5;
  for (const TensorEntry& entry : expected.entries()) {
    if (entry.name == "logits") continue;
    const std::string name = entry.name.substr(std::string_view("merged.").size());
    EXPECT_LE(relative_error(merged_value(merged, name), expected.read<float>(entry.name)),
              tolerance)
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Golden, PeftKeys,
    testing::Values("alpha-odd", "alpha-zero", "dora-weight-suffix", "excluded", "first-key-wins",
                    "fourier-seed0", "half", "headless-ranks", "hira-ranks", "layers-list",
                    "loha-patterns", "lokr-0", "lokr-16-both", "lokr-above-root", "named-adapter",
                    "named-full", "named-full-vera", "olora-rslora", "own-head",
                    "pattern-alpha-digits", "pattern-plain", "pattern-word", "pissa-dora",
                    "pissa-ranks", "rank-above-side", "rslora-patterns", "start-olora",
                    "start-pissa", "target-regex", "vera-unequal"),
    [](const auto& name) {
      std::string word = name.param;
      std::ranges::replace(word, '-', '_');
      return word;
    });

class ChangedPeftFolder : public Workplace {
 protected:
  /// What is said of pattern-plain, or `from`, with keys of its configuration set.
  std::string error_with(const json& values, const std::string& from = "pattern-plain") {
    copy(from);
    json document = json::parse(read_text(adapter / "adapter_config.json"));
    for (const auto& [key, value] : values.items()) document[key] = value;
    write_atomically(adapter / "adapter_config.json", document.dump());
    return error_of([&] { load(adapter); });
  }
  /// What is said of it with its tensors under other names; "" leaves one out.
  template <class Rename>
  std::string error_renamed(Rename rename) {
    copy("pattern-plain");
    const SafetensorsFile file(keys_golden / "pattern-plain/adapter_model.safetensors");
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& entry : file.entries())
      if (const std::string name = rename(entry.name); !name.empty())
        tensors.push_back({name, entry.type, entry.shape, file.bytes(entry)});
    write_safetensors(adapter / "adapter_model.safetensors", tensors);
    return error_of([&] { load(adapter); });
  }
  void copy(const std::string& from) {
    fs::remove_all(adapter);
    fs::create_directory(adapter);
    for (const auto& entry : fs::directory_iterator(keys_golden / from))
      write_atomically(adapter / entry.path().filename(), read_text(entry.path()));
  }
  fs::path adapter = folder / "adapter";
};

TEST_F(ChangedPeftFolder, IsRefusedByTheKeyThatIsNotApplied) {
  EXPECT_THAT(error_of([] { load(keys_golden / "unknown-active-key"); }),
              HasSubstr("the key 'use_quux_scaling' is true; rankfold does not know it"));
  EXPECT_EQ(error_with({{"use_quux_scaling", false}, {"quux_config", nullptr}}), "");
  const json switched_on = {{"bias", "all"},
                            {"lora_bias", true},
                            {"use_qalora", true},
                            {"kasa_config", {{"beta", 1e-4}}},
                            {"layer_replication", {{0, 1}}},
                            {"trainable_token_indices", {1}},
                            {"target_parameters", {"x"}}};
  for (const auto& [key, value] : switched_on.items())
    EXPECT_THAT(error_with({{key, value}}), HasSubstr(key + " is ")) << key;
  for (const char* start : {"pissa_niter_4", "loftq", "corda", "lora_ga", "quux", "PISSA"})
    EXPECT_THAT(error_with({{"init_lora_weights", start}}),
                HasSubstr(std::string("init_lora_weights is \"") + start + '"'));
  for (const json& start : {json(false), json("gaussian"), json("eva"), json("orthogonal")})
    EXPECT_EQ(error_with({{"init_lora_weights", start}, {"eva_config", {{"rho", 2}}}}), "");
  EXPECT_THAT(error_with({{"n_frequency_pattern", {{"query", 3}}}}, "fourier-seed0"),
              HasSubstr("n_frequency_pattern is"));
  EXPECT_THAT(error_with({{"rank_pattern", {{"query", 3}}}}, "vera-unequal"),
              HasSubstr("the key 'rank_pattern'"));
}

TEST_F(ChangedPeftFolder, IsRefusedWhereANumberIsNone) {
  const std::string no_number = ", expected a number, at most 1e9 in size";
  EXPECT_THAT(error_with({{"lora_alpha", "8"}}), HasSubstr("lora_alpha is \"8\"" + no_number));
  EXPECT_THAT(error_with({{"lora_alpha", nullptr}}), HasSubstr("lora_alpha is null" + no_number));
  EXPECT_THAT(error_with({{"lora_alpha", 1e300}}), HasSubstr("lora_alpha is 1e+300" + no_number));
  EXPECT_THAT(error_with({{"r", -4}}), HasSubstr("r is -4, expected a whole number from 1"));
  EXPECT_THAT(error_with({{"r", 1e12}}), HasSubstr("r is "));
  EXPECT_THAT(error_with({{"rank_pattern", {{"none", 0}}}}), HasSubstr("rank_pattern is"));
  EXPECT_THAT(error_with({{"alpha_pattern", {{"query", "8"}}}}), HasSubstr("alpha_pattern is"));
  EXPECT_THAT(error_with({{"alpha_pattern", {{"layer.(", 8}}}}),
              AllOf(HasSubstr("alpha_pattern"), HasSubstr("is no regular expression of Python")));
  EXPECT_THAT(error_with({{"decompose_factor", 2.5}}, "lokr-0"), HasSubstr("decompose_factor is"));
  EXPECT_THAT(error_with({{"lora_alpha", -1}}, "start-pissa"), HasSubstr("alpha of"));
}

TEST_F(ChangedPeftFolder, IsRefusedWhereAKeyHasAnotherType) {
  const auto expect = [&](const char* key, const json& value, const std::string& expected) {
    EXPECT_EQ(error_with({{key, value}}), (adapter / "adapter_config.json").string() + ": " + key +
                                              " is " + value.dump() + ", expected " + expected);
  };
  expect("peft_type", 3, "a text");
  expect("use_rslora", "yes", "true or false");
  expect("use_dora", 1, "true or false");
  expect("init_lora_weights", 2, "a text");
  expect("target_modules", {1, 2}, "a list of texts");
  expect("exclude_modules", {{"a", 1}}, "a list of texts");
  expect("modules_to_save", "classifier", "a list of texts");
  expect("rank_pattern", {1, 2}, "an object of numbers");
  expect("alpha_pattern", {{"query", 2}, {"key", nullptr}},
         "an object of numbers, at most 1e9 in size");
  expect("rank_pattern", {{"query", 2.5}}, "whole numbers, 1 or more");
  expect("layers_to_transform", {0, "1"}, "a whole number or a list of them");
  expect("layers_to_transform", 2.5, "a whole number or a list of them");
  expect("layers_pattern", "layer", "none without layers_to_transform");
  EXPECT_THAT(error_with({{"layers_to_transform", {0}}, {"layers_pattern", {1}}}),
              HasSubstr("layers_pattern is [1], expected a list of texts"));
  for (const json& nothing : {json(nullptr), json(""), json::array(), json::object()})
    EXPECT_EQ(error_with({{"layers_to_transform", nothing}, {"layers_pattern", nothing}}), "");
}

TEST_F(ChangedPeftFolder, TakesTheRanksOfItsTensors) {
  EXPECT_EQ(error_with({{"r", 8}, {"rank_pattern", {{"query", 16}}}}), "");
  const AdaptedModel adapted = load(adapter);
  EXPECT_EQ(adapted.description.rank, "4");
  EXPECT_EQ(adapted.adapter->parameters().front().shape, (std::vector<std::size_t>{16, 4}));
}

TEST_F(ChangedPeftFolder, IsRefusedWhereItsTensorsAreNotOfTheModulesThatItTargets) {
  const std::string query = "bert.encoder.layer.0.attention.self.query",
                    value = "bert.encoder.layer.0.attention.self.value";
  EXPECT_THAT(error_with({{"target_modules", {"query"}}}), HasSubstr("leave '" + value + "' out"));
  EXPECT_THAT(error_with({{"target_modules", {"query", "key", "value"}}}),
              HasSubstr("adapt 'bert.encoder.layer.0.attention.self.key', of which"));
  EXPECT_EQ(error_with({{"target_modules", ".*\\.(?:query|value)"}}), "");
  EXPECT_THAT(error_with({{"exclude_modules", "(?i).*\\.QUERY"}}), HasSubstr("leave '" + query));
  EXPECT_THAT(error_with({{"layers_to_transform", {1, 2}}}), HasSubstr("leave '" + query));
  EXPECT_THAT(error_with({{"layers_to_transform", 0}, {"target_modules", ".*query"}}),
              HasSubstr("layers_to_transform is 0, expected none"));
  EXPECT_EQ(error_with({{"target_modules", nullptr}}), "");
}

TEST_F(ChangedPeftFolder, NamesEveryTensorThatItDoesNotUse) {
  EXPECT_THAT(error_of([] { load(keys_golden / "dora-flag-missing"); }),
              AllOf(HasSubstr("query.lora_magnitude_vector' is a magnitude of DoRA"),
                    HasSubstr("use_dora")));
  EXPECT_THAT(error_of([] { load(keys_golden / "head-without-bias"); }),
              HasSubstr("has no tensor for 'classifier.bias'"));
  const auto replaced = [](const std::string& from, const std::string& to) {
    return [=](std::string name) {
      const std::size_t place = name.find(from);
      return place == std::string::npos ? name : name.replace(place, from.size(), to);
    };
  };
  const std::string query = "layer.5.attention.self.query.";
  EXPECT_THAT(error_renamed(replaced("classifier.bias", "bert.embeddings.lora_embedding_A")),
              HasSubstr("embeddings.lora_embedding_A' belongs to no adapted weight"));
  EXPECT_THAT(error_renamed(replaced(query + "lora_A", query + "lora_A.mine")),
              HasSubstr("are of different adapters"));
  EXPECT_THAT(error_renamed(replaced("layer.5.", "layer.12.")),
              HasSubstr("layer.12.attention.self.query' is no weight of"));
  EXPECT_THAT(error_renamed(replaced("base_model.model.", "model.")),
              HasSubstr("does not begin with 'base_model.model.'"));
  EXPECT_THAT(error_renamed(replaced("classifier.bias", "bert.pooler.dense.bias")),
              HasSubstr("modules_to_save of"));
  EXPECT_THAT(error_renamed(replaced("classifier.bias", "classifier.base_layer.bias")),
              HasSubstr("classifier.base_layer.bias' belongs to"));
  EXPECT_THAT(error_renamed([&](const std::string& name) {
                return name.find(query + "lora_B") == std::string::npos ? name : "";
              }),
              HasSubstr("has no tensor for factor 'B.bert.encoder." + query.substr(0, 28)));
}

TEST_F(ChangedPeftFolder, WithoutItsHeadIsNotScoredAndWritesNone) {
  write_rows("dev.tsv", 4);
  // Its model had no head, or one that was trained and is lost.
  const auto lose = [](const std::string& name) {
    return name.find("classifier") == std::string::npos ? name : "";
  };
  for (const bool lost : {false, true}) {
    fs::remove_all(folder / "merged");
    fs::remove_all(folder / "native");
    fs::remove_all(folder / "as-lora");
    if (lost)
      EXPECT_EQ(error_renamed(lose), "");
    else
      copy("no-head");
    const MergeResult result = merge(keys_model, adapter, folder / "merged", builtin_registry());
    EXPECT_THAT(result.left_out, testing::ElementsAre("classifier.weight", "classifier.bias"));
    const SafetensorsFile merged(folder / "merged/model.safetensors");
    EXPECT_EQ(merged.find("classifier.weight"), nullptr);
    const json config = json::parse(read_text(folder / "merged/config.json"));
    EXPECT_EQ(config.at("architectures"), json::array({"BertModel"}));

    const Registry registry = builtin_registry();
    const LoneAdapter lone = load_lone_adapter(adapter, keys_model, registry, make_cpu_device());
    export_as_lora(lone, registry, folder / "as-lora");
    save_adapter(folder / "native", lone);
    for (const fs::path& form : {adapter, folder / "as-lora", folder / "native"}) {
      EXPECT_EQ(SafetensorsFile(form / "adapter_model.safetensors").find("classifier.weight"),
                nullptr);
      EXPECT_THAT(load(form).untrained, testing::SizeIs(2)) << form;
      EvaluationRequest request;
      request.model = keys_model;
      request.adapter = form;
      request.data = folder / "data";
      request.task = "cola";
      request.max_length = 16;
      EXPECT_THAT(error_of([&] { evaluate(request, registry); }),
                  HasSubstr("holds no trained classifier.weight, classifier.bias"));
    }
    const UnmergeResult back = unmerge(folder / "merged", adapter,
                                       folder / "base-" / fs::path(lost ? "1" : "0"), registry);
    EXPECT_EQ(back.lost, result.left_out);
  }
}

TEST_F(ChangedPeftFolder, OfAStartOfTheWeightsIsNotTakenOutOfThemAgain) {
  merge(keys_model, keys_golden / "start-olora", folder / "merged", builtin_registry());
  EXPECT_THAT(error_of([&] {
                unmerge(folder / "merged", keys_golden / "start-olora", folder / "base",
                        builtin_registry());
              }),
              HasSubstr("depends on the base model's weights"));
}

TEST_F(ChangedPeftFolder, IsExportedWithTheNameOfItsModel) {
  const Registry registry = builtin_registry();
  const LoneAdapter lone =
      load_lone_adapter(keys_golden / "pattern-plain", keys_model, registry, make_cpu_device());
  export_as_lora(lone, registry, folder / "named", "prajjwal1/bert-tiny");
  export_as_lora(lone, registry, folder / "unnamed");
  const auto name_in = [&](const char* form) {
    return json::parse(read_text(folder / form / "adapter_config.json"))
        .at("base_model_name_or_path");
  };
  EXPECT_EQ(name_in("named"), "prajjwal1/bert-tiny");
  EXPECT_TRUE(name_in("unnamed").is_null());
}

TEST(PeftForms, AreDescribedKeyByKeyInTheDocs) {
  const std::string docs = read_text(fs::path(RANKFOLD_SOURCE_DIR) / "docs/peft.md");
  const auto expect_documented = [&](std::span<const ForeignKey> keys, const std::string& type) {
    for (const ForeignKey& key : keys)
      EXPECT_THAT(docs, HasSubstr('`' + std::string(key.name) + '`')) << type;
  };
  expect_documented(peft_common_keys(), "every type");
  for (const PeftForm& form : peft_forms()) expect_documented(form.keys, form.type);
}

}  // namespace
}  // namespace rankfold
