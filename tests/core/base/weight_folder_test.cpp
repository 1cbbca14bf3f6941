#include <memory>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

void write_tensor(const fs::path& file, const std::string& name, float value) {
  const std::vector<float> values = {value};
  const std::vector<TensorToWrite> tensors = {make_tensor(name, {1}, values)};
  write_safetensors(file, tensors);
}

std::string refusal(const fs::path& folder) {
  return message_of<Error>([&] { WeightFolder opened(folder); });
}

/// What a folder with shard one.safetensors (tensor a) and this index says.
std::string refusal_of_index(const std::string& index) {
  const TemporaryFolder folder;
  write_tensor(folder.path / "one.safetensors", "a", 1);
  write_atomically(folder.path / "model.safetensors.index.json", index);
  return refusal(folder.path);
}

TEST(WeightFolder, ReadsASingleFile) {
  const TemporaryFolder folder;
  write_tensor(folder.path / "model.safetensors", "a", 3);
  const WeightFolder weights(folder.path);
  EXPECT_THAT(weights.names(), ElementsAre("a"));
  EXPECT_THAT(weights.read<float>("a"), ElementsAre(3));
  EXPECT_EQ(*weights.f32_data("a"), 3);
  EXPECT_EQ(weights.bytes("a").size(), 4);
  EXPECT_EQ(weights.find("b"), nullptr);
}

TEST(WeightFolder, ReadsAcrossShards) {
  const TemporaryFolder folder;
  write_tensor(folder.path / "one.safetensors", "b", 1);
  write_tensor(folder.path / "two.safetensors", "a", 2);
  write_atomically(folder.path / "model.safetensors.index.json",
                   R"({"metadata":{"total_size":8},)"
                   R"("weight_map":{"b":"one.safetensors","a":"two.safetensors"}})");
  const WeightFolder weights(folder.path);
  EXPECT_THAT(weights.names(), ElementsAre("a", "b"));
  EXPECT_THAT(weights.read<double>("a"), ElementsAre(2));
  EXPECT_THAT(weights.read<float>("b"), ElementsAre(1));
  EXPECT_THAT(weights.at("b").shape, ElementsAre(1));
}

TEST(WeightFolder, PrefersTheSingleFile) {
  const TemporaryFolder folder;
  write_tensor(folder.path / "model.safetensors", "a", 3);
  write_atomically(folder.path / "model.safetensors.index.json", "not an index");
  EXPECT_THAT(WeightFolder(folder.path).read<float>("a"), ElementsAre(3));
}

TEST(WeightFolder, CopiesShareTheMapAndKeepIt) {
  const TemporaryFolder folder;
  write_tensor(folder.path / "model.safetensors", "a", 3);
  auto first = std::make_unique<WeightFolder>(folder.path);
  const float* data = first->f32_data("a");
  const WeightFolder second = *first;
  first.reset();
  EXPECT_EQ(second.f32_data("a"), data);
  EXPECT_EQ(*data, 3);
}

TEST(WeightFolder, NamesTheNearestTensor) {
  const TemporaryFolder folder;
  write_tensor(folder.path / "model.safetensors", "layer.weight", 3);
  const WeightFolder weights(folder.path);
  const std::string expected =
      folder.path.string() + ": has no tensor 'layer.wieght'; the nearest name is 'layer.weight'";
  EXPECT_EQ(message_of<Error>([&] { weights.at("layer.wieght"); }), expected);
  EXPECT_EQ(message_of<Error>([&] { weights.read<float>("layer.wieght"); }), expected);
}

TEST(WeightFolder, RefusesAFolderWithoutWeights) {
  const TemporaryFolder folder;
  EXPECT_EQ(refusal(folder.path), folder.path.string() +
                                      ": holds neither model.safetensors nor "
                                      "model.safetensors.index.json");
  EXPECT_EQ(refusal("/no/such"), "/no/such: is not a folder, expected one with model.safetensors");
}

TEST(WeightFolder, RefusesAMissingShardOrTensor) {
  EXPECT_THAT(refusal_of_index(R"({"weight_map":{"a":"three.safetensors"}})"),
              HasSubstr("three.safetensors: no such file"));
  EXPECT_THAT(
      refusal_of_index(R"({"weight_map":{"b":"one.safetensors"}})"),
      HasSubstr("index.json: places tensor 'b' in one.safetensors, which does not hold it"));
  EXPECT_EQ(refusal_of_index(R"({"weight_map":{"a":"one.safetensors"}})"), "");
}

TEST(WeightFolder, RefusesShardsOutsideTheFolder) {
  for (const char* name : {"../one.safetensors", "/etc/passwd", "a/one.safetensors", "..", ".", "",
                           "a\\\\b", "one\\u0000.safetensors"})
    EXPECT_THAT(refusal_of_index(R"({"weight_map":{"a":")" + std::string(name) + "\"}}"),
                HasSubstr("expected the plain name of a file"))
        << name;
}

TEST(WeightFolder, RefusesABrokenIndex) {
  EXPECT_THAT(refusal_of_index("{"), HasSubstr("index.json: is not valid JSON"));
  EXPECT_THAT(refusal_of_index("[]"), HasSubstr("has no object 'weight_map'"));
  for (const char* index : {"{}", R"({"weight_map":[]})", R"({"weight_map":null})"})
    EXPECT_THAT(refusal_of_index(index), HasSubstr("has no object 'weight_map'")) << index;
  EXPECT_THAT(refusal_of_index(R"({"weight_map":{"a":1}})"), HasSubstr("is not a text"));
  EXPECT_THAT(refusal_of_index(std::string(1'000'000, '[')), HasSubstr("nested deeper"));
}

TEST(WeightFolder, RefusesAnIndexNestedBeyondMeasureOrWithNumbersBeyondRange) {
  EXPECT_THAT(refusal_of_index(std::string(100'000, '[') + std::string(100'000, ']')),
              HasSubstr("nested deeper"));
  EXPECT_THAT(refusal_of_index(R"({"metadata":{"total_size":1e999},"weight_map":{}})"),
              HasSubstr("beyond the range"));
}

TEST(WeightFolder, RefusesAShardWithATensorThatTheIndexDoesNotPlaceThere) {
  const TemporaryFolder folder;
  const std::vector<float> value = {1};
  const std::vector<TensorToWrite> both = {make_tensor("a", {1}, value),
                                           make_tensor("b", {1}, value)};
  write_safetensors(folder.path / "one.safetensors", both);
  const fs::path index = folder.path / "model.safetensors.index.json";
  write_atomically(index, R"({"weight_map":{"a":"one.safetensors"}})");
  EXPECT_THAT(refusal(folder.path), HasSubstr("does not place tensor 'b' in one.safetensors"));
  write_tensor(folder.path / "two.safetensors", "b", 2);
  write_atomically(index, R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  EXPECT_THAT(refusal(folder.path), HasSubstr("does not place tensor 'b' in one.safetensors"));
}

}  // namespace
}  // namespace rankfold
