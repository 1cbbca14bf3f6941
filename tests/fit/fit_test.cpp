#include "core/fit/fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"
#include "decompositions/registry.h"
#include "fit/fit_cases.h"

namespace rankfold {
namespace {

class EveryFit : public testing::TestWithParam<Case> {};

TEST_P(EveryFit, ReportsTheErrorOfWhatItsFactorsReconstruct) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(GetParam().method);
  const Stack stack = square_stack(3, 48);
  const MethodSettings settings = settings_of(method, GetParam(), stack);
  const Matrices<double> updates = noise<double>(stack);
  FitSettings fit;
  fit.iterations = 5;
  const auto fitted = fit_updates<double>(method, stack, settings, updates, fit, make_cpu_device());
  EXPECT_NEAR(fitted.report.relative_error, reconstruction_error(*fitted.adapter, updates), 1e-10);
  EXPECT_EQ(fitted.report.site_errors.size(), stack.sites.size());
  if (GetParam().method != "none") {
    EXPECT_LT(fitted.report.relative_error, 0.9999);
  }
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryFit, testing::ValuesIn(all_cases()),
                         [](const auto& given) { return name_of(given.param); });

class DirectFit : public testing::TestWithParam<Case> {};

TEST_P(DirectFit, FindsFactorsOfWhatTheyCanRepresent) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(GetParam().method);
  const Stack stack = square_stack(3, 48);
  const MethodSettings settings = settings_of(method, GetParam(), stack);
  const Matrices<double> updates = random_updates<double>(method, settings, stack, 3);
  const auto fitted = fit_updates<double>(method, stack, settings, updates, {}, make_cpu_device());
  EXPECT_LT(fitted.report.relative_error, 1e-9);
  EXPECT_NEAR(fitted.report.relative_error, reconstruction_error(*fitted.adapter, updates), 1e-12);
}

TEST_P(DirectFit, FindsThemInFloats) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(GetParam().method);
  const Stack stack = square_stack(3, 48);
  const MethodSettings settings = settings_of(method, GetParam(), stack);
  const Matrices<float> updates = random_updates<float>(method, settings, stack, 3);
  const auto fitted = fit_updates<float>(method, stack, settings, updates, {}, make_cpu_device());
  EXPECT_LT(fitted.report.relative_error, 1e-6);
  EXPECT_NEAR(fitted.report.relative_error, reconstruction_error(*fitted.adapter, updates), 1e-7);
}

INSTANTIATE_TEST_SUITE_P(Registry, DirectFit, testing::ValuesIn(direct_cases()),
                         [](const auto& given) { return name_of(given.param); });

TEST(FitOfEveryMethod, IsTestedOrRefused) {
  const Registry registry = builtin_registry();
  const Stack stack = square_stack(2, 48);
  const std::vector<Case> cases = all_cases();
  for (const Method& method : registry.methods()) {
    if (std::ranges::find(cases, method.name, &Case::method) != cases.end()) continue;
    const MethodSettings settings =
        resolve_settings(method, {method.has_rank ? "2" : "", {}, "", {}}, stack);
    EXPECT_THROW(
        fit_updates<double>(method, stack, settings, noise<double>(stack), {}, make_cpu_device()),
        Error)
        << method.name << " can be fitted: give it a case in all_cases() of tests/fit/fit_cases.h";
  }
}

/// Sites without a common structure: other sides, heads on the other side, a layer without a
/// matrix.
Stack mixed_stack() {
  return Stack({{"0.q", MatrixType::q, 0, 24, 24, 4},
                {"0.o", MatrixType::o, 0, 24, 24, 4},
                {"0.up", MatrixType::up, 0, 48, 24, 1},
                {"1.q", MatrixType::q, 1, 24, 24, 4},
                {"1.down", MatrixType::down, 1, 24, 48, 1}});
}

TEST(FitOfMixedSites, SharedFactorsAreFittedToAllOfThem) {
  const Registry registry = builtin_registry();
  const Stack all = mixed_stack();
  const Stack square({all.sites[0], all.sites[1], all.sites[3]});
  for (const auto& [name, stack] :
       {std::pair{"fact_tk", all}, std::pair{"fact_tt", all}, std::pair{"cara", all},
        std::pair{"lorta", square}, std::pair{"metatt", square}, std::pair{"lotr", square}}) {
    const Method& method = registry.at(name);
    MethodRequest request{"2", {}, "", {}};
    if (method.name == "cara") request.options["biases"] = "false";
    const MethodSettings settings = resolve_settings(method, request, stack);
    const Matrices<double> updates = random_updates<double>(method, settings, stack, 3);
    FitSettings fit;
    fit.starts = 3;
    fit.iterations = 300;
    fit.tolerance = 1e-9;
    const auto fitted =
        fit_updates<double>(method, stack, settings, updates, fit, make_cpu_device());
    const FitReport& report = fitted.report;
    EXPECT_NEAR(report.relative_error, reconstruction_error(*fitted.adapter, updates), 1e-10)
        << name;
    EXPECT_LT(report.relative_error, 0.3) << name;
    for (std::size_t i = 1; i < report.convergence.size(); ++i)
      EXPECT_LE(report.convergence[i], report.convergence[i - 1] + 1e-7) << name << ' ' << i;
  }
}

TEST(FitOfWholeUpdates, IsNotWorseThanTheSingularValuesAllow) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at("lora");
  const Stack stack = square_stack(2, 64);
  const MethodSettings settings = resolve_settings(method, {"6", {}, "", {}}, stack);
  const Matrices<double> updates = noise<double>(stack);
  double residual = 0, whole = 0;
  for (std::size_t i = 0; i < stack.sites.size(); ++i) {
    const Svd svd = decompose_svd({updates.at(i).data(), 64, 64});
    for (std::size_t k = 0; k < svd.s.size(); ++k) {
      whole += svd.s[k] * svd.s[k];
      if (k >= 6) residual += svd.s[k] * svd.s[k];
    }
  }
  const auto fitted = fit_updates<double>(method, stack, settings, updates, {}, make_cpu_device());
  EXPECT_LT(fitted.report.relative_error, 1.001 * std::sqrt(residual / whole));
  EXPECT_GE(fitted.report.relative_error, (1 - 1e-12) * std::sqrt(residual / whole));
}

TEST(FitOfWholeUpdates, NumbersThatAreNotFiniteAreNamed) {
  const Registry registry = builtin_registry();
  const Stack stack = square_stack(1, 48);
  for (const char* name : {"lora", "lotr", "loha", "tt_lora"}) {
    const Method& method = registry.at(name);
    std::vector<std::vector<double>> matrices(2, std::vector<double>(48 * 48, 1.0));
    matrices[1][5] = std::nan("");
    const MethodSettings settings = resolve_settings(
        method,
        {"2",
         {},
         "",
         name == std::string("tt_lora") ? std::map<std::string, std::string>{{"shape", "8,6,6,8"}}
                                        : std::map<std::string, std::string>{}},
        stack);
    try {
      fit_updates<double>(method, stack, settings, Matrices<double>(matrices), {},
                          make_cpu_device());
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("site layer.0.v: holds numbers"), std::string::npos)
          << error.what();
    }
  }
}

TEST(FitOfWholeUpdates, ZerosAreFittedByZeros) {
  const Registry registry = builtin_registry();
  const Stack stack = square_stack(1, 48);
  for (const char* name : {"lora", "lotr", "loha", "lorta"}) {
    const Method& method = registry.at(name);
    const MethodSettings settings = resolve_settings(method, {"2", {}, "", {}}, stack);
    const Matrices<double> updates(
        std::vector<std::vector<double>>(2, std::vector<double>(48 * 48)));
    const auto fitted =
        fit_updates<double>(method, stack, settings, updates, {}, make_cpu_device());
    std::vector<double> dense(48 * 48);
    fitted.adapter->reconstruct(1, {dense.data(), 48, 48});
    for (const double value : dense) EXPECT_NEAR(value, 0, 1e-12) << name;
  }
}

}  // namespace
}  // namespace rankfold
