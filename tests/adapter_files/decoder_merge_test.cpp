#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/adapter_files/updated_modules.h"
#include "experiments/models/families/family.h"
#include "golden_batch.h"
#include "models/golden_models.h"
#include "source_paths.h"
#include "temporary_folder.h"
#include "training/random_adapter.h"
#include "training/relative_error.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

struct DecoderCase {
  std::string model, targets = "q,v";
};
class DecoderMerge : public testing::TestWithParam<DecoderCase> {};

/// Weights may be [in, out], and sites parts of one tensor.
TEST_P(DecoderMerge, PredictsAsTheAdapterAndIsTakenBack) {
  const TemporaryFolder folder;
  const fs::path model = folder.path / "model";
  fs::copy(fs::path(RANKFOLD_GOLDEN_DIR) / "models" / GetParam().model, model);
  const Registry registry = builtin_registry();
  AdaptedModel adapted = random_adapter(model, "lora", "3", registry, GetParam().targets);
  fs::create_directories(folder.path / "adapter");
  save_adapter(folder.path / "adapter", adapted.description, *adapted.adapter, *adapted.host);
  merge(model, folder.path / "adapter", folder.path / "merged", registry);

  HostSettings settings;
  settings.labels = adapted.description.labels;
  const auto merged = load_host(folder.path / "merged", settings, make_cpu_device());
  const Batch batch = read_golden_batch(model);
  const std::vector<float> expected = adapted.host->predict(batch), found = merged->predict(batch);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4);
  EXPECT_NE(found, load_host(model, settings, make_cpu_device())->predict(batch));

  unmerge(folder.path / "merged", folder.path / "adapter", folder.path / "again", registry);
  const WeightFolder before(model), after(folder.path / "again");
  for (const std::string& name : before.names()) {
    if (name.starts_with("score.")) continue;
    const std::vector<float> a = before.read<float>(name), b = after.read<float>(name);
    ASSERT_EQ(a.size(), b.size()) << name;
    for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-5) << name;
  }
}

/// Parts of one module become a LoRA of the whole.
TEST_P(DecoderMerge, IsALoraOfPeft) {
  const TemporaryFolder folder;
  const fs::path model = fs::path(RANKFOLD_GOLDEN_DIR) / "models" / GetParam().model;
  const fs::path lora = folder.path / "lora";
  const Registry registry = builtin_registry();
  const auto device = make_cpu_device();
  AdaptedModel adapted = random_adapter(model, "lora", "3", registry, GetParam().targets);
  fs::create_directories(folder.path / "adapter");
  save_adapter(folder.path / "adapter", adapted.description, *adapted.adapter, *adapted.host);
  export_as_lora(load_lone_adapter(folder.path / "adapter", model, registry, device), registry,
                 lora, "");
  const auto config = nlohmann::json::parse(read_text(lora / adapter_config_name));
  EXPECT_EQ(config["fan_in_fan_out"], family_of(read_shape(model)).modules.transposed);
  const AdaptedModel again = load_adapted_model(model, lora, registry, device, "f32");
  const Batch batch = read_golden_batch(model);
  const std::vector<float> expected = adapted.host->predict(batch),
                           found = again.host->predict(batch);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4);
}

/// GPT-2's c_attn has a bias for every output, DeBERTa's in_proj none for keys, Llama none at all.
TEST(TrainedBiases, AreMergedWhereTheCheckpointHasAPlace) {
  const Registry registry = builtin_registry();
  const auto device = make_cpu_device();
  const auto adapted = [&](const char* name, const char* targets) {
    return random_adapter(golden_model(name), "cara", "3", registry, targets);
  };
  const auto refusal = [&](const char* name, const char* targets) {
    const AdaptedModel model = adapted(name, targets);
    return error_of(
        [&] { expect_places_for_biases(*model.adapter, read_shape(golden_model(name))); });
  };
  EXPECT_EQ(refusal("gpt2-classifier", "in_proj"), "");
  EXPECT_EQ(refusal("deberta", "q,k,v,o,up"), "");
  EXPECT_EQ(refusal("llama-classifier", "q"), "");
  const std::string reason =
      ", which the model has no place for; expected a method without one, or "
      "other targets";
  EXPECT_EQ(refusal("deberta", "in_proj"),
            "[cara] trains a bias for deberta.encoder.layer.0.attention.self.in_proj" + reason);
  EXPECT_EQ(refusal("llama-classifier", "o"),
            "[cara] trains a bias for model.layers.0.self_attn.o_proj" + reason);

  const TemporaryFolder folder;
  const fs::path model = golden_model("gpt2-classifier");
  AdaptedModel trained = adapted("gpt2-classifier", "in_proj");
  fs::create_directories(folder.path / "adapter");
  save_adapter(folder.path / "adapter", trained.description, *trained.adapter, *trained.host);
  merge(model, folder.path / "adapter", folder.path / "merged", registry);
  const auto merged = load_host(folder.path / "merged", {}, device);
  const Batch batch = read_golden_batch(model);
  const std::vector<float> expected = trained.host->predict(batch), found = merged->predict(batch);
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4);
  const char* bias = "transformer.h.0.attn.c_attn.bias";
  EXPECT_NE(WeightFolder(folder.path / "merged").read<float>(bias),
            WeightFolder(model).read<float>(bias));
}

/// Sites of an adapter's file are those of the model, whatever else the file says of them.
TEST(UpdatedModules, TakeSitesByTheirNamesAndShapes) {
  const ModelShape shape = read_shape(golden_model("gpt2-classifier"));
  const auto zeros = [](const std::string&, const std::vector<std::size_t>& sizes) {
    return std::vector<float>(sizes.at(0) * (sizes.size() > 1 ? sizes[1] : 1));
  };
  const auto updated = [&](Site site) {
    const Stack stack(std::vector<Site>{std::move(site)});
    const auto full = drawn_adapter(stack, "full", make_cpu_device());
    UpdatedModules modules(shape, zeros);
    modules.add(*full, 0, 1);
    return modules.list().at(0).shape;
  };
  const std::string whole = "transformer.h.0.attn.c_attn";
  EXPECT_THAT(updated({whole + ".v", MatrixType::down, 0, 32, 32, 1, "x"}),
              testing::ElementsAre(32, 96));
  EXPECT_EQ(error_of([&] {
              updated({whole + ".v", MatrixType::v, 0, 64, 32, 4, whole});
            }),
            "site " + whole + ".v is [64, 32], in " + shape.name + " it is [32, 32]");
  EXPECT_EQ(error_of([&] {
              updated({"other", MatrixType::v, 0, 32, 32});
            }),
            "site 'other' is none of " + shape.name);
}

/// Decoders on the Hub are language models; an adapter's task says that it is of a classifier.
TEST(LanguageModel, IsAClassifierToAnAdapterOfOne) {
  const TemporaryFolder folder;
  const fs::path model = folder.path / "model", own = folder.path / "own",
                 lora = folder.path / "lora";
  fs::copy(fs::path(RANKFOLD_GOLDEN_DIR) / "models/llama", model);
  write_atomically(model / "generation_config.json", R"({"eos_token_id": [2]})");
  const Registry registry = builtin_registry();
  const auto device = make_cpu_device();
  AdaptedModel trained = random_adapter(model, "lora", "3", registry);
  fs::create_directories(own);
  save_adapter(own, trained.description, *trained.adapter, *trained.host);
  export_as_lora(load_lone_adapter(own, model, registry, device), registry, lora, "");
  const AdaptedModel again = load_adapted_model(model, lora, registry, device);
  EXPECT_EQ(again.description.output, HostOutput::classifier);
  EXPECT_THAT(again.untrained, testing::IsEmpty());
  Batch batch = read_golden_batch(model);
  const std::vector<float> expected = trained.host->predict(batch),
                           found = again.host->predict(batch);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-4);
  for (const fs::path& adapter : {own, lora})
    EXPECT_THAT(error_of([&] {
                  load_adapted_model(model, adapter, registry, device, "",
                                     HostOutput::language_model);
                }),
                testing::HasSubstr("the adapter is of a classifier, expected one of a causal"))
        << adapter;
  merge(model, lora, folder.path / "merged", registry);
  EXPECT_EQ(read_text(folder.path / "merged/generation_config.json"),
            read_text(model / "generation_config.json"));
}

/// An adapter of PEFT for a causal language model, from the start of a golden training.
TEST(LanguageModel, TakesAnAdapterOfPeftAndItsMerge) {
  const TemporaryFolder folder;
  const fs::path model = fs::path(RANKFOLD_GOLDEN_DIR) / "models/llama",
                 adapter = folder.path / "adapter";
  fs::create_directories(adapter);
  {
    const SafetensorsFile start(model / "trace.safetensors");
    std::vector<std::vector<float>> values;
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : start.entries()) {
      values.push_back(start.read<float>(entry.name));
      for (float& value : values.back()) value += 0.05F;  // B starts at 0
      list.push_back(make_tensor("base_model.model." + entry.name, entry.shape,
                                 std::span<const float>(values.back())));
    }
    write_safetensors(adapter / adapter_tensors_name, list);
  }
  write_atomically(adapter / adapter_config_name,
                   R"({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8,
                       "target_modules": ["q_proj", "v_proj"], "bias": "none"})");
  const Registry registry = builtin_registry();
  const auto device = make_cpu_device();
  const AdaptedModel adapted = load_adapted_model(model, adapter, registry, device);
  EXPECT_EQ(adapted.description.output, HostOutput::language_model);
  merge(model, adapter, folder.path / "merged", registry);
  const auto config = nlohmann::json::parse(read_text(folder.path / "merged/config.json"));
  EXPECT_EQ(config["architectures"], nlohmann::json({"LlamaForCausalLM"}));
  HostSettings settings;
  settings.output = HostOutput::language_model;
  const auto merged = load_host(folder.path / "merged", settings, device);
  const auto plain = load_host(model, settings, device);
  const Batch batch = read_golden_batch(model);
  const std::vector<float> expected = adapted.host->token_logits(batch),
                           found = merged->token_logits(batch);
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-4);
  EXPECT_NE(found, plain->token_logits(batch));
  // Its own adapters have heads, which a language model has no place for.
  AdaptedModel trained = random_adapter(model, "lora", "3", registry);
  fs::create_directories(folder.path / "own");
  save_adapter(folder.path / "own", trained.description, *trained.adapter, *trained.host);
  EXPECT_THAT(error_of([&] {
                load_adapted_model(model, folder.path / "own", registry, device, "",
                                   HostOutput::language_model);
              }),
              testing::HasSubstr("the adapter is of a classifier"));
}

/// Norms, embeddings and the output, which PEFT saved beside its factors.
TEST(LanguageModel, HasTheModulesThatPeftSaved) {
  const TemporaryFolder folder;
  const fs::path golden = RANKFOLD_GOLDEN_DIR, model = golden / "models/llama",
                 adapter = golden / "peft-llama/lora_saved_modules",
                 native = folder.path / "native", lora = folder.path / "lora",
                 merged = folder.path / "merged";
  const Registry registry = builtin_registry();
  const auto device = make_cpu_device();
  const std::vector<float> expected =
      SafetensorsFile(adapter / "expected.safetensors").read<float>("logits");
  const auto expect_logits = [&](Host& host) {
    EXPECT_LE(relative_error(host.token_logits(read_golden_batch(model)), expected), 1e-5);
  };
  const LoneAdapter lone = load_lone_adapter(adapter, model, registry, device);
  save_adapter(native, lone);
  export_as_lora(lone, registry, lora);
  merge(model, adapter, merged, registry);
  for (const fs::path& each : {adapter, native, lora}) {
    const AdaptedModel adapted = load_adapted_model(model, each, registry, device);
    EXPECT_EQ(adapted.description.output, HostOutput::language_model) << each;
    expect_logits(*adapted.host);
  }
  HostSettings settings;
  settings.output = HostOutput::language_model;
  expect_logits(*load_host(merged, settings, device));
  const auto config = nlohmann::json::parse(read_text(lora / adapter_config_name));
  EXPECT_EQ(config["task_type"], "CAUSAL_LM");
  EXPECT_THAT(error_of([&] {
                load_adapted_model(model, native, registry, device, "", HostOutput::classifier);
              }),
              testing::HasSubstr("the adapter is of a causal language model"));
  const UnmergeResult base = unmerge(merged, adapter, folder.path / "base", registry);
  EXPECT_THAT(base.kept, testing::Contains("model.embed_tokens.weight"));

  // With a tied output there would be two tensors.
  fs::create_directories(folder.path / "tied");
  auto tied = nlohmann::json::parse(read_text(model / "config.json"));
  tied["tie_word_embeddings"] = true;
  write_atomically(folder.path / "tied/config.json", tied.dump());
  fs::copy(model / "model.safetensors", folder.path / "tied/model.safetensors");
  EXPECT_THAT(
      error_of([&] { load_adapted_model(folder.path / "tied", adapter, registry, device); }),
      testing::HasSubstr("whose tie_word_embeddings is on"));
}

/// Every golden classifier, with q and v and with what holds them.
std::vector<DecoderCase> classifiers() {
  std::vector<DecoderCase> cases;
  const fs::path models = fs::path(RANKFOLD_GOLDEN_DIR) / "models";
  for (const auto& entry : fs::directory_iterator(models)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with("-classifier")) continue;
    cases.push_back({name});
    const auto sites = catalogue(read_shape(entry.path())).sites;
    if (!std::ranges::all_of(sites, &std::string::empty, &Site::part_of))
      cases.push_back({name, "in_proj"});
  }
  std::ranges::sort(cases, {}, [](const DecoderCase& of) { return of.model + of.targets; });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Folders, DecoderMerge, testing::ValuesIn(classifiers()),
                         [](const auto& chosen) {
                           const DecoderCase& of = chosen.param;
                           std::string name = of.model.substr(0, of.model.find('-'));
                           name += of.targets == "in_proj" ? "_whole" : "";
                           return name;
                         });

}  // namespace
}  // namespace rankfold
