#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "core/base/files.h"
#include "decompositions/registry.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/runs/run_result.h"
#include "experiments/training/trainer.h"
#include "training/workplace.h"

// Runs on a model whose q, k and v are one weight.

namespace rankfold {
namespace {

namespace fs = std::filesystem;

class FusedRun : public Workplace {
 protected:
  FusedRun() {
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(fs::path(RANKFOLD_GOLDEN_DIR) / "models/deberta" / name,
                    folder / "model" / name, fs::copy_options::overwrite_existing);
    write_atomically(folder / "model/tokenizer_config.json",
                     R"({"tokenizer_class": "BertTokenizer"})");
  }
};

TEST_F(FusedRun, AdaptsTheWholeUnlessPartsAreAskedFor) {
  const Registry registry = builtin_registry();
  const RunResult whole = finetune(settings(), folder / "whole", registry, {});
  EXPECT_EQ(whole.settings.text("targets"), "in_proj");
  EXPECT_EQ(whole.parameters.adapter, 2U * 2 * (32 + 96));
  RunSettings wanted = settings();
  wanted.values["targets"] = "in_proj";
  EXPECT_TRUE(finetune(wanted, folder / "whole", registry, {}).skipped);
  wanted.values["targets"] = "q,v";
  finetune(wanted, folder / "parts", registry, {});
  const AdapterDescription parts = read_adapter_description(folder / "parts/adapter");
  ASSERT_EQ(parts.stack.size(), 4U);
  EXPECT_EQ(parts.stack[0].part_of, "deberta.encoder.layer.0.attention.self.in_proj");
  EXPECT_EQ(parts.stack[0].name, parts.stack[0].part_of + ".q");
}

/// Keys have no bias: what ia3 scales is the product, and bitfit trains the parts that have one.
TEST_F(FusedRun, ScalesKeysAndTrainsTheBiasesThatThereAre) {
  const Registry registry = builtin_registry();
  const RunResult scales = finetune(settings("ia3", ""), folder / "ia3", registry, {});
  EXPECT_EQ(scales.parameters.adapter, 2U * (32 + 32 + 64));
  const RunResult biases = finetune(settings("bitfit", ""), folder / "bitfit", registry, {});
  EXPECT_EQ(biases.settings.text("targets"), "q,k,v,o,up,down");
  EXPECT_EQ(biases.parameters.adapter, 2U * (32 + 32 + 32 + 64 + 32));
}

TEST_F(FusedRun, WithABiasThatNoCheckpointHoldsIsRefusedBeforeItTrains) {
  EXPECT_THAT(error_of([&] { finetune(settings("cara"), folder / "out", builtin_registry(), {}); }),
              testing::HasSubstr(
                  "[cara] trains a bias for deberta.encoder.layer.0.attention.self.in_proj"));
  EXPECT_FALSE(fs::exists(folder / "out"));
}

}  // namespace
}  // namespace rankfold
