#include "core/device/test_device.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "core/device/bfloat16_weight.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"

namespace rankfold {
namespace {

struct Case {
  std::string name = "", method = "", rank = "", targets = "", layers = "all";
  TrainedParts parts = {};
  bool regression = false, with_features = false, bfloat16 = false;
};

/// What one training step computes, and predictions before it.
struct Step {
  std::vector<float> logits;
  double loss = 0;
  std::vector<std::vector<float>> gradients;
};

std::vector<float> values_of(const Device& device, std::span<const float> memory) {
  const HostRead<float> values(device, memory.data(), memory.size());
  return {values.begin(), values.end()};
}

Step train_on(const std::shared_ptr<const Device>& device, const Case& c) {
  HostSettings settings;
  settings.dropout = c.with_features ? 0 : 0.2;
  settings.parts = c.parts;
  settings.regression = c.regression;
  settings.bfloat16 = c.bfloat16;
  const auto host = load_host(golden, settings, device);
  std::unique_ptr<Adapter<float>> adapter;
  if (!c.method.empty()) {
    const Registry registry = builtin_registry();
    const Method& method = registry.at(c.method);
    const Stack stack = select_stack(host->catalogue(), c.targets, c.layers);
    adapter = make_adapter<float>(method, stack,
                                  resolve_settings(method, {c.rank, {}, "", {}}, stack), device);
    adapter->initialise(7);
    host->attach(adapter.get());
  }
  Batch batch = example();
  std::vector<float> features(batch.tokens() * host->hidden_size());
  if (c.with_features) {
    host->features(batch, {features.data(), batch.tokens(), host->hidden_size()});
    batch.features = {features.data(), batch.tokens(), host->hidden_size()};
  }
  Step step;
  step.logits = host->predict(batch);
  host->zero_gradients();
  if (adapter) adapter->zero_gradients();
  step.loss = host->train_pass(batch, 5, 3);
  for (const TrainedTensor& tensor : host->trained())
    step.gradients.push_back(values_of(*device, tensor.gradient));
  if (adapter)
    for (const Parameter<float>& parameter : adapter->parameters())
      step.gradients.push_back(
          values_of(*device, {parameter.gradient.data(), parameter.gradient.size()}));
  return step;
}

class TestDevice : public testing::TestWithParam<Case> {};

TEST_P(TestDevice, TrainsBertWithTheBitsOfTheCpu) {
  if (GetParam().bfloat16 && !bfloat16_obstacle().empty()) GTEST_SKIP() << bfloat16_obstacle();
  const Step found = train_on(make_test_device(), GetParam()),
             expected = train_on(make_cpu_device(), GetParam());
  EXPECT_EQ(found.logits, expected.logits);
  EXPECT_EQ(found.loss, expected.loss);
  EXPECT_EQ(found.gradients, expected.gradients);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, TestDevice,
    testing::Values(
        Case{.name = "Head"}, Case{.name = "Norms", .parts = {.norms = true}},
        Case{.name = "Regression", .parts = {.norms = true}, .regression = true},
        Case{.name = "TensorTrainHead", .parts = {.tt_head = true}},
        Case{"Lora", "lora", "2", "q,v"}, Case{"LoraOnAllSites", "lora", "2", "q,k,v,o,up,down"},
        Case{"SharedFactors", "lotr", "2", "q,v"},
        Case{"Bottlenecks", "loretta_adp", "2", "adapters"},
        Case{.name = "Features",
             .method = "lora",
             .rank = "2",
             .targets = "q,v",
             .layers = "last:1",
             .with_features = true},
        Case{
            .name = "Bfloat16", .method = "lora", .rank = "2", .targets = "q,v", .bfloat16 = true}),
    [](const auto& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace rankfold
