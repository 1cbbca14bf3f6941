#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "decompositions/registry.h"

// Closed forms of the papers, kept only here: the library counts from the declaration.

namespace rankfold {
namespace {

Stack square_stack(std::size_t layers, std::size_t width, std::size_t heads,
                   std::vector<MatrixType> matrices) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const MatrixType matrix : matrices)
      sites.push_back({std::to_string(sites.size()), matrix, layer, width, width, heads});
  return Stack(std::move(sites));
}

std::size_t count(const Method& method, const Stack& stack, std::size_t rank,
                  std::map<std::string, std::string> options = {}) {
  const MethodRequest request{
      method.has_rank ? std::to_string(rank) : "", {}, "", std::move(options)};
  return count_parameters(method, stack, resolve_settings(method, request, stack)).trainable;
}

std::size_t train(std::size_t rank, const std::vector<std::size_t>& shape) {
  std::size_t size = rank * (shape.front() + shape.back());
  for (std::size_t i = 1; i + 1 < shape.size(); ++i) size += rank * rank * shape[i];
  return size;
}

TEST(Count, FollowsTheClosedForms) {
  for (const std::size_t layers : {1, 3, 12})
    for (const std::size_t rank : {1, 2, 5, 8, 32}) {
      const Stack qv = square_stack(layers, 768, 12, {MatrixType::q, MatrixType::v});
      const std::size_t d = 768, n = 2 * layers;
      EXPECT_EQ(count(lora(), qv, rank), 2 * n * d * rank);
      EXPECT_EQ(count(lotr(), qv, rank), 2 * d * rank + n * rank * rank);
      EXPECT_EQ(count(lotr(), qv, rank, {{"stack", "per-type"}}), 4 * d * rank + n * rank * rank);
      for (const char* axis : {"physical", "output", "input"})
        EXPECT_EQ(count(lorta(), qv, rank, {{"head-axis", axis}}),
                  rank * (d + 64 + 12 + layers + 2));
      EXPECT_EQ(count(loretta_rep(), qv, rank),
                n * (train(rank, {8, 8, 12, 8}) + train(rank, {8, 12, 8, 8})));
      EXPECT_EQ(count(loretta_adp(), qv, rank), n * (2 * train(rank, {8, 8, 12, 8, 8}) + 64 + d));
      EXPECT_EQ(count(bottleneck(), qv, rank), n * (2 * d * rank + rank + d));
      EXPECT_EQ(count(bottleneck(), qv, rank, {{"bias", "false"}}), n * 2 * d * rank);
      EXPECT_EQ(count(ia3(), qv, rank), n * d);
      EXPECT_EQ(count(bitfit(), qv, rank), n * d);
      EXPECT_EQ(count(full(), qv, rank), n * d * d);
      EXPECT_EQ(count(dlrt(), qv, rank), n * rank * (2 * d + rank));
      EXPECT_EQ(count(nola(), qv, rank), n * 2 * 64);
      EXPECT_EQ(count(nola(), qv, rank, {{"bases", "10"}}), n * 2 * 10);
      EXPECT_EQ(count(none(), qv, rank), 0u);
    }
}

TEST(Count, OfVirtualTokensIsThatOfPeft) {
  constexpr std::size_t width = 768, layers = 12, tokens = 8;
  EXPECT_EQ(count(prompt(), Stack({{"t", MatrixType::virtual_tokens, 0, width, tokens, 1}}), 0),
            tokens * width);
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const MatrixType matrix : {MatrixType::prefix_k, MatrixType::prefix_v})
      sites.push_back({std::to_string(sites.size()), matrix, layer, width, tokens, 12});
  for (const char* init : {"random", "zero"})
    EXPECT_EQ(count(prefix(), Stack(sites), 0, {{"init", init}}), tokens * layers * 2 * width);
}

TEST(Count, OfCaraOnAVisionTransformerIsThatOfThePaper) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < 12; ++layer) {
    for (const MatrixType matrix : {MatrixType::q, MatrixType::k, MatrixType::v, MatrixType::o})
      sites.push_back({std::to_string(sites.size()), matrix, layer, 768, 768, 12});
    sites.push_back({std::to_string(sites.size()), MatrixType::up, layer, 3072, 768, 1});
    sites.push_back({std::to_string(sites.size()), MatrixType::down, layer, 768, 3072, 1});
  }
  const Stack stack(sites);
  for (const std::size_t rank : {1, 16, 32}) {
    EXPECT_EQ(count(cara(), stack, rank), 2526 * rank + 4608);
    EXPECT_EQ(count(cara(), stack, rank, {{"biases", "false"}}), 2526 * rank);
  }
}

TEST(Count, ListsFactorsWithTheirCopies) {
  const Stack stack = square_stack(12, 768, 12, {MatrixType::q, MatrixType::v});
  const Count counted =
      count_parameters(lotr(), stack, resolve_settings(lotr(), {"8", {}, "", {}}, stack));
  ASSERT_EQ(counted.factors.size(), 3u);
  EXPECT_EQ(counted.factors[0].name, "lhs");
  EXPECT_EQ(counted.factors[0].copies, 1u);
  EXPECT_EQ(counted.factors[0].shape, (std::vector<std::size_t>{8, 768}));
  EXPECT_EQ(counted.factors[1].name, "mid");
  EXPECT_EQ(counted.factors[1].copies, 24u);
}

TEST(Start, OfOloraIsTheWeightsProjectionOnItsFirstColumns) {
  const Stack stack = square_stack(1, 12, 3, {MatrixType::q});
  const auto adapter = make_adapter<double>(
      lora(), stack, resolve_settings(lora(), {"2", {}, "", {{"init", "olora"}}}, stack),
      make_cpu_device());
  std::vector<double> weight(12 * 12), update(12 * 12);
  for (std::size_t i = 0; i < weight.size(); ++i)
    weight[i] = std::sin(static_cast<double>(i * i + 3 * i));
  adapter->set_frozen({{weight.data(), nullptr}});
  adapter->initialise(1);
  adapter->reconstruct(0, {update.data(), 12, 12});
  for (const double value : update) EXPECT_NEAR(value, 0, 1e-12);
  const auto b = adapter->parameter("B.0").value.span(), a = adapter->parameter("A.0").value.span();
  // B's columns are orthonormal, and B A has W's first two columns.
  for (std::size_t p = 0; p < 2; ++p)
    for (std::size_t q = 0; q < 2; ++q) {
      double product = 0;
      for (std::size_t i = 0; i < 12; ++i) product += b[i * 2 + p] * b[i * 2 + q];
      EXPECT_NEAR(product, p == q ? 1 : 0, 1e-12);
    }
  for (std::size_t i = 0; i < 12; ++i)
    for (std::size_t j = 0; j < 2; ++j)
      EXPECT_NEAR(b[i * 2] * a[j] + b[i * 2 + 1] * a[12 + j], weight[i * 12 + j], 1e-12);
}

TEST(Start, IsAsPublished) {
  const Stack stack = square_stack(2, 48, 4, {MatrixType::q, MatrixType::v});
  const auto largest = [&](const Method& method, const char* rank, const char* factor,
                           std::map<std::string, std::string> options = {}) {
    const auto adapter = make_adapter<double>(
        method, stack, resolve_settings(method, {rank, {}, "", std::move(options)}, stack),
        make_cpu_device());
    adapter->initialise(3);
    double most = 0;
    for (const double value : adapter->parameter(factor).value.span())
      most = std::max(most, std::abs(value));
    return most;
  };
  const auto expect_bound = [](double most, double bound) {
    EXPECT_LE(most, bound);
    EXPECT_GT(most, 0.8 * bound);
  };
  expect_bound(largest(lora(), "8", "A.0"), 1 / std::sqrt(48.0));
  expect_bound(largest(lora(), "8", "A.0", {{"init", "fan-in-rank"}}), 1 / std::sqrt(8.0));
  EXPECT_EQ(largest(lora(), "8", "B.0"), 0.0);
  EXPECT_EQ(largest(lotr(), "8", "mid.0"), 0.0);
  EXPECT_GT(largest(lotr(), "8", "lhs"), 2.0);
  expect_bound(largest(lorta(), "8", "A"), 1 / std::sqrt(8.0));
  expect_bound(largest(lorta(), "8", "C_h"), std::sqrt(6 / 8.0));
  EXPECT_EQ(largest(lorta(), "8", "B"), 0.0);
}

TEST(Scale, IsAlphaOverRankOrItsRoot) {
  MethodSettings settings{8, 4, {{"rslora", "false"}}};
  EXPECT_DOUBLE_EQ(alpha_over_rank(settings, 16), 0.25);
  settings.options["rslora"] = "true";
  EXPECT_DOUBLE_EQ(alpha_over_rank(settings, 16), 1.0);
}

TEST(Preset, SetsValuesThatExplicitOnesOverride) {
  const Stack stack = square_stack(1, 48, 4, {MatrixType::q});
  const MethodSettings preset = resolve_settings(lorta(), {"2", {}, "lit-gpt", {}}, stack);
  EXPECT_EQ(preset.alpha, 16);
  EXPECT_EQ(preset.text("head-axis"), "output");
  const MethodSettings over =
      resolve_settings(lorta(), {"2", 3.0, "lit-gpt", {{"head-axis", "physical"}}}, stack);
  EXPECT_EQ(over.alpha, 3);
  EXPECT_EQ(over.text("head-axis"), "physical");
}

TEST(Preset, NamesOnlyOptionsThatTheMethodHas) {
  for (const Method& method : builtin_registry().methods())
    for (const Preset& preset : method.presets)
      for (const auto& [name, value] : preset.values) {
        if (name == "alpha") continue;
        EXPECT_NE(std::ranges::find(method.options, name, &MethodOption::name),
                  method.options.end())
            << method.name << " " << preset.name << " " << name;
      }
}

}  // namespace
}  // namespace rankfold
