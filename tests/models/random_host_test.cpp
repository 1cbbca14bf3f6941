#include <algorithm>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

TEST(RandomHost, RunsFromAConfigAlone) {
  const TemporaryFolder folder;
  fs::copy_file(golden / "config.json", folder.path / "config.json");
  const auto device = make_cpu_device();
  const auto host = load_random_host(folder.path.string(), {}, device);
  const std::vector<float> logits = host->predict(example());
  ASSERT_EQ(logits.size(), 6u);
  EXPECT_TRUE(std::ranges::all_of(logits, [](float x) { return std::isfinite(x) && x != 0; }));
  EXPECT_EQ(logits, load_random_host(folder.path.string(), {}, device)->predict(example()));
  HostSettings other;
  other.seed = 1;
  EXPECT_NE(logits, load_random_host(folder.path.string(), other, device)->predict(example()));
  EXPECT_EQ(host->total_parameters(), load_host(golden, {}, device)->total_parameters());
}

TEST(RandomHost, HasTheSizesOfABuiltInShape) {
  const auto host = load_random_host("minilm-l6", {}, make_cpu_device());
  EXPECT_EQ(host->catalogue().layers, 6u);
  EXPECT_EQ(host->catalogue().sites.size(), 6 * 6u + 1);
  EXPECT_EQ(host->total_parameters(), 22713216u + 2 * 384 + 2);
  EXPECT_EQ(host->dropouts().at("hidden"), 0.1);
}

TEST(RandomHost, RefusesFamiliesThatNoHostComputes) {
  const auto load = [](const std::string& name) {
    try {
      load_random_host(name, {}, make_cpu_device());
    } catch (const UsageError& error) {
      return std::string(error.what());
    }
    return std::string("nothing");
  };
  EXPECT_THAT(load("vit-base-patch16"), HasSubstr("family vit, expected albert, bert"));
  EXPECT_THAT(load("minilm-l7"), HasSubstr("did you mean 'minilm-l6'"));
}

TEST(RandomWeights, AreNormalWithNormsOfOneAndBiasesOfZero) {
  FrozenWeights weights(7, make_cpu_device());
  const std::vector<std::size_t> shape = {400, 300};
  const std::span<const float> drawn(weights.tensor("a.weight", shape), 400 * 300);
  double sum = 0, squares = 0;
  for (const float x : drawn) {
    sum += x;
    squares += static_cast<double>(x) * x;
  }
  EXPECT_NEAR(sum / 120000, 0, 3e-4);
  EXPECT_NEAR(std::sqrt(squares / 120000), 0.02, 3e-4);
  const std::span<const float> other(weights.tensor("b.weight", shape), 400 * 300);
  EXPECT_FALSE(std::ranges::equal(drawn, other));
  EXPECT_FALSE(std::ranges::equal(drawn.first(300), drawn.subspan(300, 300)));
  EXPECT_EQ(*weights.tensor("x.LayerNorm.weight", {1}), 1.0f);
  EXPECT_EQ(*weights.tensor("x.bias", {1}), 0.0f);
  EXPECT_EQ(weights.find("a.weight"), nullptr);
  EXPECT_EQ(weights.elements(), 240002u);
}

}  // namespace
}  // namespace rankfold
