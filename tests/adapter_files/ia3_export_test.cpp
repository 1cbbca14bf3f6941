#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cmath>

#include "core/base/files.h"
#include "experiments/adapter_files/peft_folder.h"
#include "models/golden_models.h"
#include "temporary_folder.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::HasSubstr;

class Ia3Export : public testing::TestWithParam<std::string> {
 protected:
  /// An adapter of the method's own targets, and the folder that it is written to.
  LoneAdapter saved(const std::string& method) {
    AdaptedModel adapted = random_adapter(model, method, "2", registry);
    expected = adapted.host->predict(short_batch());
    fs::create_directories(folder.path / "adapter");
    save_adapter(folder.path / "adapter", adapted.description, *adapted.adapter, *adapted.host);
    return load_lone_adapter(folder.path / "adapter", model, registry, make_cpu_device());
  }

  const fs::path model = golden_model(GetParam());
  const Registry registry = builtin_registry();
  const TemporaryFolder folder;
  std::vector<float> expected;
};

/// Parts of a fused weight (GPT-2's, DeBERTa's k and v) are scales of the whole.
TEST_P(Ia3Export, IsReadBackAsPeftsIa3) {
  const fs::path out = folder.path / "ia3";
  const PeftExport result = export_as_ia3(saved("ia3"), out, "base");
  const auto config = nlohmann::json::parse(read_text(out / adapter_config_name));
  EXPECT_EQ(config["peft_type"], "IA3");
  EXPECT_EQ(config["target_modules"].size(), result.sites);
  for (const auto& module : config["feedforward_modules"])
    EXPECT_THAT(config["target_modules"], Contains(module));
  EXPECT_EQ(config["base_model_name_or_path"], "base");
  AdaptedModel again = load_adapted_model(model, out, registry, make_cpu_device());
  EXPECT_EQ(again.description.method, "ia3");
  EXPECT_EQ(again.adapter->parameter_count(), result.parameters);
  const std::vector<float> found = again.host->predict(short_batch());
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_NEAR(found[i], expected[i], 1e-4 * (1 + std::abs(expected[i])));
  EXPECT_NE(found, load_host(model, {}, make_cpu_device())->predict(short_batch()));
}

TEST_P(Ia3Export, IsOfItsMethodAlone) {
  const LoneAdapter lora = saved("lora");
  EXPECT_THAT(error_of([&] { export_as_ia3(lora, folder.path / "out"); }),
              HasSubstr("method lora has no scales alone; expected ia3"));
  EXPECT_FALSE(fs::exists(folder.path / "out"));
}

INSTANTIATE_TEST_SUITE_P(Models, Ia3Export,
                         testing::Values("bert", "deberta", "gpt2-classifier", "llama-classifier"),
                         [](const auto& model) { return test_name(model.param); });

}  // namespace
}  // namespace rankfold
