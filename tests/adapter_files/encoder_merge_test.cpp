#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>
#include <string>

#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/models/families/family.h"
#include "models/golden_models.h"
#include "temporary_folder.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

class MergedEncoder : public testing::TestWithParam<std::string> {};

TEST_P(MergedEncoder, PredictsWhatTheAdaptedOneDid) {
  const std::filesystem::path model = golden_model(GetParam());
  const Registry registry = builtin_registry();
  const TemporaryFolder folder;
  const auto plain = load_host(model, {}, make_cpu_device());
  std::vector<std::pair<std::string, std::string>> runs = {{"lora", "all"}, {"dora", "all"}};
  // Factors that sites share need sites of one shape.
  for (const std::string& targets : projection_targets(*plain)) runs.emplace_back("lotr", targets);
  for (const auto& [method, targets] : runs) {
    AdaptedModel adapted = random_adapter(model, method, "2", registry, targets);
    const std::string name = method + targets;
    const std::filesystem::path adapter = folder.path / (name + "-adapter"),
                                merged = folder.path / (name + "-merged");
    std::filesystem::create_directories(adapter);
    save_adapter(adapter, adapted.description, *adapted.adapter, *adapted.host);
    merge(model, adapter, merged, registry);
    const auto whole = load_host(merged, {}, make_cpu_device());
    EXPECT_TRUE(whole->notes().empty());
    const std::vector<float> expected = adapted.host->predict(short_batch()),
                             found = whole->predict(short_batch()),
                             before = plain->predict(short_batch());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 2e-5 * (1 + std::abs(expected[i]))) << method;
    EXPECT_NE(before, found) << method;
  }
}

TEST_P(MergedEncoder, PredictsTheSameAsALoraOfPeft) {
  const std::filesystem::path model = golden_model(GetParam());
  const Registry registry = builtin_registry();
  const TemporaryFolder folder;
  const std::filesystem::path adapter = folder.path / "adapter", lora = folder.path / "lora";
  std::filesystem::create_directories(adapter);
  const auto device = make_cpu_device();
  {
    const auto plain = load_host(model, {}, device);
    AdaptedModel adapted =
        random_adapter(model, "lotr", "2", registry, projection_targets(*plain).back());
    save_adapter(adapter, adapted.description, *adapted.adapter, *adapted.host);
    // Only the model tells where the parts of a weight lie.
    if (has_parts(*plain)) {
      const auto without = [&] {
        export_as_lora(load_lone_adapter(adapter, "", registry, device), registry, lora);
      };
      EXPECT_THAT(error_of(without),
                  testing::HasSubstr("is a part of the module deberta.encoder.layer.0.attention."
                                     "self.in_proj, which PEFT adapts as a whole; --model"));
    }
  }
  const AdaptedModel before = load_adapted_model(model, adapter, registry, device, "f32");
  export_as_lora(load_lone_adapter(adapter, model, registry, device), registry, lora, "");
  // A head is saved whole, whatever layers it has.
  const auto config = nlohmann::json::parse(read_text(lora / adapter_config_name));
  EXPECT_EQ(config["modules_to_save"], nlohmann::json({"classifier"}));
  const AdaptedModel after = load_adapted_model(model, lora, registry, device, "f32");
  const std::vector<float> expected = before.host->predict(short_batch()),
                           found = after.host->predict(short_batch());
  for (std::size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 2e-5 * (1 + std::abs(expected[i])));
}

/// A checkpoint without what a classifier has behind its layers: what a run draws of it is in the
/// adapter's folder.
TEST_P(MergedEncoder, KeepsWhatItsBaseLacks) {
  const TemporaryFolder folder;
  const std::filesystem::path model = folder.path / "model", adapter = folder.path / "adapter",
                              lora = folder.path / "lora", merged = folder.path / "merged";
  std::filesystem::create_directories(model);
  std::filesystem::create_directories(adapter);
  std::filesystem::copy(golden_model(GetParam()) / "config.json", model / "config.json");
  {
    const SafetensorsFile file(golden_model(GetParam()) / "model.safetensors");
    std::vector<TensorToWrite> kept;
    for (const TensorEntry& entry : file.entries())
      if (!is_in_a_head(entry.name) && entry.name.find("pooler") == std::string::npos)
        kept.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
    write_safetensors(model / "model.safetensors", kept);
  }
  const Registry registry = builtin_registry();
  const auto device = make_cpu_device();
  AdaptedModel adapted = random_adapter(model, "lora", "2", registry, "all-linear");
  save_adapter(adapter, adapted.description, *adapted.adapter, *adapted.host);
  export_as_lora(load_lone_adapter(adapter, "", registry, device), registry, lora, "");
  merge(model, adapter, merged, registry);
  const std::vector<float> expected = adapted.host->predict(short_batch());
  const auto expect_same = [&](Host& host) {
    const std::vector<float> found = host.predict(short_batch());
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i)
      EXPECT_NEAR(found[i], expected[i], 2e-5 * (1 + std::abs(expected[i])));
  };
  const AdaptedModel again = load_adapted_model(model, adapter, registry, device, "f32"),
                     of_peft = load_adapted_model(model, lora, registry, device, "f32");
  EXPECT_EQ(again.description.replaced.size(), again.host->replaced().size());
  EXPECT_TRUE(again.host->drawn().empty());
  EXPECT_TRUE(of_peft.untrained.empty());
  expect_same(*again.host);
  expect_same(*of_peft.host);
  expect_same(*load_host(merged, {}, device));
  unmerge(merged, adapter, folder.path / "base", registry);
  const SafetensorsFile before(model / "model.safetensors"),
      after(folder.path / "base/model.safetensors");
  EXPECT_EQ(after.entries().size(), before.entries().size());
}

INSTANTIATE_TEST_SUITE_P(Families, MergedEncoder, testing::ValuesIn(golden_encoders()),
                         [](const auto& family) { return test_name(family.param); });

}  // namespace
}  // namespace rankfold
