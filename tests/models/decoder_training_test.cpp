#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "core/adapter/registry.h"
#include "core/base/random.h"
#include "core/device/bfloat16_weight.h"
#include "core/device/counting_device.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "models/count_allocations.h"
#include "models/golden_models.h"

// What training a decoder is beyond its numbers: rows that are many, masks, memory, precision.

namespace rankfold {
namespace {

class DecoderTraining : public testing::TestWithParam<std::string> {
 protected:
  std::unique_ptr<Host> host(const std::shared_ptr<const Device>& device, double dropout = 0,
                             bool bfloat16 = false) const {
    const auto folder = golden_model(GetParam());
    HostSettings settings;
    settings.output = declared_output(ConfigFile(folder / "config.json"));
    settings.labels = 3;
    settings.dropout = dropout;
    settings.bfloat16 = bfloat16;
    return load_host(folder, settings, device);
  }
  static std::unique_ptr<Adapter<float>> attach_lora(Host& host,
                                                     std::shared_ptr<const Device> device) {
    const Registry registry = builtin_registry();
    const Method& lora = registry.at("lora");
    const Stack stack = select_stack(host.catalogue(), "q,v", "all");
    MethodRequest request;
    request.rank = "2";
    auto adapter = make_adapter<float>(lora, stack, resolve_settings(lora, request, stack), device);
    for (Parameter<float>& parameter : adapter->parameters())
      RandomStream(1, parameter.name).fill_normal(parameter.value.span(), 0.0, 0.2);
    host.attach(adapter.get());
    return adapter;
  }
  static std::vector<float> gradients(Host& host, Adapter<float>& adapter) {
    std::vector<float> values;
    for (const TrainedTensor& tensor : host.trained())
      values.insert(values.end(), tensor.gradient.begin(), tensor.gradient.end());
    for (Parameter<float>& parameter : adapter.parameters())
      values.insert(values.end(), parameter.gradient.span().begin(),
                    parameter.gradient.span().end());
    host.zero_gradients();
    adapter.zero_gradients();
    return values;
  }
  /// `count` sequences of `length` random tokens from number `first` on.
  static Batch random_tokens(std::size_t first, std::size_t count, std::size_t length) {
    const RandomStream stream(1, "ids");
    Batch batch;
    batch.starts = {0};
    for (std::size_t s = first; s < first + count; ++s) {
      for (std::size_t t = 0; t < length; ++t)
        batch.ids.push_back(static_cast<std::int32_t>(stream.bits(s * length + t) % 60));
      batch.starts.push_back(batch.ids.size());
      batch.labels.push_back(static_cast<float>(s % 3));
    }
    batch.targets = batch.ids;
    return batch;
  }
};

INSTANTIATE_TEST_SUITE_P(Folders, DecoderTraining, testing::ValuesIn(golden_decoders()),
                         [](const auto& folder) { return test_name(folder.param); });

double part_apart(const std::vector<float>& found, const std::vector<float>& expected) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{found[i]} - expected[i], 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

TEST_P(DecoderTraining, HasTheGradientOfManyRowsThatItsPartsHaveTogether) {
  const auto device = make_cpu_device();
  const auto host = this->host(device);
  const auto lora = attach_lora(*host, device);
  constexpr std::size_t sequences = 24, length = 60, parts = 8;
  host->train_pass(random_tokens(0, sequences, length), 1, 1);
  const std::vector<float> together = gradients(*host, *lora);
  for (std::size_t part = 0; part < parts; ++part)
    host->train_pass(random_tokens(part * sequences / parts, sequences / parts, length), 1, 1);
  std::vector<float> mean = gradients(*host, *lora);
  for (float& value : mean) value /= parts;
  EXPECT_LT(part_apart(mean, together), 1e-5);
}

TEST_P(DecoderTraining, DropsAnewEachStepAndTheSameForEqualSteps) {
  const auto host = this->host(make_cpu_device(), 0.1);
  const Batch batch = random_tokens(0, 3, 9);
  const double first = host->train_pass(batch, 1, 1);
  EXPECT_EQ(host->train_pass(batch, 1, 1), first);
  EXPECT_NE(host->train_pass(batch, 1, 2), first);
  EXPECT_NE(host->train_pass(batch, 2, 1), first);
  EXPECT_EQ(host->mean_loss(batch), host->mean_loss(batch));
}

TEST_P(DecoderTraining, AllocatesNothingInLaterSteps) {
  const int threads = kernel_report().threads;
  set_threads(1);
  const auto device = std::make_shared<CountingDevice>(make_cpu_device());
  const auto host = this->host(device, 0.1);
  const auto lora = attach_lora(*host, device);
  const std::vector<Batch> batches = {random_tokens(0, 3, 12), random_tokens(0, 1, 5),
                                      random_tokens(0, 3, 12), random_tokens(1, 2, 7)};
  std::uint64_t step = 0;
  const auto run = [&] {
    for (const Batch& batch : batches) {
      host->train_pass(batch, 1, step++);
      host->predict(batch);
    }
  };
  run();
  const std::size_t before = allocation_count() + device->count().allocations;
  run();
  // What predictions return, and nothing else.
  EXPECT_EQ(allocation_count() + device->count().allocations - before, batches.size());
  set_threads(threads);
}

TEST_P(DecoderTraining, InBfloat16StaysNearFloat32) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  const auto device = make_cpu_device();
  const Batch batch = random_tokens(0, 3, 12);
  std::vector<std::vector<float>> found;
  std::vector<double> losses;
  for (const bool bfloat16 : {false, true}) {
    const auto host = this->host(device, 0, bfloat16);
    const auto lora = attach_lora(*host, device);
    losses.push_back(host->train_pass(batch, 1, 1));
    found.push_back(gradients(*host, *lora));
  }
  EXPECT_NE(losses[0], losses[1]);
  EXPECT_NEAR(losses[1], losses[0], 0.05 * losses[0]);
  EXPECT_LT(part_apart(found[1], found[0]), 0.1);
}

}  // namespace
}  // namespace rankfold
