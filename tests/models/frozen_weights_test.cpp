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

TEST(FrozenWeights, ComeInAnotherOrderOfRowsWhereOneIsGiven) {
  const Checkpoint checkpoint;
  FrozenWeights weights(checkpoint.folder.path, "net.", make_cpu_device());
  const std::vector<std::size_t> turned{1, 0}, outside{0, 2};
  const std::span<const float> rows(weights.tensor("net.a.weight", {2, 2}, turned), 4);
  EXPECT_THAT(rows, ElementsAre(3, 4, 1, 2));
  EXPECT_EQ(weights.tensor("net.b.LayerNorm.weight", {2}, turned)[0], -0.25f);
  for (const std::vector<std::size_t>& wrong : {outside, std::vector<std::size_t>{0}})
    EXPECT_THROW(weights.tensor("net.a.weight", {2, 2}, wrong), Error);
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
