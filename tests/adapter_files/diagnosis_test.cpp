#include "experiments/adapter_files/diagnosis.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

Site site(const std::string& name, std::size_t out, std::size_t in, int layer) {
  Site made;
  made.name = name;
  made.out = out;
  made.in = in;
  made.layer = static_cast<std::size_t>(layer);
  made.matrix = MatrixType::q;
  made.heads = 1;
  return made;
}

LoneAdapter make(const std::string& method, const std::vector<Site>& sites,
                 const std::string& rank) {
  const Registry registry = builtin_registry();
  const Stack stack(sites);
  LoneAdapter lone;
  lone.description.method = method;
  lone.adapter = make_adapter<float>(
      registry.at(method), stack,
      resolve_settings(registry.at(method),
                       {.rank = rank, .alpha = std::nullopt, .preset = {}, .options = {}}, stack),
      make_cpu_device());
  return lone;
}

void set(LoneAdapter& lone, const std::string& name, const std::vector<float>& values) {
  Parameter<float>& parameter = lone.adapter->parameter(name);
  ASSERT_EQ(parameter.value.size(), values.size());
  std::ranges::copy(values, parameter.value.data());
}

/// dW = alpha / 2 (3 e_0 e_1^T + e_1 e_0^T): singular values 3 : 1.
void set_pair(LoneAdapter& lone, const std::string& name, float sign) {
  set(lone, "B." + name, {3 * sign, 0, 0, sign, 0, 0});
  set(lone, "A." + name, {0, 1, 0, 0, 1, 0, 0, 0});
}

TEST(Diagnosis, GivesConditionSpectrumAndCosinesOfKnownUpdates) {
  LoneAdapter lone =
      make("lora", {site("a", 3, 4, 0), site("b", 3, 4, 1), site("c", 3, 4, 2)}, "2");
  set_pair(lone, "a", 1);
  set_pair(lone, "b", -1);
  // dW_c = alpha / 2 e_2 e_3^T is orthogonal to both.
  set(lone, "B.c", {0, 0, 0, 0, 1, 0});
  set(lone, "A.c", {0, 0, 0, 1, 0, 0, 0, 0});
  const Diagnosis found = diagnose(lone);

  ASSERT_EQ(found.factors.size(), 2u);
  for (const FactorCondition& factor : found.factors) {
    ASSERT_TRUE(factor.median) << factor.name;
    EXPECT_NEAR(*factor.median, factor.name == "B" ? 3 : 1, 1e-5) << factor.name;
    EXPECT_FALSE(factor.worst) << "a column of c is zero";
  }
  ASSERT_EQ(found.sites.size(), 3u);
  EXPECT_NEAR(found.sites[0].norm, 4 * std::sqrt(10.0), 1e-5);
  EXPECT_EQ(found.sites[0].rank, 2u);
  ASSERT_EQ(found.sites[0].values.size(), 2u);
  EXPECT_NEAR(found.sites[0].values[0], 12, 1e-5);
  EXPECT_NEAR(found.sites[0].values[1], 4, 1e-5);
  EXPECT_EQ(found.sites[1].layer, 1u);
  EXPECT_EQ(found.sites[1].matrix, "q");
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  EXPECT_NEAR(found.sites[0].effective_rank, std::exp(entropy), 1e-5);
  EXPECT_EQ(found.sites[2].rank, 1u);
  EXPECT_NEAR(found.sites[2].effective_rank, 1, 1e-5);

  // Cosines have eigenvalues 2, 1, 0: of three updates two thirds lie on one line.
  ASSERT_EQ(found.groups.size(), 1u);
  const SiteRedundancy& group = found.groups.front();
  const double expected = std::exp(-2.0 / 3 * std::log(2.0 / 3) - 1.0 / 3 * std::log(1.0 / 3));
  EXPECT_NEAR(group.independent, expected, 1e-5);
  EXPECT_NEAR(group.redundancy, 1 - expected / 3, 1e-5);
  ASSERT_EQ(group.most_alike.size(), 3u);
  EXPECT_NEAR(group.most_alike.front().cosine, -1, 1e-5);
  EXPECT_EQ(group.most_alike.front().second, "b");
}

TEST(Diagnosis, LeavesZeroUpdatesOutAndComparesNoUnequalShapes) {
  LoneAdapter lone =
      make("lora", {site("a", 3, 4, 0), site("b", 4, 3, 1), site("c", 3, 4, 2)}, "2");
  set_pair(lone, "a", 1);
  set(lone, "B.b", {1, 0, 0, 1, 0, 0, 0, 0});
  set(lone, "A.b", {1, 0, 0, 0, 1, 0});
  const Diagnosis found = diagnose(lone);
  EXPECT_EQ(found.sites[2].norm, 0);
  EXPECT_EQ(found.sites[2].rank, 0u);
  ASSERT_EQ(found.groups.size(), 2u);
  for (const SiteRedundancy& group : found.groups) {
    EXPECT_EQ(group.sites, 1u);
    EXPECT_NEAR(group.independent, 1, 1e-6);
    EXPECT_EQ(group.redundancy, 0);
    EXPECT_TRUE(group.most_alike.empty());
  }
}

TEST(Diagnosis, FindsTheRankOfLargeUpdatesThroughRandomProducts) {
  // Wide enough for probes: 160 x 200, rank 3 of equal values.
  LoneAdapter lone = make("lora", {site("a", 160, 200, 0)}, "3");
  std::vector<float> b(160 * 3), a(3 * 200);
  for (std::size_t p = 0; p < 3; ++p) b[(7 * p + 5) * 3 + p] = a[p * 200 + 11 * p] = 1;
  set(lone, "B.a", b);
  set(lone, "A.a", a);
  const Diagnosis found = diagnose(lone);
  EXPECT_EQ(found.sites[0].rank, 3u);
  EXPECT_NEAR(found.sites[0].effective_rank, 3, 1e-5);
}

TEST(Diagnosis, RefusesAdaptersThatAreNoUpdateOfWeights) {
  const Site adapters = [] {
    Site made = site("out", 8, 8, 0);
    made.matrix = MatrixType::o;
    return made;
  }();
  LoneAdapter lone = make("loretta_adp", {adapters}, "2");
  EXPECT_THROW(diagnose(lone), Error);
}

}  // namespace
}  // namespace rankfold
