#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/training/gradient_source.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/parameter_groups.h"
#include "models/golden_models.h"
#include "temporary_folder.h"
#include "training/random_adapter.h"
#include "training/workplace.h"

// Folders of models whose weights all trained.

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A golden model after one step of SGD on all its weights, saved.
struct Trained {
  TemporaryFolder folder;
  fs::path model, adapter = folder.path / "adapter";
  HostSettings settings;
  std::unique_ptr<Host> host;
  Registry registry = builtin_registry();

  explicit Trained(const std::string& name, const fs::path& from = {})
      : model(folder.path / "model") {
    fs::copy(from.empty() ? golden_model(name) : from, model);
    settings.output = declared_output(ConfigFile(model / "config.json"));
    settings.dropout = 0;
    settings.parts.everything = true;
    const auto device = make_cpu_device();
    host = load_host(model, settings, device);
    AdapterDescription description;
    description.method = "full";
    description.targets = "everything";
    description.task = "cola";
    description.model = "model";
    description.output = settings.output;
    description.fingerprint = model_fingerprint(model);
    const auto none =
        make_described_adapter<float>(description, host->catalogue(), registry, device);
    EXPECT_TRUE(none->parameters().empty());
    Backpropagation().form_gradients(*host, *none, batch(), 1, 0);
    OptimizerSettings sgd;
    sgd.kind = OptimizerKind::sgd;
    Optimizer(sgd, trained_spans(*none, *host, {}), device).step(0.1);
    fs::create_directories(adapter);
    save_adapter(adapter, description, *none, *host);
    settings.parts.everything = false;
  }
  static Batch batch() {
    Batch result = short_batch();
    result.labels = {0, 1, 1};
    result.targets = result.ids;
    return result;
  }
  std::vector<float> expected() const { return host->predict(batch()); }
};

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5);
}

class EverythingFolder : public testing::TestWithParam<std::string> {};

/// GPT-2's weights lie as [in, out]; language models may have a tied output layer.
TEST_P(EverythingFolder, IsReadAndMerged) {
  const Trained trained(GetParam());
  const AdaptedModel read =
      load_adapted_model(trained.model, trained.adapter, trained.registry, make_cpu_device());
  expect_near(read.host->predict(Trained::batch()), trained.expected());
  EXPECT_TRUE(read.untrained.empty());
  merge(trained.model, trained.adapter, trained.folder.path / "merged", trained.registry);
  const auto merged =
      load_host(trained.folder.path / "merged", trained.settings, make_cpu_device());
  EXPECT_TRUE(merged->notes().empty());
  expect_near(merged->predict(Trained::batch()), trained.expected());
  const auto plain = load_host(trained.model, trained.settings, make_cpu_device());
  EXPECT_NE(plain->predict(Trained::batch()), merged->predict(Trained::batch()));
  EXPECT_EQ(WeightFolder(trained.folder.path / "merged").names(),
            WeightFolder(trained.model).names());
}

INSTANTIATE_TEST_SUITE_P(Models, EverythingFolder,
                         testing::Values("bert", "albert", "deberta", "deberta-v2", "roberta",
                                         "gpt2", "gpt2-classifier", "llama", "llama-3-rope", "opt"),
                         [](const auto& model) { return test_name(model.param); });

/// A checkpoint may have a copy of its embedding as the output layer, or no prefix in its names.
TEST(EverythingFolders, OfOtherSpellingsAreMergedToo) {
  const TemporaryFolder other;
  for (const char* name : {"gpt2", "bert"}) {
    const fs::path from = other.path / name;
    fs::create_directories(from);
    fs::copy_file(golden_model(name) / "config.json", from / "config.json");
    const SafetensorsFile file(golden_model(name) / "model.safetensors");
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& entry : file.entries()) {
      const std::string written =
          entry.name.starts_with("bert.") ? entry.name.substr(5) : entry.name;
      tensors.push_back({written, entry.type, entry.shape, file.bytes(entry)});
      if (entry.name == "transformer.wte.weight")
        tensors.push_back({"lm_head.weight", entry.type, entry.shape, file.bytes(entry)});
    }
    write_safetensors(from / "model.safetensors", tensors);
    const Trained trained(name, from);
    merge(trained.model, trained.adapter, trained.folder.path / "merged", trained.registry);
    const auto merged =
        load_host(trained.folder.path / "merged", trained.settings, make_cpu_device());
    EXPECT_TRUE(merged->notes().empty());
    expect_near(merged->predict(Trained::batch()), trained.expected());
  }
}

TEST(EverythingFolders, HoldNoAdapterThatCouldBeWrittenInAnotherForm) {
  const Trained trained("bert");
  const auto device = make_cpu_device();
  const std::string reason =
      "all weights of the model trained in place, so that there is no adapter";
  for (const fs::path& model : {fs::path(), trained.model})
    EXPECT_THAT(
        error_of([&] { load_lone_adapter(trained.adapter, model, trained.registry, device); }),
        HasSubstr(reason));
  const fs::path config = trained.adapter / adapter_config_name;
  std::string text = read_text(config);
  text.replace(text.find("\"full\""), 6, "\"none\"");
  write_atomically(config, text);
  EXPECT_THAT(
      error_of(
          [&] { load_adapted_model(trained.model, trained.adapter, trained.registry, device); }),
      HasSubstr("targets is 'everything', expected sites: it has no meaning for method none"));
}

}  // namespace
}  // namespace rankfold
