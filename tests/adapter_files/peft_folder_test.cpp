#include "experiments/adapter_files/peft_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/merge.h"
#include "golden_batch.h"
#include "source_paths.h"
#include "training/relative_error.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

const fs::path golden = fs::path(RANKFOLD_GOLDEN_DIR);
const fs::path bert = golden / "models/bert";

std::vector<fs::path> peft_cases(const char* folder) {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(golden / folder))
    if (entry.is_directory()) cases.push_back(entry.path());
  std::ranges::sort(cases);
  return cases;
}

class PeftCase : public testing::TestWithParam<fs::path> {
 protected:
  ~PeftCase() override {
    std::error_code ignored;
    fs::remove_all(out, ignored);
  }
  static AdaptedModel load(const fs::path& folder) {
    return load_adapted_model(bert, folder, builtin_registry(), make_cpu_device());
  }
  void expect_logits(const fs::path& folder) {
    const SafetensorsFile expected(GetParam() / "expected.safetensors");
    AdaptedModel adapted = load(folder);
    EXPECT_LE(relative_error(adapted.host->predict(read_golden_batch(bert)),
                             expected.read<float>("logits")),
              1e-5);
  }
  fs::path out = fs::temp_directory_path() /
                 ("rankfold-peft-" + GetParam().filename().string() + std::to_string(::getpid()));
};

TEST_P(PeftCase, GivesPeftsLogits) {
  expect_logits(GetParam());
}

TEST_P(PeftCase, MergesIntoPeftsWeights) {
  const SafetensorsFile expected(GetParam() / "expected.safetensors");
  merge(bert, GetParam(), out, builtin_registry());
  const SafetensorsFile merged(out / "model.safetensors");
  std::size_t compared = 0;
  for (const TensorEntry& entry : expected.entries()) {
    if (!entry.name.starts_with("merged.")) continue;
    const std::string name = entry.name.substr(std::string_view("merged.").size());
    EXPECT_LE(relative_error(merged.read<float>(name), expected.read<float>(entry.name)), 1e-6)
        << name;
    ++compared;
  }
  EXPECT_GE(compared, 4U);
  HostSettings settings;
  const auto host = load_host(out, settings, make_cpu_device());
  EXPECT_LE(relative_error(host->predict(read_golden_batch(bert)), expected.read<float>("logits")),
            1e-5);
}

TEST_P(PeftCase, ComesBackFromAnExportAsLoraAndAsNative) {
  const Registry registry = builtin_registry();
  const LoneAdapter source = load_lone_adapter(GetParam(), bert, registry, make_cpu_device());
  const PeftExport result = export_as_lora(source, registry, out / "lora");
  EXPECT_EQ(result.sites, source.adapter->stack().sites.size());
  expect_logits(out / "lora");
  save_adapter(out / "native", source);
  expect_logits(out / "native");
  if (source.adapter->needs_frozen()) return;
  const LoneAdapter alone = load_lone_adapter(out / "native", "", registry, make_cpu_device());
  export_as_lora(alone, registry, out / "again");
  EXPECT_EQ(read_text(out / "again/adapter_model.safetensors"),
            read_text(out / "lora/adapter_model.safetensors"));
}

INSTANTIATE_TEST_SUITE_P(Golden, PeftCase, testing::ValuesIn(peft_cases("peft-bert")),
                         [](const auto& folder) { return folder.param.filename().string(); });

/// The sites of the base weights of a case, as a model would offer them.
SiteCatalogue catalogue_of(const SafetensorsFile& expected) {
  SiteCatalogue catalogue;
  catalogue.model = "llama";
  for (const TensorEntry& entry : expected.entries()) {
    if (!entry.name.starts_with("base.")) continue;
    Site site;
    site.name = entry.name.substr(5, entry.name.size() - 5 - std::string_view(".weight").size());
    site.matrix = site.name.ends_with("q_proj") ? MatrixType::q : MatrixType::v;
    site.layer = site.name.find("layers.1.") != std::string::npos ? 1 : 0;
    site.out = entry.shape.at(0);
    site.in = entry.shape.at(1);
    catalogue.sites.push_back(std::move(site));
  }
  return catalogue;
}

class PeftOnUnequalShapes : public testing::TestWithParam<fs::path> {};

TEST_P(PeftOnUnequalShapes, GivesPeftsMergedWeights) {
  const SafetensorsFile expected(GetParam() / "expected.safetensors");
  const SiteCatalogue catalogue = catalogue_of(expected);
  PeftFolder peft(GetParam());
  AdapterDescription description = peft.describe(catalogue);
  const auto adapter =
      make_described_adapter<float>(description, catalogue, builtin_registry(), make_cpu_device());
  std::vector<std::vector<float>> weights;
  std::vector<FrozenLinear<float>> frozen;
  for (const Site& site : adapter->stack().sites)
    weights.push_back(expected.read<float>("base." + site.name + ".weight"));
  for (const auto& weight : weights) frozen.push_back({weight.data(), nullptr});
  adapter->set_frozen(frozen);
  adapter->initialise(1);
  peft.fill(*adapter);
  ASSERT_EQ(weights.size(), 4U);
  for (std::size_t index = 0; index < weights.size(); ++index) {
    const Site& site = adapter->stack().sites[index];
    std::vector<float> merged(weights[index].size());
    adapter->reconstruct(index, {merged.data(), site.out, site.in});
    std::ranges::transform(merged, weights[index], merged.begin(), std::plus<>());
    EXPECT_LE(relative_error(merged, expected.read<float>("merged." + site.name + ".weight")), 1e-6)
        << site.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, PeftOnUnequalShapes, testing::ValuesIn(peft_cases("peft")),
                         [](const auto& folder) { return folder.param.filename().string(); });

class PeftAdapter : public Workplace {
 protected:
  PeftAdapter() {
    fs::copy(golden / "peft-bert/lora_r4_a8", adapter);
    for (const auto& entry : fs::directory_iterator(adapter))
      fs::permissions(entry.path(), fs::perms::owner_write, fs::perm_options::add);
  }
  template <class Change>
  void change_config(Change change) {
    auto document = nlohmann::ordered_json::parse(read_text(adapter / "adapter_config.json"));
    change(document);
    write_atomically(adapter / "adapter_config.json", document.dump());
  }
  std::string load_error() {
    return error_of(
        [&] { load_adapted_model(bert, adapter, builtin_registry(), make_cpu_device()); });
  }
  fs::path adapter = folder / "peft";
};

TEST_F(PeftAdapter, HasARankAndAnAlphaByModule) {
  const std::string query = "bert.encoder.layer.0.attention.self.query";
  std::vector<std::vector<float>> values;
  std::vector<TensorToWrite> tensors;
  {
    const SafetensorsFile file(adapter / "adapter_model.safetensors");
    for (const TensorEntry& entry : file.entries()) {
      values.push_back(file.read<float>(entry.name));
      std::vector<std::size_t> shape = entry.shape;
      if (entry.name.find(query + ".lora_A") != std::string::npos) {
        shape[0] = 2;
        values.back().resize(2 * 32);
      }
      if (entry.name.find(query + ".lora_B") != std::string::npos) {
        shape[1] = 2;
        values.back().resize(32 * 2);
      }
      tensors.push_back(make_tensor(entry.name, shape, std::span<const float>(values.back())));
    }
  }
  write_safetensors(adapter / "adapter_model.safetensors", tensors);
  change_config([](auto& config) {
    config["rank_pattern"] = {{"layer.0.attention.self.query", 2}};
    config["alpha_pattern"] = {{"layer.0.*query", 6}};
  });
  const AdaptedModel adapted =
      load_adapted_model(bert, adapter, builtin_registry(), make_cpu_device());
  EXPECT_EQ(adapted.adapter->parameters().front().name, "B." + query);
  EXPECT_EQ(adapted.adapter->parameters().front().shape, (std::vector<std::size_t>{32, 2}));
  std::vector<float> update(32 * 32);
  adapted.adapter->reconstruct(0, {update.data(), 32, 32});
  const auto b = adapted.adapter->parameters()[0].value.span(),
             a = adapted.adapter->parameters()[1].value.span();
  EXPECT_NEAR(update[5], 3 * (b[0] * a[5] + b[1] * a[32 + 5]), 1e-6);
}

TEST_F(PeftAdapter, NamesASavedModuleThatItOrTheModelLacks) {
  change_config([](auto& config) { config["modules_to_save"] = {"classifier", "LayerNorm"}; });
  EXPECT_THAT(load_error(), HasSubstr("modules_to_save names 'LayerNorm', of which"));
  const auto file = std::make_unique<SafetensorsFile>(golden / "peft-bert/lora_saved_modules" /
                                                      adapter_tensors_name);
  const auto write_renamed = [&](const std::string& from, const std::string& to) {
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& entry : file->entries()) {
      std::string name = entry.name;
      if (const std::size_t place = name.find(from); place != std::string::npos)
        name.replace(place, from.size(), to);
      tensors.push_back({name, entry.type, entry.shape, file->bytes(entry)});
    }
    write_safetensors(adapter / adapter_tensors_name, tensors);
  };
  change_config([](auto& config) {
    config["modules_to_save"] = {"LayerNorm", "pooler", "token_type_embeddings", "classifier"};
    config["r"] = 1;
  });
  write_renamed("", "");
  EXPECT_EQ(load_error(), "");
  write_renamed("layer.1.output.LayerNorm.bias", "layer.2.output.LayerNorm.bias");
  EXPECT_THAT(load_error(), AllOf(HasSubstr("layer.2.output.LayerNorm.bias' belongs to"),
                                  HasSubstr("no other module of")));
  write_renamed("token_type_embeddings", "position_embeddings");
  EXPECT_THAT(load_error(), HasSubstr("position_embeddings.weight' belongs to no adapted weight, "
                                      "and modules_to_save of"));
}

TEST_F(PeftAdapter, KeepsTheModelsHeadWhereNoTaskAndNoHeadWasSaved) {
  const auto file = std::make_unique<SafetensorsFile>(golden / "peft-bert/lora_saved_modules" /
                                                      adapter_tensors_name);
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file->entries())
    if (entry.name.find("classifier") == std::string::npos)
      tensors.push_back({entry.name, entry.type, entry.shape, file->bytes(entry)});
  write_safetensors(adapter / adapter_tensors_name, tensors);
  const auto untrained = [&](const nlohmann::json& task,
                             const std::vector<std::string>& saved = {}) {
    change_config([&](auto& config) {
      config["task_type"] = task;
      config["r"] = 1;
      config["modules_to_save"] = {"LayerNorm", "pooler", "token_type_embeddings"};
      for (const std::string& name : saved) config["modules_to_save"].push_back(name);
    });
    return load_adapted_model(bert, adapter, builtin_registry(), make_cpu_device())
        .untrained.size();
  };
  EXPECT_EQ(untrained(nullptr), 0u);
  EXPECT_EQ(untrained("FEATURE_EXTRACTION"), 0u);
  EXPECT_EQ(untrained("SEQ_CLS"), 2u);
  EXPECT_EQ(untrained(nullptr, {"classifier"}), 2u);
}

TEST_F(PeftAdapter, RefusesWhatItCannotApply) {
  change_config([](auto& config) { config["use_qalora"] = true; });
  EXPECT_THAT(load_error(), HasSubstr("use_qalora is true"));
  change_config([](auto& config) {
    config["use_qalora"] = false;
    config["peft_type"] = "BOFT";
  });
  EXPECT_THAT(load_error(), HasSubstr("peft_type is \"BOFT\", expected one of LORA"));
  change_config([](auto& config) {
    config["peft_type"] = "LORA";
    config["r"] = "four";
  });
  EXPECT_THAT(load_error(), HasSubstr("r is \"four\""));
  fs::rename(adapter / "adapter_model.safetensors", adapter / "adapter_model.bin");
  EXPECT_THAT(load_error(), HasSubstr("is a pickle"));
}

}  // namespace
}  // namespace rankfold
