#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "around_weight.h"
#include "core/base/error.h"
#include "experiments/adapter_files/merge.h"
#include "experiments/adapter_files/peft_folder.h"
#include "golden_batch.h"
#include "source_paths.h"
#include "temporary_folder.h"
#include "training/random_adapter.h"

namespace rankfold {
namespace {

const std::filesystem::path bert = RANKFOLD_GOLDEN_DIR "/models/bert";

double distance(const std::vector<float>& got, const std::vector<float>& expected) {
  double difference = 0, whole = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - expected[i], 2);
    whole += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / whole);
}

std::vector<float> logits(const std::filesystem::path& model) {
  return load_host(model, {}, make_cpu_device())->predict(read_golden_batch(bert));
}

class AroundTheWeight : public testing::TestWithParam<Place> {};

TEST_P(AroundTheWeight, ALinearMapIsMergedAndExportedAsAnUpdateOfTheWeight) {
  const TemporaryFolder folder;
  Registry registry = builtin_registry();
  registry.add(around_weight({GetParam()}));
  AdaptedModel adapted = random_adapter(bert, "around_weight", "2", registry);
  const std::vector<float> expected = adapted.host->predict(read_golden_batch(bert));
  ASSERT_GT(distance(logits(bert), expected), 1e-3);
  std::filesystem::create_directories(folder.path / "adapter");
  save_adapter(folder.path / "adapter", adapted.description, *adapted.adapter, *adapted.host);

  merge(bert, folder.path / "adapter", folder.path / "merged", registry);
  EXPECT_LT(distance(logits(folder.path / "merged"), expected), 1e-5);

  const LoneAdapter source =
      load_lone_adapter(folder.path / "adapter", bert, registry, make_cpu_device());
  const auto export_it = [&] { return export_as_lora(source, registry, folder.path / "lora"); };
  if (GetParam() == Place::after) {  // W' x + b + F b: a LoRA has no place for F b
    EXPECT_THROW(export_it(), Error);
    return;
  }
  EXPECT_EQ(export_it().largest_rank, 2U);
  AdaptedModel exported =
      load_adapted_model(bert, folder.path / "lora", registry, make_cpu_device());
  EXPECT_LT(distance(exported.host->predict(read_golden_batch(bert)), expected), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Places, AroundTheWeight, testing::Values(Place::before, Place::after),
                         [](const auto& place) {
                           return place.param == Place::before ? "before" : "after";
                         });

}  // namespace
}  // namespace rankfold
