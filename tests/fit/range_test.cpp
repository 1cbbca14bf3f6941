#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "around_weight.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/fit/fit.h"
#include "decompositions/registry.h"
#include "fit/fit_cases.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

constexpr std::size_t side = 24;

template <class T>
std::vector<T> drawn(double size, const char* purpose) {
  std::vector<T> values(side * side);
  RandomStream(5, purpose).fill_normal(std::span<T>(values), 0, 1);
  for (T& value : values) value = static_cast<T>(static_cast<double>(value) * size);
  return values;
}

Stack two_sites() {
  return Stack({{"a", MatrixType::q, 0, side, side, 4}, {"b", MatrixType::q, 1, side, side, 4}});
}

template <class T>
FitReport fit(const Method& method, const std::string& rank, std::vector<std::vector<T>> matrices) {
  const Stack stack = two_sites();
  const Matrices<T> updates(std::move(matrices));
  return fit_updates<T>(method, stack,
                        resolve_settings(method, {method.has_rank ? rank : "", {}, "", {}}, stack),
                        updates, {}, make_cpu_device())
      .report;
}

TEST(FitRange, NumbersWhoseSquaresAreOutOfRangeAreFittedAsWellAsOthers) {
  const Registry registry = builtin_registry();
  for (const char* name : {"lora", "lotr", "lorta", "loha", "loretta_rep", "full", "block_term"}) {
    const Method& method = registry.at(name);
    const FitReport plain =
        fit<double>(method, "2", {drawn<double>(1, "a"), drawn<double>(1, "b")});
    for (const double size : {0x1p-664, 0x1p+664, 0x1p-1000, 0x1p+1000}) {
      const FitReport other =
          fit<double>(method, "2", {drawn<double>(size, "a"), drawn<double>(size, "b")});
      EXPECT_NEAR(other.relative_error, plain.relative_error, 1e-6) << name << size;
      EXPECT_NEAR(other.site_errors[1], plain.site_errors[1], 1e-6) << name << size;
      EXPECT_NEAR(other.convergence.back(), plain.convergence.back(), 1e-6) << name << size;
    }
    const FitReport single = fit<float>(method, "2", {drawn<float>(1, "a"), drawn<float>(1, "b")});
    for (const double size : {0x1p-90, 0x1p+90})
      EXPECT_NEAR(fit<float>(method, "2", {drawn<float>(size, "a"), drawn<float>(size, "b")})
                      .relative_error,
                  single.relative_error, 1e-4)
          << name << size;
  }
}

TEST(FitRange, SitesOfUnlikeSizesHaveErrorsOfTheirOwn) {
  const Registry registry = builtin_registry();
  const FitReport plain =
      fit<double>(registry.at("lora"), "2", {drawn<double>(1, "a"), drawn<double>(1, "b")});
  const FitReport mixed =
      fit<double>(registry.at("lora"), "2", {drawn<double>(1, "a"), drawn<double>(0x1p-664, "b")});
  EXPECT_NEAR(mixed.site_errors[0], plain.site_errors[0], 1e-9);
  EXPECT_NEAR(mixed.site_errors[1], plain.site_errors[1], 1e-9);
  EXPECT_NEAR(mixed.relative_error, plain.site_errors[0], 1e-9);
}

TEST(FitRange, FactorsMakeTheUpdatesThemselves) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at("lora");
  const Stack stack = two_sites();
  const std::vector<std::vector<double>> matrices = {drawn<double>(1e-200, "a"),
                                                     drawn<double>(1, "b")};
  const Matrices<double> updates(matrices);
  const auto fitted = fit_updates<double>(
      method, stack, resolve_settings(method, {std::to_string(side), {}, "", {}}, stack), updates,
      {}, make_cpu_device());
  std::vector<double> delta(side * side);
  fitted.adapter->reconstruct(0, {delta.data(), side, side});
  for (std::size_t i = 0; i < delta.size(); ++i)
    EXPECT_NEAR(delta[i] / 1e-200, matrices[0][i] / 1e-200, 1e-9);
}

TEST(FitRange, ZeroUpdatesAreFittedByZero) {
  const Registry registry = builtin_registry();
  const std::vector<double> zero(side * side);
  for (const Method& method : registry.methods()) {
    if (method.name == "dora" || method.name == "bora" || method.name == "map") continue;
    const FitReport report = [&]() -> FitReport {
      try {
        return fit<double>(method, "2", {zero, zero});
      } catch (const Error&) {
        return {};  // no fit at all
      }
    }();
    for (const double error : report.site_errors)
      EXPECT_TRUE(error == 0 || method.name == "quanta") << method.name;
  }
  const FitReport one = fit<double>(registry.at("lorta"), "2", {drawn<double>(1, "a"), zero});
  EXPECT_LT(one.relative_error, 1);
  EXPECT_FALSE(std::isnan(one.site_errors[1]));
}

TEST(FitRange, NumbersThatAreNotFiniteAreRefusedByTheirSite) {
  const Registry registry = builtin_registry();
  for (const double wrong :
       {std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    for (const char* name : {"lora", "lorta", "full", "none"}) {
      std::vector<double> values = drawn<double>(1, "b");
      values[37] = wrong;
      try {
        fit<double>(registry.at(name), "2", {drawn<double>(1, "a"), values});
        FAIL();
      } catch (const Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("site b: holds numbers that are not finite"));
      }
    }
}

/// Updates D of known weights W.
class KnownWeights final : public UpdateSource<double> {
 public:
  KnownWeights(std::vector<std::vector<double>> updates, std::vector<std::vector<double>> weights)
      : updates_(std::move(updates)), weights_(std::move(weights)) {}
  const double* read(std::size_t site, std::vector<double>&) const override {
    return updates_[site].data();
  }
  const double* frozen_weight(std::size_t site, std::vector<double>&) const override {
    return weights_[site].data();
  }

 private:
  std::vector<std::vector<double>> updates_, weights_;
};

TEST(FitWithWeights, FindsLinearMapsAroundTheWeightThatMadeTheUpdates) {
  const Stack stack = two_sites();
  for (const Place place : {Place::before, Place::after}) {
    const Method method = around_weight({place});
    const MethodSettings settings = resolve_settings(method, {"2", {}, "", {}}, stack);
    const auto made = make_adapter<double>(method, stack, settings, make_cpu_device());
    const std::vector<std::vector<double>> weights = {drawn<double>(1, "w/a"),
                                                      drawn<double>(1, "w/b")};
    made->set_frozen({{weights[0].data(), nullptr}, {weights[1].data(), nullptr}});
    for (Parameter<double>& parameter : made->parameters())
      RandomStream(3, parameter.name).fill_normal(parameter.value.span(), 0, 1);
    std::vector<std::vector<double>> updates(2, std::vector<double>(side * side));
    for (std::size_t i = 0; i < 2; ++i) made->reconstruct(i, {updates[i].data(), side, side});
    FitSettings fit;
    fit.tolerance = 0;
    fit.iterations = 300;
    const KnownWeights source(updates, weights);
    const auto fitted =
        fit_updates<double>(method, stack, settings, source, fit, make_cpu_device());
    EXPECT_LT(fitted.report.relative_error, 1e-6);
    EXPECT_EQ(fitted.adapter->parameter_count(), made->parameter_count());
    EXPECT_NO_THROW(expect_fittable(method, stack, settings, true));
    for (const auto& refused :
         {std::function<void()>([&] {
            fit_updates<double>(method, stack, settings, Matrices<double>(updates), fit,
                                make_cpu_device());
          }),
          std::function<void()>([&] { expect_fittable(method, stack, settings); })})
      try {
        refused();
        FAIL();
      } catch (const UsageError& error) {
        EXPECT_THAT(error.what(), HasSubstr("--minus"));
      }
  }
}

TEST(FitWithWeights, FitsMethodsWhoseFrozenFactorsAreWeights) {
  const Registry registry = builtin_registry();
  const Stack stack = two_sites();
  const Method& method = registry.at("hira");
  const MethodSettings settings = resolve_settings(method, {"2", {}, "", {}}, stack);
  const std::vector<std::vector<double>> weights = {drawn<double>(1, "w/a"),
                                                    drawn<double>(1, "w/b")};
  const KnownWeights source({drawn<double>(1, "a"), drawn<double>(1, "b")}, weights);
  const auto fitted = fit_updates<double>(method, stack, settings, source, {}, make_cpu_device());
  EXPECT_LT(fitted.report.relative_error, 0.95);
}

}  // namespace
}  // namespace rankfold
