#include "core/fit/fit.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/linear_algebra.h"
#include "core/random.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

/// Matrices in memory.
template <class T>
class Matrices final : public UpdateSource<T> {
 public:
  explicit Matrices(std::vector<std::vector<T>> matrices) : matrices_(std::move(matrices)) {}
  const T* read(std::size_t site, std::vector<T>&) const override { return matrices_[site].data(); }
  const std::vector<T>& at(std::size_t site) const { return matrices_[site]; }

 private:
  std::vector<std::vector<T>> matrices_;
};

Stack square_stack(std::size_t layers, std::size_t side, std::size_t heads = 4) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    for (const MatrixType type : {MatrixType::q, MatrixType::v})
      sites.push_back(
          {fmt::format("layer.{}.{}", layer, to_string(type)), type, layer, side, side, heads});
  return Stack(sites);
}

struct Case {
  std::string method, rank;
  std::map<std::string, std::string> options = {};
};

std::string name_of(const Case& given) {
  std::string name = given.method;
  for (const auto& [key, value] : given.options) name += "_" + key + "_" + value;
  for (char& character : name)
    if (!std::isalnum(static_cast<unsigned char>(character))) character = '_';
  return name;
}

MethodSettings settings_of(const Method& method, const Case& given, const Stack& stack) {
  return resolve_settings(method, {method.has_rank ? given.rank : "", {}, "", given.options},
                          stack);
}

template <class T>
Matrices<T> random_updates(const Method& method, const MethodSettings& settings, const Stack& stack,
                           std::uint64_t seed) {
  const auto adapter = make_adapter<T>(method, stack, settings, make_openblas_backend());
  const auto is_frozen = [](const auto& parameter) { return !parameter.trainable; };
  if (std::ranges::any_of(adapter->parameters(), is_frozen)) adapter->initialise(0);
  for (auto& parameter : adapter->parameters())
    if (parameter.trainable)
      RandomStream(seed, "test/" + parameter.name).fill_normal(parameter.value.span(), 0, 1);
  std::vector<std::vector<T>> matrices;
  for (std::size_t i = 0; i < stack.sites.size(); ++i) {
    const Site& site = stack.sites[i];
    matrices.emplace_back(site.out * site.in);
    adapter->reconstruct(i, {matrices.back().data(), site.out, site.in});
  }
  return Matrices<T>(std::move(matrices));
}

template <class T>
Matrices<T> noise(const Stack& stack) {
  std::vector<std::vector<T>> matrices;
  for (const Site& site : stack.sites) {
    matrices.emplace_back(site.out * site.in);
    RandomStream(5, "test/noise/" + site.name).fill_normal(std::span<T>(matrices.back()), 0, 1);
  }
  return Matrices<T>(std::move(matrices));
}

/// The error of what the adapter says its updates are.
template <class T>
double reconstruction_error(const Adapter<T>& adapter, const Matrices<T>& updates) {
  double residual = 0, whole = 0;
  for (std::size_t i = 0; i < adapter.stack().sites.size(); ++i) {
    const Site& site = adapter.stack().sites[i];
    std::vector<T> dense(site.out * site.in);
    adapter.reconstruct(i, {dense.data(), site.out, site.in});
    for (std::size_t j = 0; j < dense.size(); ++j) {
      const double value = updates.at(i)[j], difference = value - static_cast<double>(dense[j]);
      residual += difference * difference;
      whole += value * value;
    }
  }
  return std::sqrt(residual / whole);
}

std::vector<Case> direct_cases() {
  return {{"lora", "3"},
          {"lotr", "3"},
          {"lotr", "3", {{"stack", "per-type"}}},
          {"tucker3", "3x4x2"},
          {"tt_lora", "3", {{"shape", "8,6,6,8"}}},
          {"fact_tt", "3"},
          {"fact_tk", "3"},
          {"metatt", "3"},
          {"metatt", "3", {{"order", "5d"}}},
          {"tenslora", "3", {{"layout", "qkv_depth"}}},
          {"tenslora", "3", {{"layout", "att_qkv_depth"}}},
          {"loretta_rep", "3", {{"bottleneck", "4"}}},
          {"lokr", "8"},
          {"full", ""}};
}

std::vector<Case> all_cases() {
  std::vector<Case> cases = direct_cases();
  for (const Case& each :
       std::vector<Case>{{"tenslora", "3", {{"layout", "depth"}, {"kind", "cp"}}},
                         {"lorta", "3"},
                         {"cara", "3"},
                         {"block_term", "2", {{"blocks", "2"}}},
                         {"loha", "2"},
                         {"lokr", "2", {{"decompose-both", "true"}}},
                         {"tensor_ring", "2"},
                         {"vera", "3"},
                         {"randlora", "12"},
                         {"fourierft", "", {{"frequencies", "40"}}},
                         {"quanta", "", {{"axes", "4,4,3"}}},
                         {"none", ""}})
    cases.push_back(each);
  return cases;
}

class EveryFit : public testing::TestWithParam<Case> {};

TEST_P(EveryFit, ReportsTheErrorOfWhatItsFactorsReconstruct) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(GetParam().method);
  const Stack stack = square_stack(3, 48);
  const MethodSettings settings = settings_of(method, GetParam(), stack);
  const Matrices<double> updates = noise<double>(stack);
  FitSettings fit;
  fit.iterations = 5;
  const auto fitted =
      fit_updates<double>(method, stack, settings, updates, fit, make_openblas_backend());
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
  const auto fitted =
      fit_updates<double>(method, stack, settings, updates, {}, make_openblas_backend());
  EXPECT_LT(fitted.report.relative_error, 1e-9);
  EXPECT_NEAR(fitted.report.relative_error, reconstruction_error(*fitted.adapter, updates), 1e-12);
}

TEST_P(DirectFit, FindsThemInFloats) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(GetParam().method);
  const Stack stack = square_stack(3, 48);
  const MethodSettings settings = settings_of(method, GetParam(), stack);
  const Matrices<float> updates = random_updates<float>(method, settings, stack, 3);
  const auto fitted =
      fit_updates<float>(method, stack, settings, updates, {}, make_openblas_backend());
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
    EXPECT_THROW(fit_updates<double>(method, stack, settings, noise<double>(stack), {},
                                     make_openblas_backend()),
                 Error)
        << method.name;
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
        fit_updates<double>(method, stack, settings, updates, fit, make_openblas_backend());
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
  const auto fitted =
      fit_updates<double>(method, stack, settings, updates, {}, make_openblas_backend());
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
                          make_openblas_backend());
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
        fit_updates<double>(method, stack, settings, updates, {}, make_openblas_backend());
    std::vector<double> dense(48 * 48);
    fitted.adapter->reconstruct(1, {dense.data(), 48, 48});
    for (const double value : dense) EXPECT_NEAR(value, 0, 1e-12) << name;
  }
}

}  // namespace
}  // namespace rankfold
