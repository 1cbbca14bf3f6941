#include "core/network/contraction.h"

#include <gtest/gtest.h>

#include <numeric>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/network/compiled_network.h"

namespace rankfold {
namespace {

struct Tensor {
  std::vector<double> values;
  std::vector<Axis> axes;
};

/// A tensor over `modes` stored in the given order with room between its rows.
Tensor random_tensor(const std::vector<int>& modes, const std::vector<std::size_t>& sizes,
                     const std::string& purpose, std::size_t padding = 0) {
  Tensor tensor;
  std::size_t stride = 1;
  for (std::size_t i = modes.size(); i-- > 0;) {
    tensor.axes.insert(tensor.axes.begin(), Axis{modes[i], sizes[modes[i]], stride});
    stride *= sizes[modes[i]];
    if (i + 1 == modes.size()) stride += padding;
  }
  tensor.values.resize(stride);
  RandomStream(1, purpose).fill_normal<double>(tensor.values, 0, 1);
  return tensor;
}

/// Leaves the first `tokens` rows of the token mode alone to be compared: the axis as it is used.
std::vector<Axis> cut(std::vector<Axis> axes, std::size_t tokens) {
  for (Axis& axis : axes)
    if (axis.mode == token_mode) axis.size = tokens;
  return axes;
}

TEST(PairProduct, AgreesWithTheLoopsForEveryArrangementOfModes) {
  // Modes: 0 (tokens) and 1 rows, 2 and 3 columns, 4 and 5 contracted, 6 batch; in many orders.
  const std::vector<std::size_t> sizes{3, 2, 5, 2, 4, 3, 2};
  const auto device = make_cpu_device();
  std::vector<std::vector<int>> lefts{{0, 1, 4, 5}, {4, 5, 0, 1}, {0, 4, 1, 5}, {6, 0, 4},
                                      {0, 4, 6},    {6, 4},       {4}};
  std::vector<std::vector<int>> rights{{4, 5, 2, 3}, {2, 3, 4, 5}, {5, 2, 4, 3}, {6, 4, 2},
                                       {2, 6, 4},    {4},          {2, 4},       {0, 4, 2}};
  std::vector<std::vector<int>> outputs{
      {0, 1, 2, 3}, {2, 3, 0, 1}, {2, 0, 3, 1}, {6, 0, 2}, {0, 2, 6}, {0, 2}, {6}, {2}, {}};
  int compared = 0;
  for (const auto& left : lefts)
    for (const auto& right : rights)
      for (const auto& output : outputs)
        for (const std::size_t padding : {0, 3})
          for (const std::size_t tokens : {3, 2})
            for (const bool overwrite : {false, true}) {
              const Tensor a = random_tensor(left, sizes, "a", padding),
                           b = random_tensor(right, sizes, "b", padding);
              Tensor fast = random_tensor(output, sizes, "c", padding), slow = fast;
              if (overwrite) {
                // What is overwritten may be anything; what is not stays.
                const PairProduct<double> nothing(a.axes, b.axes, fast.axes);
                std::vector<double> working(nothing.scratch_size());
                nothing.run(*device, 0.0, a.values.data(), b.values.data(), slow.values.data(),
                            true, tokens, working.data());
              }
              const PairProduct<double> product(a.axes, b.axes, fast.axes);
              std::vector<double> scratch(product.scratch_size());
              product.run(*device, 0.7, a.values.data(), b.values.data(), fast.values.data(),
                          overwrite, tokens, scratch.data());
              contract_by_loops<double>(*device, 0.7, a.values.data(), cut(a.axes, tokens),
                                        b.values.data(), cut(b.axes, tokens), slow.values.data(),
                                        cut(slow.axes, tokens));
              for (std::size_t i = 0; i < slow.values.size(); ++i)
                ASSERT_NEAR(fast.values[i], slow.values[i], 1e-11)
                    << testing::PrintToString(left) << testing::PrintToString(right)
                    << testing::PrintToString(output) << padding << tokens << overwrite;
              ++compared;
            }
  EXPECT_EQ(compared, 7 * 8 * 9 * 2 * 2 * 2);
}

TEST(PairProduct, MultipliesTokenByTokenWhereOnlyThatGroupsTheModes) {
  // Y[t,o,c] += X[t,i,c] w[o,i]: a Kronecker factor, whose rows t and columns c are apart.
  const std::vector<std::size_t> sizes{5, 16, 8, 16};
  const auto device = make_cpu_device();
  const Tensor x = random_tensor({0, 1, 2}, sizes, "x"), w = random_tensor({3, 1}, sizes, "w");
  Tensor fast = random_tensor({0, 3, 2}, sizes, "y"), slow = fast;
  const PairProduct<double> product(x.axes, w.axes, fast.axes);
  EXPECT_EQ(product.scratch_size(), 0u);
  product.run(*device, 1.0, x.values.data(), w.values.data(), fast.values.data(), false, 5,
              nullptr);
  contract_by_loops<double>(*device, 1.0, x.values.data(), x.axes, w.values.data(), w.axes,
                            slow.values.data(), slow.axes);
  for (std::size_t i = 0; i < slow.values.size(); ++i)
    ASSERT_NEAR(fast.values[i], slow.values[i], 1e-11);
}

TEST(TokenLoop, SumsBroadcastsAndPermutes) {
  const auto device = make_cpu_device();
  const auto add = [&](double alpha, const Tensor& a, Tensor& c) {
    device->accumulate(TokenLoop(a.axes, {}, c.axes).for_tokens(2), alpha, a.values.data(),
                       static_cast<const double*>(nullptr), c.values.data());
  };
  const Tensor a{{1, 2, 3, 4, 5, 6}, {{0, 2, 3}, {1, 3, 1}}};
  Tensor transposed{std::vector<double>(6, 10.0), {{1, 3, 2}, {0, 2, 1}}};
  add(2, a, transposed);
  EXPECT_EQ(transposed.values, (std::vector<double>{12, 18, 14, 20, 16, 22}));
  Tensor rows{{0, 0}, {{0, 2, 1}}};
  add(1, a, rows);
  EXPECT_EQ(rows.values, (std::vector<double>{6, 15}));
  Tensor spread{std::vector<double>(4, 0.0), {{2, 2, 2}, {0, 2, 1}}};
  add(1, rows, spread);
  EXPECT_EQ(spread.values, (std::vector<double>{6, 15, 6, 15}));
}

TEST(Plan, MultipliesAThinChainFromItsThinEnd) {
  // X[t,i] A[r,i] B[o,r]: X A first costs t i r + t r o; A B first t i o.
  const std::vector<std::size_t> sizes{1000, 64, 64, 2};
  const auto steps = plan_contraction({{2, 3}, {3, 1}, {0, 1}}, {0, 2}, sizes);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].left + steps[0].right, 1u + 2u);
  EXPECT_EQ(steps[0].modes, (std::vector<int>{0, 3}));
  EXPECT_EQ(steps[1].modes, (std::vector<int>{0, 2}));
}

TEST(Plan, NeedsNoStepForOneOperand) {
  EXPECT_TRUE(plan_contraction({{1, 2}}, {1, 2}, {1, 2, 3}).empty());
}

Network train_network(std::vector<std::size_t> stored, std::size_t out, std::size_t in) {
  std::vector<Initialiser> starts(stored.size());
  return {.out = {{"out", out}},
          .in = {{"in", in}},
          .terms = {{.product = {tensor_train("G", stored, 2, {{"in", in}, {"out", out}}, starts,
                                              Owner::site, "test")}}},
          .select = {}};
}

CompiledNetwork compile(const Network& network) {
  PlanCache cache;
  std::size_t next = 0;
  return compile_network(
      network, 16, [&](const Factor&) { return next++; }, cache, "[test] site s");
}

TEST(Regroup, IsFreeWhereBordersNestAndMaterialisesWhereTheyDoNot) {
  // 12 x 6 numbers: 3|4|2|3 has the border; 3|2|4|3 splits its 4 into 2|2; 4|3|6 against 12|6
  // nests.
  EXPECT_EQ(compile(train_network({3, 4, 2, 3}, 6, 12)).terms[0].regrouped, 0u);
  EXPECT_EQ(compile(train_network({3, 2, 4, 3}, 6, 12)).terms[0].regrouped, 0u);
  // 9 x 4 numbers read from 4|9: the borders at 9 and at 4 do not divide each other.
  EXPECT_EQ(compile(train_network({4, 9}, 4, 9)).terms[0].regrouped, 1u);
}

TEST(Network, RefusesAModeOfTwoSizesASelectionOutsideAndAnUnreachedSide) {
  const Mode out{"out", 4}, in{"in", 3}, r{"r", 2};
  const Network two_sizes{
      .out = {out},
      .in = {in},
      .terms = {{.product = {Factor{"B", {out, r}}, Factor{"A", {{"r", 5}, in}}}}},
      .select = {}};
  EXPECT_THROW(compile(two_sizes), Error);
  const Network outside{.out = {out},
                        .in = {in},
                        .terms = {{.product = {Factor{"D", {{"layer", 2}, out, in}}}}},
                        .select = {{"layer", 2}}};
  EXPECT_THROW(compile(outside), Error);
  const Network unreached{
      .out = {out}, .in = {in}, .terms = {{.product = {Factor{"D", {out}}}}}, .select = {}};
  EXPECT_THROW(compile(unreached), Error);
}

}  // namespace
}  // namespace rankfold
