#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "decompositions/loretta.h"
#include "decompositions/registry.h"

// Vectors computed with the authors' TensorizedLinear in float64 (reference notes on LoRETTA,
// section 3.3), printed to nine digits.

namespace rankfold {
namespace {

using Values = std::vector<double>;
constexpr double printed = 1e-9;

/// Core k holds ((7 i + 13 k) mod 23 - 11) / 23 at flat index i.
void fill_core(std::span<double> core, std::size_t k) {
  for (std::size_t i = 0; i < core.size(); ++i)
    core[i] = (static_cast<double>((7 * i + 13 * k) % 23) - 11) / 23;
}
Values bias_values(std::size_t size) {
  Values bias(size);
  for (std::size_t j = 0; j < size; ++j) bias[j] = (static_cast<double>((3 * j + 1) % 7) - 3) / 7;
  return bias;
}
Values input_values(std::size_t size) {
  Values x(size);
  for (std::size_t j = 0; j < size; ++j) x[j] = (static_cast<double>((5 * j + 3) % 17) - 8) / 17;
  return x;
}
Values loss_weights(std::size_t size) {
  Values c(size);
  for (std::size_t j = 0; j < size; ++j) c[j] = (static_cast<double>((2 * j + 1) % 5) - 2) / 5;
  return c;
}

/// y = TT^T x + bias as one method of one site: LoRETTA's tensorised linear layer.
Method tensorised_linear(std::vector<std::size_t> shape) {
  Method method = full();
  method.name = "tensorised_linear";
  method.declare = [shape](const Site& site, const Stack&, const MethodSettings&) {
    const Mode out{"out", site.out}, in{"in", site.in};
    return weight_update(
        {.out = {out},
         .in = {in},
         .terms = {{.product = {loretta_train("G", shape, 2, in, out, "test")}},
                   {.product = {Factor{"bias", {out}, zeros()}}, .constant = true}},
         .select = {}});
  };
  return method;
}

struct Layer {
  Stack stack{{{"0", MatrixType::q, 0, 6, 12, 1}}};
  std::unique_ptr<Adapter<double>> adapter;
  Values x = input_values(24), c = loss_weights(12), y = Values(12), dx = Values(24);

  explicit Layer(std::vector<std::size_t> shape)
      : adapter(make_adapter<double>(tensorised_linear(std::move(shape)), stack, {},
                                     make_cpu_device())) {
    for (std::size_t k = 0; k < 4; ++k)
      fill_core(adapter->parameter("G" + std::to_string(k + 1) + ".0").value.span(), k);
    std::ranges::copy(bias_values(6), adapter->parameter("bias.0").value.data());
    Trace<double> trace;
    adapter->forward(0, {x.data(), 2, 12}, {y.data(), 2, 6}, &trace);
    adapter->backward(0, {x.data(), 2, 12}, {c.data(), 2, 6}, trace, {dx.data(), 2, 12});
  }
  std::span<const double> gradient(std::size_t k) {
    return adapter->parameter("G" + std::to_string(k + 1) + ".0").gradient.span();
  }
};

double norm(std::span<const double> values) {
  return std::sqrt(std::inner_product(values.begin(), values.end(), values.begin(), 0.0));
}
double sum(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

void expect_near(std::span<const double> got, const Values& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(got[i], expected[i], printed) << i;
}

TEST(LorettaVectors, HoldForAlignedModes) {
  Layer layer({3, 4, 2, 3});
  EXPECT_EQ(layer.adapter->parameter_count(), 42u);
  Values delta(72);
  layer.adapter->reconstruct(0, {delta.data(), 6, 12});
  EXPECT_NEAR(delta[0], -0.002490700, printed);
  EXPECT_NEAR(delta[5 * 12], 0.006982537, printed);
  EXPECT_NEAR(delta[5 * 12 + 11], 0.004473969, printed);
  EXPECT_NEAR(sum(delta), 0.032493452, printed);
  EXPECT_NEAR(norm(delta), 0.152189654, printed);
  expect_near(layer.y,
              {-0.285004639, 0.158767228, -0.432928104, 0.010182253, 0.390729982, -0.147654405,
               -0.279571512, 0.117343075, -0.430883246, -0.008509034, 0.486197850, -0.144487480});
  EXPECT_NEAR(std::inner_product(layer.y.begin(), layer.y.end(), layer.c.begin(), 0.0), 0.215356277,
              printed);
  const double firsts[] = {0.021701903, -0.013374654, -0.014638439, -0.018695701};
  const double lasts[] = {-0.027888358, 0.007120514, 0.040230324, 0.005377129};
  const double sums[] = {-0.008699520, -0.076846243, -0.007392223, -0.008875502};
  const double norms[] = {0.046596137, 0.045866318, 0.078432125, 0.038946509};
  for (std::size_t k = 0; k < 4; ++k) {
    const auto gradient = layer.gradient(k);
    EXPECT_NEAR(gradient.front(), firsts[k], printed);
    EXPECT_NEAR(gradient.back(), lasts[k], printed);
    EXPECT_NEAR(sum(gradient), sums[k], printed);
    EXPECT_NEAR(norm(gradient), norms[k], printed);
  }
  expect_near(layer.adapter->parameter("bias.0").gradient.span(), {0, -0.2, -0.4, 0.4, 0.2, 0});
  expect_near(std::span<const double>(layer.dx).first(12),
              {0.008446225, -0.008486962, -0.003245414, 0.006056296, 0.026126265, -0.018372576,
               0.011773114, -0.006490829, 0.014760525, -0.012017539, 0.002118346, 0.001575180});
}

TEST(LorettaVectors, HoldForModesThatStraddleTheBorder) {
  Layer layer({3, 2, 4, 3});
  Values delta(72);
  layer.adapter->reconstruct(0, {delta.data(), 6, 12});
  EXPECT_NEAR(delta[0], -0.000646796, printed);
  EXPECT_NEAR(delta[5 * 12], -0.012735804, printed);
  EXPECT_NEAR(delta[5 * 12 + 11], -0.002394217, printed);
  EXPECT_NEAR(sum(delta), -0.073291619, printed);
  EXPECT_NEAR(norm(delta), 0.179284417, printed);
  expect_near(layer.y,
              {-0.281113144, 0.169296316, -0.440181383, -0.007727077, 0.441052255, -0.135695513,
               -0.287376995, 0.107015361, -0.418675053, 0.005206738, 0.424374508, -0.148596536});
  EXPECT_NEAR(std::inner_product(layer.y.begin(), layer.y.end(), layer.c.begin(), 0.0), 0.256921393,
              printed);
  const double sums[] = {0.003763313, -0.022789706, 0.020085187, -0.007083770};
  const double norms[] = {0.093029542, 0.053650451, 0.072900812, 0.050161274};
  for (std::size_t k = 0; k < 4; ++k) {
    EXPECT_NEAR(sum(layer.gradient(k)), sums[k], printed);
    EXPECT_NEAR(norm(layer.gradient(k)), norms[k], printed);
  }
}

TEST(LorettaVectors, HoldForTheAdapter) {
  const Stack stack({{"0", MatrixType::q, 0, 12, 12, 1}});
  const Method method = loretta_adp();
  const MethodSettings settings = resolve_settings(
      method,
      {"2", {}, "", {{"bottleneck", "4"}, {"shape-down", "3,4,2,2"}, {"shape-up", "2,2,3,4"}}},
      stack);
  const auto adapter = make_adapter<double>(method, stack, settings, make_cpu_device());
  for (std::size_t k = 0; k < 4; ++k) {
    fill_core(adapter->parameter("down" + std::to_string(k + 1) + ".0").value.span(), k);
    fill_core(adapter->parameter("up" + std::to_string(k + 1) + ".0").value.span(), k + 5);
  }
  std::ranges::copy(bias_values(4), adapter->parameter("down_bias.0").value.data());
  std::ranges::copy(bias_values(12), adapter->parameter("up_bias.0").value.data());
  const Values x = input_values(24);
  Values identity(144), y(24);  // z = x: the adapter's own input
  for (std::size_t i = 0; i < 12; ++i) identity[13 * i] = 1;
  adapter->set_frozen({{identity.data(), nullptr}});
  adapter->forward(0, {x.data(), 2, 12}, {y.data(), 2, 12}, nullptr);
  expect_near(std::span<const double>(y).first(12),
              {-0.578403638, 0.136711146, -0.132246417, -0.410163284, 0.309106540, 0.036643162,
               0.757211436, -0.522220290, 0.202589587, -0.073379605, -0.356317146, 0.369704617});
}

TEST(LorettaVectors, HoldForTheReparameterisation) {
  const Stack stack({{"0", MatrixType::q, 0, 6, 12, 1}});
  const Method method = loretta_rep();
  const MethodSettings settings = resolve_settings(
      method,
      {"2", 16.0, "", {{"bottleneck", "4"}, {"shape-a", "3,4,2,2"}, {"shape-b", "2,2,2,3"}}},
      stack);
  const auto adapter = make_adapter<double>(method, stack, settings, make_cpu_device());
  for (std::size_t k = 0; k < 4; ++k) {
    fill_core(adapter->parameter("a" + std::to_string(k + 1) + ".0").value.span(), k);
    fill_core(adapter->parameter("b" + std::to_string(k + 1) + ".0").value.span(), k + 5);
  }
  const Values x = input_values(24);
  Values y(12);
  adapter->forward(0, {x.data(), 2, 12}, {y.data(), 2, 6}, nullptr);
  expect_near(std::span<const double>(y).first(6),
              {1.85272e-4, 4.39852e-4, -1.42046e-4, 1.685e-5, 1.057457e-3, -1.321075e-3});
}

TEST(LorettaTrain, StartsWithEntriesOfThePublishedVariance) {
  const Stack stack({{"0", MatrixType::q, 0, 768, 768, 12}});
  const Method method = loretta_adp();
  const auto adapter = make_adapter<double>(
      method, stack, resolve_settings(method, {"5", {}, "", {}}, stack), make_cpu_device());
  // Var = 1 / (768 + 64), averaged over seeds: few cores carry many entries.
  double mean_square = 0;
  constexpr int seeds = 300;
  for (int seed = 0; seed < seeds; ++seed) {
    adapter->initialise(static_cast<std::uint64_t>(seed));
    Values row{1};
    for (int k = 1; k <= 5; ++k) {
      const Parameter<double>& core = adapter->parameter("down" + std::to_string(k) + ".0");
      Values next(core.shape[2], 0.0);
      for (std::size_t a = 0; a < core.shape[0]; ++a)
        for (std::size_t b = 0; b < core.shape[2]; ++b)
          next[b] += row[a] * core.value.data()[(a * core.shape[1] + 1) * core.shape[2] + b];
      row = next;
    }
    mean_square += row[0] * row[0] / seeds;
  }
  EXPECT_NEAR(mean_square * 832, 1.0, 0.6);
}

TEST(LorettaShape, ComesFromThePaperOrIsBalanced) {
  EXPECT_EQ(loretta_shape({}, 768, 64), (std::vector<std::size_t>{8, 8, 12, 8, 8}));
  EXPECT_EQ(loretta_shape({2, 3}, 768, 64), (std::vector<std::size_t>{2, 3}));
  EXPECT_EQ(loretta_shape({}, 384, 8), (std::vector<std::size_t>{4, 8, 12, 8}));
  EXPECT_EQ(loretta_shape({}, 13, 2), (std::vector<std::size_t>{13, 2}));
}

TEST(LorettaShape, IsReportedWhereThePaperHasNone) {
  const Method method = loretta_rep();
  const auto notes = [&](std::size_t width, std::map<std::string, std::string> options) {
    const Stack stack(
        {{"0", MatrixType::q, 0, width, width, 12}, {"1", MatrixType::v, 0, width, width, 12}});
    return method.notes(stack, resolve_settings(method, {"2", {}, "", std::move(options)}, stack));
  };
  EXPECT_TRUE(notes(768, {}).empty());
  ASSERT_EQ(notes(384, {}).size(), 2u);
  EXPECT_NE(notes(384, {})[0].find("shape-a of 384 x 8: 4,8,12,8"), std::string::npos);
  EXPECT_EQ(notes(384, {{"shape-a", "384,8"}}).size(), 1u);
}

TEST(LorettaShape, IsRefusedWhenItsProductDoesNotMatch) {
  const Stack stack({{"query", MatrixType::q, 0, 768, 768, 12}});
  const Method method = loretta_rep();
  const MethodSettings settings =
      resolve_settings(method, {"2", {}, "", {{"shape-a", "8,12,8,7"}}}, stack);
  try {
    count_parameters(method, stack, settings);
    FAIL();
  } catch (const UsageError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("query"), std::string::npos);
    EXPECT_NE(text.find("5376"), std::string::npos);
    EXPECT_NE(text.find("6144"), std::string::npos);
  }
}

}  // namespace
}  // namespace rankfold
