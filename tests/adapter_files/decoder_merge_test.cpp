#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>

#include "core/base/safetensors.h"
#include "experiments/adapter_files/merge.h"
#include "golden_batch.h"
#include "source_paths.h"
#include "temporary_folder.h"
#include "training/random_adapter.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

class DecoderMerge : public testing::TestWithParam<std::string> {};

/// Weights may be [in, out], and three sites parts of one tensor.
TEST_P(DecoderMerge, PredictsAsTheAdapterAndIsTakenBack) {
  const TemporaryFolder folder;
  const fs::path model = folder.path / "model";
  fs::copy(fs::path(RANKFOLD_GOLDEN_DIR) / "models" / GetParam(), model);
  const Registry registry = builtin_registry();
  AdaptedModel adapted = random_adapter(model, "lora", "3", registry);
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

INSTANTIATE_TEST_SUITE_P(Folders, DecoderMerge,
                         testing::Values("llama-classifier", "qwen2-classifier", "gpt2-classifier",
                                         "opt-classifier"),
                         [](const auto& folder) {
                           return folder.param.substr(0, folder.param.find('-'));
                         });

}  // namespace
}  // namespace rankfold
