#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/device/counting_device.h"
#include "core/device/test_device.h"
#include "experiments/models/check_model.h"
#include "experiments/models/shapes.h"
#include "models/count_allocations.h"
#include "models/golden_models.h"

// Hosts whose weights all train.

namespace rankfold {
namespace {

using Part = TrainedTensor::Part;

/// Those that differ in their rotary positions alone are left out: these have no weights.
std::vector<std::string> distinct_folders() {
  std::vector<std::string> names = golden_folders();
  std::erase_if(names, [](const std::string& name) { return name.ends_with("-rope"); });
  return names;
}

/// On one thread: the passes are tiny, and waiting for threads would be most of them.
class Everything : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    threads_ = kernel_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }

  HostSettings settings() const {
    HostSettings result;
    result.output = declared_output(ConfigFile(golden_model(GetParam()) / "config.json"));
    result.parts.everything = true;
    return result;
  }
  std::unique_ptr<Host> host(double dropout, std::shared_ptr<const Device> device) const {
    HostSettings wanted = settings();
    wanted.dropout = dropout;
    return load_host(golden_model(GetParam()), wanted, std::move(device));
  }
  static Batch batch() {
    Batch result = short_batch();
    result.targets = result.ids;
    return result;
  }
  int threads_ = 1;
};

INSTANTIATE_TEST_SUITE_P(Families, Everything, testing::ValuesIn(distinct_folders()),
                         [](const auto& family) { return test_name(family.param); });

TEST_P(Everything, IsAllThatIsCounted) {
  const auto model = host(0, make_cpu_device());
  const ModelShape shape = read_shape(golden_model(GetParam()));
  std::size_t below = 0, head = 0;
  std::set<std::string> names;
  for (const TrainedTensor& tensor : model->trained()) {
    (tensor.part == Part::head ? head : below) += tensor.value.size();
    EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    EXPECT_EQ(tensor.gradient.size(), tensor.value.size());
  }
  EXPECT_EQ(below + head, model->total_parameters());
  if (settings().output == HostOutput::classifier) {
    EXPECT_EQ(below, parameters_below_head(shape));
    EXPECT_EQ(head, head_parameters(shape, 2));
  } else {
    const std::size_t output = shape.tied_output ? 0 : shape.vocabulary * shape.hidden;
    EXPECT_EQ(below, parameters_below_head(shape) + output);
    EXPECT_EQ(head, 0u);
  }
  EXPECT_EQ(model->frozen_layers(), 0u);
}

TEST_P(Everything, ComputesAsTheFrozenModelDoes) {
  const auto device = make_cpu_device();
  HostSettings frozen = settings();
  frozen.parts.everything = false;
  const std::vector<float> found = host(-1, device)->predict(batch()),
                           expected = load_host(golden_model(GetParam()), frozen, device)
                                          ->predict(batch());
  ASSERT_EQ(found.size(), expected.size());
  // A fused weight is one product here, of a frozen model three.
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-5);
}

TEST_P(Everything, HasTheSlopesThatItsGradientsTell) {
  const auto model = host(0.2, make_cpu_device());
  model->zero_gradients();
  model->train_pass(batch(), 5, 3);
  const std::vector<TrainedTensor> tensors = model->trained();
  std::vector<std::vector<float>> gradients;
  for (const TrainedTensor& tensor : tensors)
    gradients.emplace_back(tensor.gradient.begin(), tensor.gradient.end());
  // Along a tensor's gradient the slope is the gradient's norm.
  for (std::size_t t = 0; t < tensors.size(); ++t) {
    const std::vector<float>& gradient = gradients[t];
    double norm = 0;
    for (const float g : gradient) norm += double{g} * g;
    norm = std::sqrt(norm);
    if (norm < 1e-3) {
      // Softmax passes over what all scores of a row have in common.
      EXPECT_THAT(tensors[t].name, testing::ContainsRegex("k_proj.bias|key(_proj)?.bias"));
      continue;
    }
    const std::vector<float> at(tensors[t].value.begin(), tensors[t].value.end());
    const double h = 5e-4 / std::max(norm, 0.1);
    const auto loss = [&](double length) {
      for (std::size_t i = 0; i < at.size(); ++i)
        tensors[t].value[i] = static_cast<float>(at[i] + length * gradient[i]);
      const double value = model->train_pass(batch(), 5, 3);
      std::ranges::copy(at, tensors[t].value.begin());
      return value;
    };
    const double slope = (loss(h) - loss(-h)) / (2 * h);
    EXPECT_NEAR(slope / norm, norm, 1e-2 * norm + 2e-3) << tensors[t].name;
  }
}

TEST_P(Everything, TrainsOnTheTestDeviceWithTheBitsOfTheCpu) {
  std::vector<std::vector<float>> found;
  for (const auto& device : {make_cpu_device(), make_test_device()}) {
    const auto model = host(0.2, device);
    model->zero_gradients();
    std::vector<float>& all =
        found.emplace_back(1, static_cast<float>(model->train_pass(batch(), 5, 3)));
    for (const TrainedTensor& tensor : model->trained()) {
      const HostRead<float> values(*device, tensor.gradient.data(), tensor.gradient.size());
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST_P(Everything, AllocatesNothingInLaterSteps) {
  const auto device = std::make_shared<CountingDevice>(make_cpu_device());
  const auto model = host(0.1, device);
  const auto run = [&] {
    model->zero_gradients();
    for (std::uint64_t step = 0; step < 3; ++step) model->train_pass(batch(), 1, step);
  };
  run();
  const std::size_t of_batches = [&] {
    const std::size_t before = allocation_count();
    for (int i = 0; i < 3; ++i) batch();
    return allocation_count() - before;
  }();
  const std::size_t before = allocation_count() + device->count().allocations;
  run();
  EXPECT_EQ(allocation_count() + device->count().allocations - before, of_batches);
}

/// torch.nn.Embedding has no gradient for its padding_idx, which GPT-2 does not have.
TEST(EverythingOf, AModelWithPaddingLeavesTheRowOfItAsItIs) {
  for (const auto& [name, table, trains] :
       {std::tuple{"roberta", "roberta.embeddings.word_embeddings.weight", false},
        std::tuple{"roberta", "roberta.embeddings.position_embeddings.weight", false},
        std::tuple{"opt-classifier", "model.decoder.embed_tokens.weight", false},
        std::tuple{"gpt2-classifier", "transformer.wte.weight", true}}) {
    HostSettings settings;
    settings.parts.everything = true;
    settings.dropout = 0;
    const auto model = load_host(golden_model(name), settings, make_cpu_device());
    Batch batch = short_batch();
    // Token 1, within a text, is padding of two; 0 of the third.
    batch.ids[6] = trains ? 0 : 1;
    model->zero_gradients();
    model->train_pass(batch, 1, 1);
    for (const TrainedTensor& tensor : model->trained()) {
      if (tensor.name != table) continue;
      const std::size_t width = tensor.shape[1], row = static_cast<std::size_t>(batch.ids[6]);
      const auto of_row = tensor.gradient.subspan(row * width, width);
      const bool moves = std::ranges::any_of(of_row, [](float g) { return g != 0; });
      EXPECT_EQ(moves, trains) << name << " " << table;
    }
  }
}

}  // namespace
}  // namespace rankfold
