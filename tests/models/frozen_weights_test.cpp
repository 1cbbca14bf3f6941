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

/// A checkpoint of two tensors with the prefix and two without, in two precisions.
struct Checkpoint {
  TemporaryFolder folder;
  Checkpoint() {
    const std::vector<float> four = {1, 2, 3, 4};
    const std::vector<double> two = {0.5, -0.25};
    const std::vector<TensorToWrite> tensors = {
        make_tensor("net.a.weight", {2, 2}, std::span<const float>(four)),
        make_tensor("net.b.LayerNorm.gamma", {2}, std::span<const double>(two)),
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
  EXPECT_EQ(weights.find("net.b.LayerNorm.bias"), nullptr);
  EXPECT_EQ(weights.elements(), 10u);
  EXPECT_THAT(weights.unused(), ElementsAre("extra"));
}

TEST(FrozenWeights, StayMappedWhereTheyAreInFloat32) {
  const Checkpoint checkpoint;
  FrozenWeights weights(checkpoint.folder.path, "net.", make_cpu_device());
  EXPECT_EQ(weights.tensor("net.a.weight", {2, 2}), weights.tensor("net.a.weight", {2, 2}));
  EXPECT_NE(weights.tensor("net.b.LayerNorm.weight", {2}),
            weights.tensor("net.b.LayerNorm.weight", {2}));
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
