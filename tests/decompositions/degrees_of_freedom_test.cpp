#include "core/degrees_of_freedom.h"

#include <gtest/gtest.h>

#include "core/error.h"
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
      make_openblas_backend());
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
TEST(DegreesOfFreedom, OfLargeModelsComeFromSmallerSizes) {
  const Stack stack = make_stack(12, 768, 768, 12);
  for (const std::size_t r : {1, 4, 8}) {
    const std::string rank = std::to_string(r);
    const DegreesOfFreedom lora = find("lora", stack, rank);
    EXPECT_EQ(lora.total, 24 * (r * 1536 - r * r));
    EXPECT_EQ(lora.reduced_sizes, r > 1 || true);
    EXPECT_EQ(lora.attainable_ranks, std::vector<std::size_t>(24, r));
    EXPECT_EQ(degrees("lotr", stack, rank), 2 * 768 * r + 24 * r * r - 2 * r * r);
    EXPECT_EQ(degrees("lorta", stack, rank), r * (768 + 12 + 64 + 12 + 2 - 4));
  }
  EXPECT_EQ(degrees("full", stack, ""), 24u * 768 * 768);
  EXPECT_EQ(degrees("lokr", stack, "400"), 24u * (24 * 24 + 32 * 32 - 1));
  EXPECT_EQ(degrees("tucker3", stack, "8x8x4"),
            8 * 8 * 4 + 2 * (768 * 8 - 64) + (24 * 4 - 16));
  EXPECT_EQ(degrees("dora", stack, "4"), 24u * (4 * 1536 - 16 + 768));
}

}  // namespace
}  // namespace rankfold
