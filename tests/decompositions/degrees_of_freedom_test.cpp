#include "core/reach/degrees_of_freedom.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "decompositions/registry.h"

// Closed forms of the dimension of what each method can reach, kept only here: the library ranks
// the Jacobian of the declared network.

namespace rankfold {
namespace {

Stack make_stack(std::size_t layers, std::size_t out, std::size_t in, std::size_t heads,
                 std::vector<MatrixType> matrices = {MatrixType::q, MatrixType::v}) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const MatrixType matrix : matrices)
      sites.push_back({std::to_string(sites.size()), matrix, layer, out, in, heads});
  return Stack(std::move(sites));
}

DegreesOfFreedom find(const std::string& name, const Stack& stack, const std::string& rank,
                      std::map<std::string, std::string> options = {}) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(name);
  return find_degrees_of_freedom(
      method, stack,
      resolve_settings(method, {method.has_rank ? rank : "", {}, "", std::move(options)}, stack),
      make_cpu_device());
}

std::size_t degrees(const std::string& name, const Stack& stack, const std::string& rank,
                    std::map<std::string, std::string> options = {}) {
  return find(name, stack, rank, std::move(options)).total;
}

/// A tensor train with these bonds between its modes.
std::size_t train(const std::vector<std::size_t>& modes, const std::vector<std::size_t>& bonds) {
  std::size_t size = 0;
  for (std::size_t i = 0; i < modes.size(); ++i)
    size += (i == 0 ? 1 : bonds[i - 1]) * modes[i] * (i + 1 == modes.size() ? 1 : bonds[i]);
  for (const std::size_t bond : bonds) size -= bond * bond;
  return size;
}

TEST(DegreesOfFreedom, FollowTheClosedForms) {
  const Stack stack = make_stack(3, 24, 20, 4);
  EXPECT_EQ(degrees("lora", stack, "3"), 6 * (3 * 44 - 9));
  EXPECT_EQ(degrees("full", make_stack(1, 12, 10, 2), ""), 2 * 120);
  EXPECT_EQ(degrees("none", stack, ""), 0u);
  EXPECT_EQ(degrees("lora_xs", stack, "3"), 6 * 9);
  EXPECT_EQ(degrees("dlrt", stack, "3"), 6 * (3 * 44 - 9));
  EXPECT_EQ(degrees("hira", stack, "3"), 6 * (3 * 44 - 9));
  EXPECT_EQ(degrees("vera", stack, "5"), 6 * (24 + 5 - 1));
  EXPECT_EQ(degrees("loha", make_stack(1, 40, 40, 4), "2"), 2 * (2 * (2 * 80 - 4) - 79));
  const Stack square = make_stack(3, 20, 20, 4);
  EXPECT_EQ(degrees("lotr", square, "4"), 2 * 20 * 4 + 6 * 16 - 2 * 16);
  EXPECT_EQ(degrees("lotr", square, "4", {{"stack", "per-type"}}),
            2 * (2 * 20 * 4 + 3 * 16 - 2 * 16));
  EXPECT_EQ(degrees("tucker3", square, "4x5x3"),
            4 * 5 * 3 + (20 * 4 - 16) + (20 * 5 - 25) + (6 * 3 - 9));
  EXPECT_EQ(degrees("metatt", square, "3x4x3"), train({20, 3, 2, 20}, {3, 4, 3}));
  // CP over hidden, head, head_dim, layer and matrix.
  EXPECT_EQ(degrees("lorta", square, "3"), 3u * (20 + 4 + 5 + 3 + 2 - 4));
}

TEST(DegreesOfFreedom, ReadBlocksWhetherBordersNestOrNot) {
  const Stack stack = make_stack(1, 12, 12, 2);
  // Modes of the trains: in x bottleneck and bottleneck x out; one gauge more between the two.
  const std::map<std::string, std::string> nested = {
      {"bottleneck", "2"}, {"shape-a", "4,3,2"}, {"shape-b", "2,3,4"}};
  EXPECT_EQ(degrees("loretta_rep", stack, "2", nested),
            2 * (train({4, 3, 2}, {2, 2}) + train({2, 3, 4}, {2, 2}) - 4));
  // 8 x 3 straddles the border at 12: found by projection, at most the parameters less the gauge.
  const std::map<std::string, std::string> straddling = {
      {"bottleneck", "2"}, {"shape-a", "8,3"}, {"shape-b", "2,12"}};
  const std::size_t found = degrees("loretta_rep", stack, "1", straddling);
  EXPECT_LE(found, 2 * (train({8, 3}, {1}) + train({2, 12}, {1}) - 1));
  EXPECT_GT(found, 2 * train({8, 3}, {1}));
  EXPECT_EQ(degrees("tt_lora", stack, "2", {{"shape", "4,3,3,4"}}),
            2 * train({4, 3, 3, 4}, {2, 2, 2}));
}

TEST(DegreesOfFreedom, CountFactorsThatSomeSitesShare) {
  const Stack stack = make_stack(4, 16, 16, 4);
  // FacT-TT is LoTR; a ring of bonds a, b, c, d loses one GL(n) a bond, and the scalars twice.
  EXPECT_EQ(degrees("fact_tt", stack, "3"), 2 * 16 * 3 + 8 * 9 - 2 * 9);
  EXPECT_EQ(degrees("tenslora", stack, "2x2x2", {{"layout", "att"}}),
            8 * (8 + (16 * 2 - 4) + 2 * (4 * 2 - 4)));
  EXPECT_EQ(degrees("tenslora", stack, "2", {{"layout", "depth"}, {"kind", "cp"}}),
            2 * 2 * (16 + 16 + 4 - 2));
}

TEST(DegreesOfFreedom, RefuseWhatIsNoUpdate) {
  try {
    degrees("loretta_adp", make_stack(1, 16, 16, 4), "2", {{"bottleneck", "4"}});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("loretta_adp"), std::string::npos);
  }
}

TEST(DegreesOfFreedom, OfNormalisedWeightsCountTheMagnitudes) {
  const Stack stack = make_stack(1, 20, 24, 4);
  EXPECT_EQ(degrees("dora", stack, "2"), 2 * (2 * 44 - 4 + 20));
  // The length of dW is lost to its norm and comes back with b.
  EXPECT_EQ(degrees("map", stack, "2"), 2 * (2 * 44 - 4 + 1));
}

TEST(DegreesOfFreedom, OfLargeModelsComeFromSmallerSizes) {
  const Stack stack = make_stack(12, 768, 768, 12);
  for (const std::size_t r : {1, 4, 8}) {
    const std::string rank = std::to_string(r);
    const DegreesOfFreedom lora = find("lora", stack, rank);
    EXPECT_EQ(lora.total, 24 * (r * 1536 - r * r));
    EXPECT_EQ(lora.attainable_ranks, std::vector<std::size_t>(24, r));
    EXPECT_EQ(degrees("lotr", stack, rank), 2 * 768 * r + 24 * r * r - 2 * r * r);
    EXPECT_EQ(degrees("lorta", stack, rank), r * (768 + 12 + 64 + 12 + 2 - 4));
  }
  EXPECT_EQ(degrees("full", stack, ""), 24u * 768 * 768);
  EXPECT_EQ(degrees("lokr", stack, "400"), 24u * (24 * 24 + 32 * 32 - 1));
  EXPECT_EQ(degrees("tucker3", stack, "8x8x4"), 8 * 8 * 4 + 2 * (768 * 8 - 64) + (24 * 4 - 16));
  EXPECT_EQ(degrees("dora", stack, "4"), 24u * (4 * 1536 - 16 + 768));
}

}  // namespace
}  // namespace rankfold
