#include "around_weight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/adapter/added_bias.h"
#include "core/base/random.h"
#include "core/contract/check_method.h"
#include "core/linalg/linear_algebra.h"
#include "core/reach/degrees_of_freedom.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST(LinearMapAroundTheWeight, KeepsTheContractAsAnUpdateOfTheWeight) {
  for (const Place place : {Place::before, Place::after})
    for (const bool two_stages : {false, true})
      for (const bool bias : {false, true}) {
        const CheckReport report =
            check_contract(around_weight({place, two_stages, bias}), ContractScope::one_case);
        EXPECT_THAT(report.failures, IsEmpty()) << two_stages << bias;
        EXPECT_TRUE(report.errors.contains("apply against reconstruct"));
      }
}

TEST(LinearMapAroundTheWeight, IsNoUpdateOnceItHasAnActivation) {
  for (const Place place : {Place::before, Place::after, Place::beside}) {
    Method method = around_weight({place == Place::beside ? Place::before : place, false, false});
    method.declare = [declare = method.declare, place](const Site& site, const Stack& stack,
                                                       const MethodSettings& settings) {
      Declaration declaration = declare(site, stack, settings);
      declaration.place = place;
      declaration.stages.front().activation = Activation::relu;
      return declaration;
    };
    const Stack stack({{"s", MatrixType::q, 0, 6, 6, 1}});
    const auto adapter = make_adapter<double>(
        method, stack, resolve_settings(method, {"2", {}, "", {}}, stack), make_cpu_device());
    EXPECT_FALSE(adapter->is_weight_update());
    EXPECT_FALSE(adapter->needs_frozen());
    std::vector<double> delta(36);
    try {
      adapter->reconstruct(0, {delta.data(), 6, 6});
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("not linear"));
    }
  }
}

TEST(LinearMapAroundTheWeight, NeedsTheWeightItMultiplies) {
  const Method method = around_weight({Place::before});
  const Stack stack({{"s", MatrixType::q, 0, 6, 5, 1}});
  const auto adapter = make_adapter<double>(
      method, stack, resolve_settings(method, {"2", {}, "", {}}, stack), make_cpu_device());
  EXPECT_TRUE(adapter->is_weight_update());
  EXPECT_TRUE(adapter->needs_frozen());
  std::vector<double> delta(30);
  EXPECT_THROW(adapter->reconstruct(0, {delta.data(), 6, 5}), Error);
}

TEST(LinearMapAroundTheWeight, HasTheDegreesOfFreedomOfItsMap) {
  const Method method = around_weight({Place::before});
  const Stack stack({{"s", MatrixType::q, 0, 12, 8, 1}});
  const DegreesOfFreedom found = find_degrees_of_freedom(
      method, stack, resolve_settings(method, {"2", {}, "", {}}, stack), make_cpu_device());
  EXPECT_EQ(found.total, 2U * (8 + 8 - 2));
  EXPECT_EQ(found.attainable_ranks, std::vector<std::size_t>{2});
}

TEST(Contract, TriesTheSmallCasesOfAMethodWhoseRankMustBeAMultiple) {
  const CheckReport report = check_contract(even_rank());
  EXPECT_THAT(report.failures, IsEmpty());
  EXPECT_EQ(report.accepted, 6U);
  EXPECT_THAT(check_contract(even_rank(false)).failures, testing::SizeIs(1));
}

TEST(Contract, FailsWhereAMethodRefusesItsOwnSmallCase) {
  Method method = even_rank();
  method.small_cases = [](const Stack&) {
    return std::vector<MethodRequest>{{"2", {}, "", {}}, {"3", {}, "", {}}};
  };
  const CheckReport report = check_contract(method);
  ASSERT_FALSE(report.failures.empty());
  EXPECT_THAT(report.failures.front(), HasSubstr("rank is 3, expected a multiple of 2"));
}

/// dW = 0 * B A: every gradient of its factors vanishes.
TEST(Contract, ComparesGradientsThatVanishOnAnAbsoluteFloor) {
  for (const double scale : {0.0, 1e-18}) {
    Method method = even_rank();
    method.declare = [declare = method.declare, scale](const Site& site, const Stack& stack,
                                                       const MethodSettings& settings) {
      Declaration declaration = declare(site, stack, settings);
      declaration.stages.front().network.terms.front().scale = scale;
      return declaration;
    };
    EXPECT_THAT(check_contract(method, ContractScope::one_case).failures, IsEmpty()) << scale;
  }
}

TEST(CheckReport, KeepsAnErrorThatIsNotANumberAndTakesNothingForAFailure) {
  const double none = std::numeric_limits<double>::quiet_NaN();
  CheckReport report;
  const auto compare = [&](const char* what, std::vector<double> got,
                           std::vector<double> expected) {
    report.compare(what, got, expected, 1e-12);
  };
  compare("b", {none}, {1});
  compare("b", {1}, {1});
  compare("c", {1}, {1});
  EXPECT_TRUE(std::isnan(report.worst()));
  EXPECT_TRUE(std::isnan(report.errors.at("b")));
  EXPECT_EQ(report.failures.size(), 1U);
  compare("c", {1}, {none});
  compare("d", {}, {});
  EXPECT_EQ(report.failures.size(), 3U);
  EXPECT_THAT(report.failures.back(), HasSubstr("no numbers to compare"));
  // Squares out of range are no zero and no infinity.
  compare("small", {2e-200}, {1e-200});
  compare("large", {2e200}, {1e200});
  EXPECT_NEAR(report.errors.at("small"), 1, 1e-12);
  EXPECT_NEAR(report.errors.at("large"), 1, 1e-12);
}

class Calls : public testing::Test {
 protected:
  Calls() {
    adapter->set_frozen({{weight.data(), nullptr}, {weight.data(), nullptr}});
    adapter->initialise(1);
  }
  std::string refusal(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  }
  Stack stack{{{"a", MatrixType::q, 0, 3, 4, 1}, {"b", MatrixType::v, 0, 3, 4, 1}}};
  Method method = even_rank();
  std::unique_ptr<Adapter<double>> adapter = make_adapter<double>(
      method, stack, resolve_settings(method, {"2", {}, "", {}}, stack), make_cpu_device());
  std::vector<double> weight = std::vector<double>(12, 0.5), x = std::vector<double>(20, 1),
                      y = std::vector<double>(40);
};

TEST_F(Calls, OnSitesWithOutputsInOnePlaceAreRefused) {
  const auto call = [&](MatrixView<double> first, MatrixView<double> second) {
    return refusal([&] {
      const std::vector<SiteMatrix<double>> outputs = {{0, first}, {1, second}};
      adapter->forward(outputs, {x.data(), 5, 4}, nullptr);
    });
  };
  EXPECT_THAT(call({y.data(), 5, 3}, {y.data(), 5, 3}), HasSubstr("Y shares memory with that"));
  EXPECT_THAT(call({y.data(), 5, 3, 6}, {y.data() + 2, 5, 3, 6}), HasSubstr("shares memory"));
  EXPECT_THAT(call({y.data() + 4, 5, 3, 6}, {y.data(), 5, 3, 6}), HasSubstr("shares memory"));
  EXPECT_EQ(call({y.data(), 5, 3, 6}, {y.data() + 3, 5, 3, 6}), "accepted");
  EXPECT_EQ(call({y.data() + 3, 5, 3, 6}, {y.data(), 5, 3, 6}), "accepted");
  EXPECT_EQ(call({y.data(), 5, 3}, {y.data() + 15, 5, 3}), "accepted");
}

TEST_F(Calls, WithTheTraceOfAnotherCallAreRefused) {
  Trace<double> trace;
  const std::vector<SiteMatrix<const double>> gradient = {{1, {y.data(), 5, 3}}};
  const auto backward = [&] { adapter->backward(gradient, {x.data(), 5, 4}, trace, {}); };
  EXPECT_THAT(refusal(backward), HasSubstr("the trace of a forward call on 0 rows"));
  adapter->forward(0, {x.data(), 5, 4}, {y.data(), 5, 3}, &trace);
  EXPECT_THAT(refusal(backward), HasSubstr("of 1 sites, expected"));
  adapter->forward(1, {x.data(), 4, 4}, {y.data(), 4, 3}, &trace);
  EXPECT_THAT(refusal(backward), HasSubstr("on 4 rows"));
  adapter->forward(1, {x.data(), 5, 4}, {y.data(), 5, 3}, &trace);
  EXPECT_EQ(refusal(backward), "accepted");
}

TEST_F(Calls, OnPlansOfNoSiteOrUnknownOnesAreRefused) {
  const std::vector<std::size_t> none, unknown = {2};
  EXPECT_THAT(refusal([&] { adapter->plan(none, 8, true); }), HasSubstr("a plan for 0 sites"));
  EXPECT_THAT(refusal([&] { adapter->plan(unknown, 8, true); }),
              HasSubstr("site 2 does not exist"));
  EXPECT_THAT(refusal([&] { adapter->place(2); }), HasSubstr("site 2 does not exist"));
  EXPECT_THAT(refusal([&] {
                adapter->set_frozen({{weight.data(), nullptr}});
              }),
              HasSubstr("got 1 frozen layers"));
}

}  // namespace
}  // namespace rankfold
