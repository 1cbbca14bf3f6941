#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "decompositions/registry.h"

// The baselines beside the tensors: what they leave out, refuse, and compute at small sizes.

namespace rankfold {
namespace {

using testing::HasSubstr;

Site site_of(const char* name, MatrixType matrix, std::size_t out, std::size_t in) {
  return {name, matrix, 0, out, in, 1};
}

std::string refusal(const Method& method, const Stack& stack,
                    std::map<std::string, std::string> options = {}, const char* rank = "") {
  try {
    count_parameters(method, stack,
                     resolve_settings(method, {rank, {}, "", std::move(options)}, stack));
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

/// One token through the only site of a stack, the adapter's factor replaced by `values`.
std::vector<double> output_of(const Method& method, const Site& site, const char* factor,
                              const std::vector<double>& values,
                              std::map<std::string, std::string> options = {}) {
  const Stack stack({site});
  const auto adapter = make_adapter<double>(
      method, stack, resolve_settings(method, {"", {}, "", std::move(options)}, stack),
      make_cpu_device());
  const std::vector<double> weight = {1, 2, 3, 4, 5, 6}, bias = {10, 20}, x = {1, 0, -1};
  adapter->set_frozen({{weight.data(), bias.data()}});
  adapter->initialise(1);
  std::vector<double> y(2), delta(6);
  adapter->forward(0, {x.data(), 1, 3}, {y.data(), 1, 2}, nullptr);
  EXPECT_EQ(y, (std::vector<double>{8, 18})) << "nothing changes at the start";
  std::ranges::copy(values, adapter->parameter(factor).value.span().begin());
  adapter->forward(0, {x.data(), 1, 3}, {y.data(), 1, 2}, nullptr);
  return y;
}

TEST(Ia3, ScalesOutputsWithTheirBiasAndInputsOfFeedForwardSites) {
  // W x + b = (8, 18); W (l x) + b with l = (2, 3, 5): (2 - 15 + 10, 8 - 30 + 20).
  EXPECT_EQ(output_of(ia3(), site_of("k", MatrixType::k, 2, 3), "l.k", {2, -1}),
            (std::vector<double>{16, -18}));
  EXPECT_EQ(output_of(ia3(), site_of("down", MatrixType::down, 2, 3), "l.down", {2, 3, 5}),
            (std::vector<double>{-3, -2}));
  EXPECT_EQ(output_of(ia3(), site_of("k", MatrixType::k, 2, 3), "l.k", {2, 3, 5},
                      {{"feedforward", "k,down"}}),
            (std::vector<double>{-3, -2}));
  EXPECT_EQ(output_of(ia3(), site_of("down", MatrixType::down, 2, 3), "l.down", {2, -1},
                      {{"feedforward", ""}}),
            (std::vector<double>{16, -18}));
  EXPECT_THAT(refusal(ia3(), Stack({site_of("k", MatrixType::k, 2, 3)}), {{"feedforward", "dwn"}}),
              HasSubstr("[ia3] feedforward is 'dwn'"));
}

TEST(Bitfit, LeavesOutSitesWithoutABiasAndTellsSo) {
  Site with = site_of("q", MatrixType::q, 4, 3), without = site_of("k", MatrixType::k, 4, 3);
  without.bias = Site::BiasRows::none;
  const Stack both({with, without});
  const MethodSettings settings = resolve_settings(bitfit(), {}, both);
  EXPECT_EQ(count_parameters(bitfit(), both, settings).trainable, 4u);
  EXPECT_THAT(bitfit().notes(both, settings),
              testing::ElementsAre(HasSubstr("1 of 2 matrices have no bias")));
  EXPECT_THAT(refusal(bitfit(), Stack({without})), HasSubstr("none of the targets has a bias"));
  with.bias = Site::BiasRows::some;
  EXPECT_THAT(refusal(bitfit(), Stack({with, without})), HasSubstr("some of its parts"));
}

TEST(Bitfit, AddsABiasToTheFrozenOne) {
  EXPECT_EQ(output_of(bitfit(), site_of("q", MatrixType::q, 2, 3), "bias.q", {1, -1}),
            (std::vector<double>{9, 17}));
}

TEST(Bottleneck, OfPfeifferStandsAfterDownAlone) {
  const Site o = site_of("o", MatrixType::o, 6, 6), down = site_of("down", MatrixType::down, 6, 9);
  const auto count = [](const Stack& stack, const char* placement) {
    const MethodSettings settings =
        resolve_settings(bottleneck(), {"2", {}, "", {{"placement", placement}}}, stack);
    return count_parameters(bottleneck(), stack, settings).trainable;
  };
  EXPECT_EQ(count(Stack({o, down}), "houlsby"), 2u * (2 * 6 * 2 + 2 + 6));
  EXPECT_EQ(count(Stack({o, down}), "pfeiffer"), 2u * 6 * 2 + 2 + 6);
  EXPECT_THAT(refusal(bottleneck(), Stack({o}), {{"placement", "pfeiffer"}}, "2"),
              HasSubstr("after down alone"));
}

TEST(Bottleneck, StartsAsItsPresetsSay) {
  const Stack stack({site_of("down", MatrixType::down, 64, 64)});
  const auto deviation = [&](const char* preset, const char* factor) {
    const auto adapter = make_adapter<double>(
        bottleneck(), stack, resolve_settings(bottleneck(), {"16", {}, preset, {}}, stack),
        make_cpu_device());
    adapter->initialise(3);
    double squares = 0;
    const auto values = adapter->parameter(factor).value.span();
    for (const double value : values) squares += value * value;
    return std::sqrt(squares / static_cast<double>(values.size()));
  };
  EXPECT_EQ(deviation("", "up.down"), 0);
  EXPECT_NEAR(deviation("", "down.down"), 0.02, 0.002);
  EXPECT_NEAR(deviation("loretta", "up.down"), 0.02, 0.002);
  EXPECT_NEAR(deviation("houlsby", "up.down"), 0.01, 0.001);
  EXPECT_EQ(deviation("loretta", "up_bias.down"), 0);
}

}  // namespace
}  // namespace rankfold
