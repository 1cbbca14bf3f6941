#include "core/adapter/rank_budget.h"

#include <gtest/gtest.h>

#include "around_weight.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

Stack square_stack(std::size_t layers, std::size_t width) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const MatrixType matrix : {MatrixType::q, MatrixType::v})
      sites.push_back({std::to_string(sites.size()), matrix, layer, width, width, 12});
  return Stack(std::move(sites));
}

BudgetedRank choose(const std::string& name, const Stack& stack, std::size_t budget,
                    std::map<std::string, std::string> options = {}) {
  const Registry registry = builtin_registry();
  return choose_rank(registry.at(name), {"", {}, "", std::move(options)}, stack, budget);
}

std::size_t count(const std::string& name, const Stack& stack, const std::string& rank) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(name);
  return count_parameters(method, stack, resolve_settings(method, {rank, {}, "", {}}, stack))
      .trainable;
}

TEST(RankBudget, IsTheLargestRankAtOrBelowIt) {
  const Stack stack = square_stack(12, 768);
  for (const char* name : {"lora", "lotr", "lorta", "fact_tt", "loretta_rep", "vera", "loha"})
    for (const std::size_t budget : {60'000, 400'000, 1'000'000}) {
      const BudgetedRank chosen = choose(name, stack, budget);
      if (!chosen.fits) continue;
      EXPECT_LE(chosen.parameters, budget) << name;
      EXPECT_EQ(chosen.parameters, count(name, stack, chosen.rank)) << name;
      EXPECT_GT(count(name, stack, std::to_string(std::stoul(chosen.rank) + 1)), budget) << name;
    }
  EXPECT_EQ(choose("lora", stack, 36864).rank, "1");
  EXPECT_EQ(choose("lora", stack, std::size_t{1} << 60).rank, "768");
}

TEST(RankBudget, NamesTheSmallestWhereNoneFits) {
  const Stack stack = square_stack(12, 768);
  const BudgetedRank lora = choose("lora", stack, 36863);
  EXPECT_FALSE(lora.fits);
  EXPECT_EQ(lora.rank, "1");
  EXPECT_EQ(lora.parameters, 36864U);
  EXPECT_FALSE(choose("full", stack, 1000).fits);
  EXPECT_EQ(choose("none", stack, 1).rank, "");
}

TEST(RankBudget, GivesSingleModesOneMoreWhereMuchIsLeft) {
  const Stack stack = square_stack(12, 768);
  // Ring of bonds 5 has 40000 parameters or less; six everywhere does not fit.
  const BudgetedRank ring = choose("tensor_ring", stack, 46'000);
  EXPECT_NE(ring.rank.find('x'), std::string::npos) << ring.rank;
  EXPECT_TRUE(ring.fits);
  EXPECT_LE(ring.parameters, 46'000U);
  EXPECT_EQ(ring.parameters, count("tensor_ring", stack, ring.rank));
  const std::size_t equal = count("tensor_ring", stack, "5");
  EXPECT_EQ(choose("tensor_ring", stack, equal + equal / 50).rank, "5");
}

TEST(RankBudget, UnderstandsCountsThatFallOrStandStill) {
  const Stack stack = square_stack(12, 768);
  // From rank 16 on lokr's w2[32, 32] is full.
  EXPECT_EQ(choose("lokr", stack, 1'000'000).rank, "16");
}

TEST(RankBudget, LeavesOutNoRankOfMoreParameters) {
  Stack stack = square_stack(1, 16);
  for (Site& site : stack.sites) site.heads = 4;
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods()) {
    if (!method.has_rank) continue;
    std::map<std::size_t, std::string> ranks;  // by count: the smallest rank
    for (std::size_t rank = 1; rank <= 16; ++rank) try {
        ranks.emplace(count(method.name, stack, std::to_string(rank)), std::to_string(rank));
      } catch (const Error&) {
      }
    ASSERT_FALSE(ranks.empty()) << method.name;
    for (const auto& [size, rank] : ranks) {
      const BudgetedRank chosen = choose(method.name, stack, size);
      EXPECT_EQ(chosen.parameters, size) << method.name << " of rank " << rank;
      if (!method.rank_modes) {
        EXPECT_EQ(chosen.rank, rank) << method.name;
      }
    }
    EXPECT_FALSE(choose(method.name, stack, ranks.begin()->first - 1).fits) << method.name;
  }
  // randlora's gammas are of 32 / r bases, rounded up: 11 leaves no less than 16.
  EXPECT_EQ(choose("randlora", square_stack(2, 32), 516).rank, "11");
  EXPECT_EQ(choose_rank(registry.at("randlora"), {"", {}, "", {}}, square_stack(2, 32), 516,
                        [](const std::string& rank) { return 32 % std::stoul(rank) == 0; })
                .rank,
            "16");
}

TEST(RankBudget, IsAMultipleWhereTheMethodTakesNoOther) {
  const Stack stack = square_stack(12, 768);
  const Method method = even_rank();
  const BudgetedRank chosen =
      choose_rank(method, {"", {}, "", {{"groups", "3"}}}, stack, 8 * 2 * 768 * 24);
  EXPECT_EQ(chosen.rank, "6");
  EXPECT_EQ(chosen.parameters, std::size_t{6 * 2 * 768 * 24});
  EXPECT_EQ(choose_rank(method, {"", {}, "", {{"groups", "3"}}}, stack, 1).rank, "3");
  EXPECT_THROW(choose_rank(method, {"", {}, "", {{"groups", "none"}}}, stack, 1), UsageError);
}

}  // namespace
}  // namespace rankfold
