#include "experiments/models/frozen_weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::EndsWith;

/// A checkpoint of three tensors with the prefix and two without, in two precisions.
struct Checkpoint {
  TemporaryFolder folder;
  Checkpoint() {
    const std::vector<float> four = {1, 2, 3, 4};
    const std::vector<double> two = {0.5, -0.25};
    const std::vector<TensorToWrite> tensors = {
        make_tensor("net.a.weight", {2, 2}, std::span<const float>(four)),
        make_tensor("net.b.LayerNorm.gamma", {2}, std::span<const double>(two)),
        make_tensor("net.full_layer_layer_norm.beta", {2}, std::span<const double>(two)),
        make_tensor("c.weight", {4}, std::span<const float>(four)),
        make_tensor("extra", {4}, std::span<const float>(four))};
    write_safetensors(folder.path / "model.safetensors", tensors);
  }
};

TEST(FrozenWeights, AreFoundWithAndWithoutThePrefixAndUnderOlderNames) {
  const Checkpoint checkpoint;
  FrozenWeights weights(checkpoint.folder.path, "net.", make_cpu_device());
  EXPECT_EQ(weights.tensor("net.a.weight", {2, 2})[3], 4.0f);
  EXPECT_EQ(weights.tensor("net.c.weight", {4})[1], 2.0f);
  EXPECT_EQ(weights.tensor("net.b.LayerNorm.weight", {2})[1], -0.25f);
  EXPECT_EQ(weights.tensor("net.full_layer_layer_norm.bias", {2})[0], 0.5f);
  EXPECT_EQ(weights.find("net.b.LayerNorm.bias"), nullptr);
  EXPECT_EQ(weights.find("net.full_layer_layer_norm.weight"), nullptr);
  EXPECT_EQ(weights.elements(), 12u);
  EXPECT_THAT(weights.unused(), ElementsAre("extra"));
}

/// What trains has memory of its own; two readers of one tensor share it.
TEST(FrozenWeights, ThatTrainHaveGradientsWhereTheirValuesLie) {
  const Checkpoint checkpoint;
  const auto device = make_cpu_device();
  FrozenWeights weights(checkpoint.folder.path, "net.", device);
  EXPECT_EQ(weights.trained(), nullptr);
  weights.train();
  const float* const a = weights.tensor("net.a.weight", {2, 2});
  EXPECT_EQ(weights.tensor("net.a.weight", {2, 2}), a);
  EXPECT_NE(weights.frozen("net.c.weight", {4}), weights.tensor("net.c.weight", {4}));
  const float* const turned = weights.transposed("net.a.weight", 2, 2);
  EXPECT_EQ(weights.transposed("net.a.weight", 2, 2), turned);
  TrainedWeights& trained = *weights.trained();
  std::vector<TrainedTensor> tensors = trained.tensors();
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "net.a.weight");
  EXPECT_FALSE(tensors[0].turned);
  EXPECT_TRUE(tensors[2].turned);
  EXPECT_THAT(tensors[2].value, ElementsAre(1, 3, 2, 4));
  EXPECT_EQ(trained.gradient(a + 3), tensors[0].gradient.data() + 3);
  EXPECT_EQ(trained.gradient(weights.frozen("net.c.weight", {4})), nullptr);
  EXPECT_EQ(trained.gradient(nullptr), nullptr);

  // Numbers 0 and 1 of c stand in places 3 and 0 of a vector, those of a norm in 1 and 2.
  const float* const c = weights.tensor("net.c.weight", {4});
  const float* const b = weights.tensor("net.b.LayerNorm.weight", {2});
  const float* const whole = weights.put_together(5, {{c, {3, 0}}, {b, {1, 2}}});
  EXPECT_THAT(std::span(whole, 5), ElementsAre(2, 0.5f, -0.25f, 1, 0));
  trained.tensors()[1].value[0] = 7;
  trained.refresh();
  EXPECT_EQ(whole[3], 7.0f);
  for (int i = 0; i < 5; ++i) trained.gradient(whole)[i] = static_cast<float>(i + 1);
  trained.gradient(c)[0] = 10;
  trained.collect();
  EXPECT_THAT(std::span(trained.gradient(c), 4), ElementsAre(14, 1, 0, 0));
  EXPECT_THAT(std::span(trained.gradient(b), 2), ElementsAre(2, 3));
  EXPECT_THAT(std::span(trained.gradient(whole), 5), testing::Each(0.0f));
  trained.zero_gradients();
  EXPECT_THAT(std::span(trained.gradient(c), 4), testing::Each(0.0f));
}

TEST(FrozenWeights, ComeInAnotherOrderOfRowsWhereOneIsGiven) {
  const Checkpoint checkpoint;
  FrozenWeights weights(checkpoint.folder.path, "net.", make_cpu_device());
  const std::vector<std::size_t> turned{1, 0}, outside{0, 2};
  const std::span<const float> rows(weights.frozen("net.a.weight", {2, 2}, turned), 4);
  EXPECT_THAT(rows, ElementsAre(3, 4, 1, 2));
  EXPECT_EQ(weights.frozen("net.b.LayerNorm.weight", {2}, turned)[0], -0.25f);
  for (const std::vector<std::size_t>& wrong : {outside, std::vector<std::size_t>{0}})
    EXPECT_THROW(weights.frozen("net.a.weight", {2, 2}, wrong), Error);
}

TEST(FrozenWeights, StayMappedWhereTheyAreInFloat32) {
  const Checkpoint checkpoint;
  FrozenWeights weights(checkpoint.folder.path, "net.", make_cpu_device());
  EXPECT_EQ(weights.tensor("net.a.weight", {2, 2}), weights.tensor("net.a.weight", {2, 2}));
  EXPECT_NE(weights.tensor("net.b.LayerNorm.weight", {2}),
            weights.tensor("net.b.LayerNorm.weight", {2}));
}

TEST(FrozenWeights, AreTransposedOnceInEitherPrecision) {
  constexpr std::size_t rows = 70, columns = 33;
  std::vector<float> stored(columns * rows);
  for (std::size_t i = 0; i < stored.size(); ++i) stored[i] = static_cast<float>(i);
  const std::vector<double> wide(stored.begin(), stored.end());
  const TemporaryFolder folder;
  const std::vector<TensorToWrite> tensors = {
      make_tensor("f32", {columns, rows}, std::span<const float>(stored)),
      make_tensor("f64", {columns, rows}, std::span<const double>(wide))};
  write_safetensors(folder.path / "model.safetensors", tensors);
  FrozenWeights weights(folder.path, "net.", make_cpu_device());
  for (const char* name : {"f32", "f64"}) {
    const float* turned = weights.transposed(name, rows, columns);
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j)
        ASSERT_EQ(turned[i * columns + j], stored[j * rows + i]) << name;
    EXPECT_EQ(weights.transposed(name, rows, columns), turned);
  }
  EXPECT_EQ(weights.elements(), 2 * stored.size());
  EXPECT_THAT(message_of<Error>([&] { weights.transposed("net.f16", rows, columns); }),
              EndsWith(": tensor net.f16 is missing, expected shape [33, 70]"));
  FrozenWeights drawn(7, make_cpu_device());
  const float* values = drawn.transposed("a.weight", rows, columns);
  EXPECT_EQ(drawn.transposed("a.weight", rows, columns), values);
  EXPECT_EQ(drawn.elements(), rows * columns);
}

TEST(FrozenWeights, NameWhatIsMissingOrOfAnotherShape) {
  const Checkpoint checkpoint;
  FrozenWeights weights(checkpoint.folder.path, "net.", make_cpu_device());
  EXPECT_THAT(message_of<Error>([&] {
                weights.tensor("net.d", {7, 3});
              }),
              EndsWith(": tensor net.d is missing, expected shape [7, 3]"));
  EXPECT_THAT(message_of<Error>([&] {
                weights.tensor("net.c.weight", {2, 2});
              }),
              EndsWith(": tensor c.weight: shape is [4], expected [2, 2]"));
}

TEST(FrozenWeights, RefuseNumbersThatAreNotFinite) {
  const TemporaryFolder folder;
  const std::vector<float> values = {1, 2, std::nanf("")};
  const std::vector<TensorToWrite> tensors = {
      make_tensor("a", {3}, std::span<const float>(values))};
  write_safetensors(folder.path / "model.safetensors", tensors);
  FrozenWeights weights(folder.path, "net.", make_cpu_device());
  EXPECT_THAT(message_of<Error>([&] { weights.tensor("a", {3}); }),
              EndsWith("tensor a: element 2 is nan, expected finite numbers"));
}

}  // namespace
}  // namespace rankfold
