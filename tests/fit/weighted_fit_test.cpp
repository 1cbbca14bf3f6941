#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/fit/fit.h"
#include "core/linalg/linear_algebra.h"
#include "decompositions/registry.h"
#include "fit/fit_cases.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

using Inputs = std::vector<std::vector<double>>;  // X[samples, in] by site

/// Inputs that prefer some directions: decaying columns and a common part.
std::vector<double> draw_inputs(std::size_t samples, std::size_t in, std::size_t number) {
  std::vector<double> x(samples * in);
  RandomStream(9, "test/inputs", number).fill_normal(std::span<double>(x), 0, 1);
  for (std::size_t n = 0; n < samples; ++n) {
    const double common = x[n * in];
    for (std::size_t i = 0; i < in; ++i)
      x[n * in + i] = (x[n * in + i] + common) / (1.0 + static_cast<double>((i * 7 + number) % in));
  }
  return x;
}

Inputs inputs_of(const Stack& stack, std::size_t samples, bool unlike) {
  Inputs inputs;
  for (std::size_t i = 0; i < stack.sites.size(); ++i)
    inputs.push_back(draw_inputs(samples, stack.sites[i].in, unlike ? i : 0));
  return inputs;
}

InputMetrics metrics_of(const Stack& stack, const Inputs& inputs) {
  InputMetrics metrics;
  std::vector<std::vector<double>> known;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const auto found = std::ranges::find(known, inputs[i]);
    metrics.of_site.push_back(static_cast<std::size_t>(found - known.begin()));
    if (found != known.end()) continue;
    known.push_back(inputs[i]);
    const std::size_t in = stack.sites[i].in;
    metrics.metrics.push_back(make_metric(gram_of_inputs(inputs[i], in, "test"), in));
  }
  return metrics;
}

/// |X (D - dW)^T| / |X D^T| by the definition.
double output_error(const Adapter<double>& adapter, const Matrices<double>& updates,
                    const Inputs& inputs) {
  double residual = 0, whole = 0;
  for (std::size_t s = 0; s < inputs.size(); ++s) {
    const Site& site = adapter.stack().sites[s];
    const std::size_t samples = inputs[s].size() / site.in;
    std::vector<double> dense(site.out * site.in);
    adapter.reconstruct(s, {dense.data(), site.out, site.in});
    for (std::size_t n = 0; n < samples; ++n)
      for (std::size_t o = 0; o < site.out; ++o) {
        double wanted = 0, got = 0;
        for (std::size_t i = 0; i < site.in; ++i) {
          wanted += inputs[s][n * site.in + i] * updates.at(s)[o * site.in + i];
          got += inputs[s][n * site.in + i] * dense[o * site.in + i];
        }
        residual += (wanted - got) * (wanted - got) / static_cast<double>(samples);
        whole += wanted * wanted / static_cast<double>(samples);
      }
  }
  return std::sqrt(residual / whole);
}

FittedUpdates<double> fit_weighted(const Case& given, const Stack& stack,
                                   const Matrices<double>& updates, const Inputs& inputs,
                                   const FitSettings& fit = {}) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(given.method);
  return fit_weighted_updates(method, stack, settings_of(method, given, stack), updates,
                              metrics_of(stack, inputs), fit, make_cpu_device());
}

class EveryWeightedFit : public testing::TestWithParam<std::tuple<Case, bool>> {};

TEST_P(EveryWeightedFit, IsNeverWorseOnItsInputsThanThePlainFit) {
  const auto& [given, unlike] = GetParam();
  const Stack stack = square_stack(2, 48);
  const Inputs inputs = inputs_of(stack, 60, unlike);
  const Matrices<double> updates = noise<double>(stack);
  FitSettings fit;
  fit.iterations = 4;
  const auto weighted = fit_weighted(given, stack, updates, inputs, fit);
  ASSERT_TRUE(weighted.report.weighted);
  const WeightedErrors& errors = *weighted.report.weighted;
  EXPECT_LE(errors.relative_error, errors.unweighted_fit);
  if (given.method != "none" && given.method != "full") {
    EXPECT_LT(errors.relative_error, errors.unweighted_fit);
  }
  // Both are what their definitions say.
  EXPECT_NEAR(errors.relative_error, output_error(*weighted.adapter, updates, inputs), 1e-4);
  EXPECT_NEAR(weighted.report.relative_error, reconstruction_error(*weighted.adapter, updates),
              1e-10);
  const Registry registry = builtin_registry();
  const Method& method = registry.at(given.method);
  const auto plain = fit_updates<double>(method, stack, settings_of(method, given, stack), updates,
                                         fit, make_cpu_device());
  EXPECT_NEAR(errors.unweighted_fit, output_error(*plain.adapter, updates, inputs), 1e-4);
  EXPECT_EQ(errors.site_errors.size(), stack.sites.size());
}

INSTANTIATE_TEST_SUITE_P(Registry, EveryWeightedFit,
                         testing::Combine(testing::ValuesIn(all_cases()), testing::Bool()),
                         [](const auto& given) {
                           return name_of(std::get<0>(given.param)) +
                                  (std::get<1>(given.param) ? "_unlike_inputs" : "_common_inputs");
                         });

/// The symmetric root of X^T X / samples, or its inverse: another root than the fit's.
std::vector<double> symmetric_root(const std::vector<double>& x, std::size_t in, bool inverse) {
  const SymmetricParts parts = decompose_symmetric({gram_of_inputs(x, in, "test").data(), in, in});
  std::vector<double> root(in * in);
  for (std::size_t i = 0; i < in; ++i)
    for (std::size_t j = 0; j < in; ++j)
      for (std::size_t k = 0; k < in; ++k)
        root[i * in + j] +=
            parts.vectors[i * in + k] *
            (inverse ? 1 / std::sqrt(parts.values[k]) : std::sqrt(parts.values[k])) *
            parts.vectors[j * in + k];
  return root;
}

std::vector<double> product(const std::vector<double>& a, const std::vector<double>& b,
                            std::size_t rows, std::size_t inner, std::size_t columns) {
  std::vector<double> c(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t k = 0; k < inner; ++k)
      for (std::size_t j = 0; j < columns; ++j)
        c[i * columns + j] += a[i * inner + k] * b[k * columns + j];
  return c;
}

/// The best update of a rank and its error: with the symmetric root S the leading part of D S,
/// times S^-1.
std::pair<std::vector<double>, double> best_update(const std::vector<double>& update,
                                                   const std::vector<double>& x, std::size_t out,
                                                   std::size_t in, std::size_t rank) {
  const std::vector<double> weighted = product(update, symmetric_root(x, in, false), out, in, in);
  const Svd parts = decompose_svd({weighted.data(), out, in});
  std::vector<double> leading(out * in);
  double left = 0, whole = 0;
  for (std::size_t k = 0; k < parts.s.size(); ++k) {
    whole += parts.s[k] * parts.s[k];
    if (k >= rank) left += parts.s[k] * parts.s[k];
    for (std::size_t i = 0; k < rank && i < out; ++i)
      for (std::size_t j = 0; j < in; ++j)
        leading[i * in + j] += parts.u[i * parts.s.size() + k] * parts.s[k] * parts.v[k * in + j];
  }
  return {product(leading, symmetric_root(x, in, true), out, in, in), std::sqrt(left / whole)};
}

TEST(WeightedFit, OfLowRankIsTheTruncatedDecompositionInTheMetric) {
  const std::size_t out = 22, in = 18;
  const Stack stack({{"a", MatrixType::q, 0, out, in, 1}, {"b", MatrixType::q, 1, out, in, 1}});
  const Matrices<double> updates = noise<double>(stack);
  const Inputs inputs = inputs_of(stack, 200, true);
  const auto fitted = fit_weighted({"lora", "5"}, stack, updates, inputs);
  for (std::size_t s = 0; s < 2; ++s) {
    const auto [best, error] = best_update(updates.at(s), inputs[s], out, in, 5);
    std::vector<double> found(out * in);
    fitted.adapter->reconstruct(s, {found.data(), out, in});
    for (std::size_t i = 0; i < best.size(); ++i) EXPECT_NEAR(found[i], best[i], 1e-6);
    EXPECT_NEAR(fitted.report.weighted->site_errors[s], error, 1e-8);
  }
}

TEST(WeightedFit, OfCompressedUpdatesIsAlmostTheBest) {
  const std::size_t out = 90, in = 70;
  const Stack stack({{"a", MatrixType::q, 0, out, in, 1}});
  const Matrices<double> updates = noise<double>(stack);
  const Inputs inputs = inputs_of(stack, 200, true);
  const auto fitted = fit_weighted({"lora", "4"}, stack, updates, inputs);
  const double error = best_update(updates.at(0), inputs[0], out, in, 4).second;
  EXPECT_GE(fitted.report.weighted->relative_error, error * (1 - 1e-8));
  EXPECT_LE(fitted.report.weighted->relative_error, error * (1 + 1e-3));
}

TEST(WeightedFit, WithInputsOfOneSizeInAllDirectionsIsThePlainFit) {
  const Stack stack = square_stack(2, 16);
  const Matrices<double> updates = noise<double>(stack);
  Inputs inputs(stack.sites.size(), std::vector<double>(16 * 16));
  for (std::vector<double>& x : inputs)
    for (std::size_t i = 0; i < 16; ++i) x[i * 16 + i] = 3;
  for (const Case& given : {Case{"lora", "3"}, Case{"lotr", "3"}, Case{"tucker3", "3x2x2"}}) {
    const auto weighted = fit_weighted(given, stack, updates, inputs);
    EXPECT_NEAR(weighted.report.weighted->relative_error, weighted.report.relative_error, 1e-9);
    EXPECT_NEAR(weighted.report.weighted->unweighted_fit, weighted.report.relative_error, 1e-4);
  }
}

class DirectWeightedFit : public testing::TestWithParam<Case> {};

TEST_P(DirectWeightedFit, FindsFactorsOfWhatTheyCanRepresent) {
  const Registry registry = builtin_registry();
  const Method& method = registry.at(GetParam().method);
  const Stack stack = square_stack(3, 48);
  const Matrices<double> updates =
      random_updates<double>(method, settings_of(method, GetParam(), stack), stack, 3);
  const auto fitted = fit_weighted(GetParam(), stack, updates, inputs_of(stack, 100, false));
  EXPECT_LT(fitted.report.weighted->relative_error, 1e-8);
  EXPECT_LT(fitted.report.relative_error, 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Registry, DirectWeightedFit, testing::ValuesIn(direct_cases()),
                         [](const auto& given) { return name_of(given.param); });

TEST(WeightedFit, OfFewSamplesStaysNearTheUpdatesWhereTheyDoNotReach) {
  // Three samples: rank 3 fits all outputs, and the ridge decides the rest.
  const Stack stack = square_stack(1, 40);
  const Matrices<double> updates = noise<double>(stack);
  const Inputs inputs = inputs_of(stack, 3, true);
  const auto fitted = fit_weighted({"lora", "6"}, stack, updates, inputs);
  EXPECT_LT(fitted.report.weighted->relative_error, 1e-4);
  EXPECT_LT(output_error(*fitted.adapter, updates, inputs), 1e-6);
  // The three further directions are spent on the updates themselves.
  const auto three = fit_weighted({"lora", "3"}, stack, updates, inputs);
  EXPECT_LT(fitted.report.relative_error, three.report.relative_error);
  EXPECT_LT(three.report.relative_error, 1.0);
}

TEST(WeightedFit, WithALargeRidgeIsThePlainFit) {
  const Stack stack = square_stack(1, 24);
  const Matrices<double> updates = noise<double>(stack);
  const Inputs inputs = inputs_of(stack, 5, true);
  InputMetrics metrics;
  for (std::size_t s = 0; s < 2; ++s) {
    std::vector<double> gram = gram_of_inputs(inputs[s], 24, "test");
    double trace = 0;  // of one size, so that both sites count the same
    for (std::size_t i = 0; i < 24; ++i) trace += gram[i * 25];
    for (double& value : gram) value /= trace;
    metrics.metrics.push_back(make_metric(std::move(gram), 24, 1e8));
    metrics.of_site.push_back(s);
  }
  const Registry registry = builtin_registry();
  for (const Case& given : {Case{"lora", "3"}, Case{"lotr", "3"}, Case{"loha", "2"}}) {
    const Method& method = registry.at(given.method);
    const MethodSettings settings = settings_of(method, given, stack);
    const auto weighted =
        fit_weighted_updates(method, stack, settings, updates, metrics, {}, make_cpu_device());
    const auto plain = fit_updates<double>(method, stack, settings, updates, {}, make_cpu_device());
    // It goes on from the plain fit, so it may come out a little better.
    EXPECT_NEAR(weighted.report.relative_error, plain.report.relative_error, 1e-3) << given.method;
    EXPECT_LE(weighted.report.relative_error, plain.report.relative_error + 1e-6) << given.method;
  }
}

TEST(WeightedFit, RefusesWhatDoesNotSuitTheSites) {
  const Stack stack = square_stack(2, 16);
  const Matrices<double> updates = noise<double>(stack);
  const auto refusal = [&](const Case& given, const Stack& sites, const Inputs& inputs) {
    try {
      fit_weighted(given, sites, noise<double>(sites), inputs);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  Inputs inputs = inputs_of(stack, 5, true);
  inputs.pop_back();
  EXPECT_THAT(refusal({"lora", "2"}, stack, inputs), HasSubstr("inputs of 3 sites, expected 4"));
  // One in factor for unlike inputs couples 40 x 512 values.
  const Stack wide = square_stack(1, 512);
  EXPECT_THAT(refusal({"lotr", "40"}, wide, inputs_of(wide, 4, true)),
              AllOf(HasSubstr("[lotr] site layer.0.q"), HasSubstr("unlike inputs")));
  EXPECT_THROW(gram_of_inputs(std::vector<double>(8, 0.0), 4, "x"), Error);
  EXPECT_THROW(gram_of_inputs({}, 4, "x"), Error);
  EXPECT_THROW(gram_of_inputs({1, NAN, 0, 0}, 4, "x"), Error);
}

}  // namespace
}  // namespace rankfold
