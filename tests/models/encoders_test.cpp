#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iostream>

#include "core/base/safetensors.h"
#include "core/device/test_device.h"
#include "experiments/models/check_model.h"
#include "models/golden_models.h"
#include "temporary_folder.h"

// What holds for every encoder that can be loaded: its golden data, and that its parts fit
// together.

namespace rankfold {
namespace {

using testing::Each;
using testing::EndsWith;

/// On one thread: the passes are tiny, and waiting for threads would be most of them.
class Encoders : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    threads_ = kernel_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }
  std::filesystem::path folder() const { return golden_model(GetParam()); }
  std::unique_ptr<Host> host(double dropout = 0, TrainedParts parts = {},
                             std::shared_ptr<const Device> device = make_cpu_device()) const {
    HostSettings settings;
    settings.dropout = dropout;
    settings.parts = parts;
    return load_host(folder(), settings, std::move(device));
  }
  int threads_ = 1;
};

INSTANTIATE_TEST_SUITE_P(Families, Encoders, testing::ValuesIn(golden_encoders()),
                         [](const auto& family) { return test_name(family.param); });

TEST_P(Encoders, MatchTransformers) {
  const ModelIoReport report =
      check_model(folder(), folder() / "io.safetensors", make_cpu_device());
  for (const auto& [name, error] : report.errors) EXPECT_LT(error, 1e-5) << name;
  for (const char* name : {"hidden.0", "hidden.1", "hidden.2", "logits", "loss"})
    EXPECT_TRUE(report.errors.contains(name)) << name;
  // Gradients of frozen biases are not offered.
  EXPECT_THAT(report.skipped, Each(EndsWith(".bias")));
  std::size_t gradients = 0;
  const SafetensorsFile reference(folder() / "io.safetensors");
  for (const TensorEntry& entry : reference.entries())
    if (entry.name.starts_with("grad.") && report.errors.contains(entry.name)) ++gradients;
  EXPECT_GE(gradients, 4u);
  EXPECT_THAT(report.notes, testing::IsEmpty());
  std::cout << "worst relative error " << report.worst() << "\n";
}

TEST_P(Encoders, UseEveryTensorOfTheirCheckpoint) {
  const auto model = host();
  EXPECT_THAT(model->notes(), testing::IsEmpty());
  std::size_t elements = 0;
  const SafetensorsFile file(folder() / "model.safetensors");
  for (const TensorEntry& entry : file.entries()) elements += entry.elements();
  EXPECT_EQ(model->total_parameters(), elements);
}

TEST_P(Encoders, AreTheSameFromNamesWithoutPrefix) {
  const SafetensorsFile file(folder() / "model.safetensors");
  const TemporaryFolder copy;
  std::filesystem::copy_file(folder() / "config.json", copy.path / "config.json");
  const auto model = host();
  const std::string site = model->catalogue().sites.front().name;
  const std::string prefix = site.substr(0, site.find('.') + 1);
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries()) {
    const std::string name =
        entry.name.starts_with(prefix) ? entry.name.substr(prefix.size()) : entry.name;
    tensors.push_back({name, entry.type, entry.shape, file.bytes(entry)});
  }
  const std::vector<float> zeros(4);
  tensors.push_back(make_tensor("unknown", {4}, std::span<const float>(zeros)));
  write_safetensors(copy.path / "model.safetensors", tensors);
  const auto other = load_host(copy.path, {}, make_cpu_device());
  EXPECT_EQ(other->predict(short_batch()), model->predict(short_batch()));
  EXPECT_THAT(other->notes(),
              testing::ElementsAre(EndsWith("no part of the model reads: unknown")));
}

TEST_P(Encoders, PredictPackedSequencesAsAlone) {
  const auto model = host();
  const auto device = make_cpu_device();
  const auto lora = drawn_adapter(select_stack(model->catalogue(), "all", "all"), "lora", device);
  model->attach(lora.get());
  const Batch all = short_batch();
  const std::vector<float> packed = model->predict(all);
  for (std::size_t s = 0; s < all.sequences(); ++s) {
    const auto part = [&](const std::vector<std::int32_t>& values) {
      return std::vector<std::int32_t>(
          values.begin() + static_cast<std::ptrdiff_t>(all.starts[s]),
          values.begin() + static_cast<std::ptrdiff_t>(all.starts[s + 1]));
    };
    Batch alone;
    alone.ids = part(all.ids);
    alone.type_ids = part(all.type_ids);
    alone.starts = {0, alone.ids.size()};
    const std::vector<float> logits = model->predict(alone);
    for (std::size_t c = 0; c < 2; ++c) EXPECT_NEAR(packed[s * 2 + c], logits[c], 1e-5);
  }
}

/// The gradients of all that trains, and where their values are.
struct AllGradients {
  std::vector<std::span<float>> values, gradients;

  AllGradients(Host& host, Adapter<float>& adapter) {
    for (const TrainedTensor& tensor : host.trained()) {
      values.push_back(tensor.value);
      gradients.push_back(tensor.gradient);
    }
    for (Parameter<float>& parameter : adapter.parameters()) {
      values.push_back(parameter.value.span());
      gradients.push_back(parameter.gradient.span());
    }
  }
};

TEST_P(Encoders, HaveTheSlopesThatTheirGradientsTell) {
  const Batch batch = short_batch();
  for (const bool tensor_train : {false, true}) {
    const auto model = host(0.2, {.norms = true, .tt_head = tensor_train, .tt_rank = 2});
    // A tensor train takes the pooler's place.
    const auto adapter =
        drawn_adapter(select_stack(model->catalogue(), tensor_train ? "all" : "all-linear", "all"),
                      "lora", make_cpu_device());
    model->attach(adapter.get());
    AllGradients all(*model, *adapter);
    model->zero_gradients();
    adapter->zero_gradients();
    model->train_pass(batch, 5, 3);
    std::vector<std::vector<float>> gradients;
    for (const std::span<float> gradient : all.gradients)
      gradients.emplace_back(gradient.begin(), gradient.end());
    // Along a tensor's gradient the slope is the gradient's norm.
    for (std::size_t t = 0; t < all.values.size(); ++t) {
      const std::vector<float>& gradient = gradients[t];
      const std::vector<float> at(all.values[t].begin(), all.values[t].end());
      double norm = 0;
      for (const float g : gradient) norm += double{g} * g;
      norm = std::sqrt(norm);
      ASSERT_GT(norm, 0.0) << t;
      const double h = 5e-4 / std::max(norm, 0.1);
      const auto loss = [&](double length) {
        for (std::size_t i = 0; i < at.size(); ++i)
          all.values[t][i] = static_cast<float>(at[i] + length * gradient[i]);
        const double value = model->train_pass(batch, 5, 3);
        std::ranges::copy(at, all.values[t].begin());
        return value;
      };
      const double slope = (loss(h) - loss(-h)) / (2 * h);
      EXPECT_NEAR(slope / norm, norm, 1e-2 * norm + 1e-3) << "tensor " << t;
    }
  }
}

TEST_P(Encoders, HaveTheGradientOfManyRowsThatTheirPartsHaveTogether) {
  const auto model = host(0, {.norms = true});
  const auto adapter =
      drawn_adapter(select_stack(model->catalogue(), projection_targets(*model).back(), "all"),
                    "lora", make_cpu_device());
  model->attach(adapter.get());
  // More rows than a block of the feed-forward part has.
  constexpr std::size_t sequences = 40, length = 60, parts = 8;
  const RandomStream stream(1, "ids");
  const auto batch = [&](std::size_t first, std::size_t count) {
    Batch result;
    result.starts = {0};
    for (std::size_t s = first; s < first + count; ++s) {
      for (std::size_t t = 0; t < length; ++t)
        result.ids.push_back(static_cast<std::int32_t>(stream.bits(s * length + t) % 100));
      result.starts.push_back(result.ids.size());
      result.labels.push_back(static_cast<float>(s % 2));
    }
    result.type_ids.assign(result.ids.size(), 0);
    return result;
  };
  const auto gradients = [&] {
    std::vector<float> values;
    for (const TrainedTensor& tensor : model->trained())
      values.insert(values.end(), tensor.gradient.begin(), tensor.gradient.end());
    for (Parameter<float>& parameter : adapter->parameters())
      values.insert(values.end(), parameter.gradient.span().begin(),
                    parameter.gradient.span().end());
    model->zero_gradients();
    adapter->zero_gradients();
    return values;
  };
  model->train_pass(batch(0, sequences), 1, 1);
  const std::vector<float> together = gradients();
  for (std::size_t part = 0; part < parts; ++part)
    model->train_pass(batch(part * sequences / parts, sequences / parts), 1, 1);
  const std::vector<float> summed = gradients();
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < together.size(); ++i) {
    difference += std::pow(together[i] - summed[i] / double{parts}, 2);
    norm += std::pow(together[i], 2);
  }
  EXPECT_LT(std::sqrt(difference / norm), 1e-5);
}

TEST_P(Encoders, TrainOnTheTestDeviceWithTheBitsOfTheCpu) {
  std::vector<std::vector<float>> found;
  for (const auto& device : {make_cpu_device(), make_test_device()}) {
    const auto model = host(0.2, {.norms = true}, device);
    const std::string targets = has_parts(*model) ? "q,k,v,o,up,down" : "all";
    const auto adapter =
        drawn_adapter(select_stack(model->catalogue(), targets, "all"), "lora", device);
    model->attach(adapter.get());
    std::vector<float>& all = found.emplace_back(model->predict(short_batch()));
    model->zero_gradients();
    adapter->zero_gradients();
    all.push_back(static_cast<float>(model->train_pass(short_batch(), 5, 3)));
    const auto add = [&](const float* data, std::size_t size) {
      const HostRead<float> values(*device, data, size);
      all.insert(all.end(), values.begin(), values.end());
    };
    for (const TrainedTensor& tensor : model->trained())
      add(tensor.gradient.data(), tensor.gradient.size());
    for (const Parameter<float>& parameter : adapter->parameters())
      add(parameter.gradient.data(), parameter.gradient.size());
  }
  EXPECT_EQ(found[0], found[1]);
}

TEST_P(Encoders, GoOnFromFeaturesOfTheirFrozenLayers) {
  for (const bool adapted : {false, true}) {
    const auto model = host();
    std::unique_ptr<Adapter<float>> adapter;
    if (adapted) {
      adapter = drawn_adapter(select_stack(model->catalogue(), "all", "last:1"), "lora",
                              make_cpu_device());
      model->attach(adapter.get());
    }
    // One layer that runs twice has nothing below it.
    const bool frozen = !adapted || model->catalogue().layers > 1;
    EXPECT_EQ(model->frozen_layers(), frozen ? 1u : 0u);
    if (!frozen) continue;
    Batch batch = short_batch();
    const std::vector<float> logits = model->predict(batch);
    const double loss = model->train_pass(batch, 1, 1);
    std::vector<float> rows(batch.tokens() * model->hidden_size());
    model->features(batch, {rows.data(), batch.tokens(), model->hidden_size()});
    EXPECT_EQ(rows, model->hidden_states(batch)[1]);
    batch.features = {rows.data(), batch.tokens(), model->hidden_size()};
    EXPECT_EQ(model->predict(batch), logits);
    EXPECT_NEAR(model->train_pass(batch, 1, 1), loss, 1e-6);
  }
}

TEST_P(Encoders, TrainWithRandomWeightsAndWithoutDropoutToldBySettings) {
  const auto model = load_random_host(folder().string(), {}, make_cpu_device());
  const std::vector<float> logits = model->predict(short_batch());
  EXPECT_THAT(logits, Each(testing::Truly([](float x) { return std::isfinite(x) && x != 0; })));
  for (const auto& [place, probability] : model->dropouts()) EXPECT_EQ(probability, 0.0) << place;
  HostSettings dropped;
  dropped.dropout = 0.25;
  const auto other = load_random_host(folder().string(), dropped, make_cpu_device());
  for (const auto& [place, probability] : other->dropouts()) EXPECT_EQ(probability, 0.25) << place;
  const double loss = other->train_pass(short_batch(), 1, 1);
  EXPECT_EQ(other->train_pass(short_batch(), 1, 1), loss);
  EXPECT_NE(other->train_pass(short_batch(), 1, 2), loss);
}

}  // namespace
}  // namespace rankfold
