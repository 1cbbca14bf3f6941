#include "experiments/models/blocks/host_linear.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "core/base/random.h"
#include "decompositions/registry.h"
#include "models/double_reference.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t tokens = 21, out = 24, in = 16;

/// Two layers that read one input, adapted or not.
struct Example {
  std::shared_ptr<const Device> device = make_cpu_device();
  std::array<std::vector<float>, 2> weights = {normal(out * in, "w0"), normal(out*in, "w1")},
                                    biases = {normal(out, "b0"), normal(out, "b1")};
  std::vector<float> x = normal(tokens * in, "x"), dys = normal(tokens * 2 * out, "dys");
  std::vector<Site> sites = {{"first", MatrixType::q, 0, out, in, 4},
                             {"second", MatrixType::v, 0, out, in, 4}};
  std::vector<HostLinear> linears;
  std::vector<reference::Linear> formula, frozen;
  std::unique_ptr<Adapter<float>> adapter;
  std::unique_ptr<Adapter<double>> in_double;

  Example() {
    for (std::size_t i = 0; i < 2; ++i) {
      linears.emplace_back(sites[i], FrozenLinear<float>{weights[i].data(), biases[i].data()},
                           device);
      formula.push_back({reference::in_double(weights[i]), reference::in_double(biases[i])});
    }
    frozen = formula;
  }

  /// The method on the sites that are named.
  void adapt(const std::string& name, std::vector<std::size_t> which) {
    const Registry registry = builtin_registry();
    const Method& method = registry.at(name);
    std::vector<Site> chosen;
    std::vector<FrozenLinear<float>> layers;
    std::vector<reference::Linear> layers_in_double;
    for (const std::size_t i : which) {
      chosen.push_back(sites[i]);
      layers.push_back(linears[i].frozen());
      layers_in_double.push_back(frozen[i]);
    }
    const Stack stack(chosen);
    adapter = make_adapter<float>(
        method, stack, resolve_settings(method, {method.has_rank ? "2" : "", {}, "", {}}, stack),
        device);
    for (Parameter<float>& parameter : adapter->parameters())
      std::ranges::copy(normal(parameter.value.size(), parameter.name, 0.4),
                        parameter.value.span().begin());
    adapter->set_frozen(layers);
    frozen = layers_in_double;
    in_double = reference::in_double(*adapter, name, "2", frozen);
    for (std::size_t n = 0; n < which.size(); ++n) {
      linears[which[n]].attach(adapter.get(), n);
      formula[which[n]].adapter = in_double.get();
      formula[which[n]].site = n;
    }
  }

  MatrixView<const float> input() const { return {x.data(), tokens, in}; }
  /// Columns of one matrix.
  MatrixView<float> side(std::vector<float>& both, std::size_t i) const {
    return {both.data() + i * out, tokens, out, 2 * out};
  }
  /// The gradient of <y, dy>, by the formula.
  std::vector<double> slopes(std::span<double> values, reference::Rows& x_in_double,
                             std::size_t from = 0, std::size_t to = 2) {
    return reference::central_differences(values, [&] {
      double sum = 0;
      for (std::size_t i = from; i < to; ++i)
        sum += reference::dot(formula[i].apply(x_in_double), reference::Rows(side(dys, i)));
      return sum;
    });
  }
};

/// The first with a bias that trains, the second without; dX takes the place of X.
TEST(HostLinear, AddsTheGradientsOfItsOwnWeightAndBias) {
  Example example;
  reference::Rows x(example.input());
  const std::vector<double> dx_expected = example.slopes(x.values, x, 0, 1);
  std::array<std::vector<float>, 2> weights, biases;
  for (std::size_t i = 0; i < 2; ++i) {
    weights[i].assign(out * in, 1.0f);
    biases[i].assign(out, 1.0f);
    HostLinear& linear = example.linears[i];
    EXPECT_FALSE(linear.trains());
    linear.train(weights[i].data(), i == 0 ? biases[i].data() : nullptr);
    EXPECT_TRUE(linear.trains());
    EXPECT_FALSE(linear.adapted());
    const auto expected = [&](std::vector<double>& values) {
      std::vector<double> all = example.slopes(values, x, i, i + 1);
      for (double& value : all) value += 1;
      return all;
    };
    const std::vector<double> of_weight = expected(example.formula[i].weight),
                              of_bias = expected(example.formula[i].bias);
    std::vector<float> taken = example.x;
    const MatrixView<float> place(taken.data(), tokens, in);
    linear.backward(place, example.side(example.dys, i), {}, place, Into::overwrite);
    EXPECT_LT(reference::relative_error(weights[i], of_weight), 1e-6);
    if (i > 0) break;
    EXPECT_LT(reference::relative_error(biases[i], of_bias), 1e-6);
    EXPECT_LT(reference::relative_error(taken, dx_expected), 1e-6);
  }
  EXPECT_EQ(biases[1][0], 1.0f);
}

TEST(HostLinear, AndItsGradientsAreThoseOfTheFormulaAdaptedOrNot) {
  for (const char* method : {"", "lora", "full", "loretta_adp"}) {
    Example example;
    if (*method) example.adapt(method, {0});
    HostLinear& linear = example.linears[0];
    EXPECT_EQ(linear.adapted(), *method != 0);
    Trace<float> trace;
    reference::Rows x(example.input());
    const reference::Rows expected = example.formula[0].apply(x);
    std::vector<float> y(tokens * out), bare(tokens * out), dx(tokens * in, 5.0f);
    linear.forward(example.input(), {y.data(), tokens, out}, &trace);
    EXPECT_LT(reference::relative_error(y, expected.values), 1e-6) << method;

    const float* bias =
        linear.forward_without_bias(example.input(), {bare.data(), tokens, out}, &trace);
    EXPECT_EQ(bias, std::string(method) == "loretta_adp" ? nullptr : example.biases[0].data());
    for (std::size_t i = 0; bias && i < bare.size(); ++i) bare[i] += bias[i % out];
    EXPECT_LT(reference::relative_error(bare, expected.values), 1e-6) << method;

    const std::vector<double> dx_expected = example.slopes(x.values, x, 0, 1);
    const MatrixView<const float> dy = example.side(example.dys, 0);
    linear.backward(example.input(), dy, trace, {dx.data(), tokens, in}, Into::overwrite);
    EXPECT_LT(reference::relative_error(dx, dx_expected), 1e-6) << method;
    if (!example.adapter) continue;
    for (std::size_t p = 0; p < example.adapter->parameters().size(); ++p) {
      const std::vector<double> expected_gradient =
          example.slopes(example.in_double->parameters()[p].value.span(), x, 0, 1);
      EXPECT_LT(reference::relative_error(example.adapter->parameters()[p].gradient.span(),
                                          expected_gradient),
                2e-6)
          << method;
    }
  }
}

TEST(HostLinear, AddsToTheGradientOfItsInputOrLeavesItOut) {
  Example example;
  HostLinear& linear = example.linears[1];
  const MatrixView<const float> dy = example.side(example.dys, 1);
  std::vector<float> alone(tokens * in), added(tokens * in, 1.0f);
  linear.backward(example.input(), dy, {}, {alone.data(), tokens, in}, Into::overwrite);
  linear.backward(example.input(), dy, {}, {added.data(), tokens, in}, Into::add);
  for (std::size_t i = 0; i < alone.size(); ++i) ASSERT_NEAR(added[i], alone[i] + 1, 1e-5);
  linear.backward(example.input(), dy, {}, MatrixView<float>(nullptr, tokens, in), Into::overwrite);
}

TEST(HostLinear, SharesAnInputWithOthers) {
  for (const std::vector<std::size_t>& adapted : {std::vector<std::size_t>{}, {0}, {1}, {0, 1}}) {
    Example example;
    if (!adapted.empty()) example.adapt("lotr", adapted);
    const std::array<const HostLinear*, 2> linears = {&example.linears[0], &example.linears[1]};
    std::vector<float> y(tokens * 2 * out), dx(tokens * in);
    const std::array<MatrixView<float>, 2> ys = {example.side(y, 0), example.side(y, 1)};
    Trace<float> trace;
    forward_together(linears, example.input(), ys, &trace);
    reference::Rows x(example.input());
    for (std::size_t i = 0; i < 2; ++i) {
      const reference::Rows found(ys[i]), expected = example.formula[i].apply(x);
      for (std::size_t n = 0; n < expected.values.size(); ++n)
        ASSERT_NEAR(found.values[n], expected.values[n], 2e-5);
    }
    const std::array<MatrixView<const float>, 2> dys = {example.side(example.dys, 0),
                                                        example.side(example.dys, 1)};
    backward_together(linears, example.input(), dys, trace, {dx.data(), tokens, in},
                      Into::overwrite);
    EXPECT_LT(reference::relative_error(dx, example.slopes(x.values, x)), 1e-6);
    if (!example.adapter) continue;
    for (std::size_t p = 0; p < example.adapter->parameters().size(); ++p)
      EXPECT_LT(reference::relative_error(
                    example.adapter->parameters()[p].gradient.span(),
                    example.slopes(example.in_double->parameters()[p].value.span(), x)),
                2e-6);
  }
}

TEST(HostLinear, MayMeetTwoInputsInOnePass) {
  for (const char* method : {"lora", "full", "loretta_adp"}) {
    Example example;
    example.adapt(method, {0});
    const HostLinear& linear = example.linears[0];
    const std::vector<float> other = normal(tokens * in, "other");
    const MatrixView<const float> inputs[] = {example.input(), {other.data(), tokens, in}};
    std::array<Trace<float>, 2> traces;
    std::array<std::vector<float>, 2> ys, dxs;
    // Both forwards come before the backwards, which go in reverse.
    for (std::size_t i = 0; i < 2; ++i) {
      ys[i].resize(tokens * out);
      linear.forward(inputs[i], {ys[i].data(), tokens, out}, &traces[i]);
    }
    for (const std::size_t i : {std::size_t{1}, std::size_t{0}}) {
      dxs[i].resize(tokens * in);
      linear.backward(inputs[i], example.side(example.dys, i), traces[i],
                      {dxs[i].data(), tokens, in}, Into::overwrite);
    }
    std::array<reference::Rows, 2> x = {reference::Rows(inputs[0]), reference::Rows(inputs[1])};
    const auto slopes = [&](std::span<double> values) {
      return reference::central_differences(values, [&] {
        double sum = 0;
        for (std::size_t i = 0; i < 2; ++i)
          sum += reference::dot(example.formula[0].apply(x[i]),
                                reference::Rows(example.side(example.dys, i)));
        return sum;
      });
    };
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_LT(reference::relative_error(dxs[i], slopes(x[i].values)), 1e-6) << method;
    for (std::size_t p = 0; p < example.adapter->parameters().size(); ++p)
      EXPECT_LT(reference::relative_error(example.adapter->parameters()[p].gradient.span(),
                                          slopes(example.in_double->parameters()[p].value.span())),
                2e-6)
          << method;
  }
}

TEST(HostLinear, ReadsAWeightOnceAndOnlyWhereItIsAskedFor) {
  const Example example;
  std::size_t reads = 0;
  const FrozenLinear<float> frozen{example.weights[0].data(), example.biases[0].data()};
  const auto read = [&] {
    ++reads;
    return frozen;
  };
  HostLinear linear(example.sites[0], read, example.device);
  const HostLinear moved = std::move(linear);
  EXPECT_FALSE(moved.adapted());
  EXPECT_EQ(moved.site().name, "first");
  EXPECT_EQ(reads, 0u);
  std::vector<float> y(tokens * out), expected(tokens * out);
  for (int pass = 0; pass < 2; ++pass) {
    moved.forward(example.input(), {y.data(), tokens, out}, nullptr);
    EXPECT_EQ(moved.frozen().weight, frozen.weight);
    EXPECT_EQ(reads, 1u);
  }
  example.linears[0].forward(example.input(), {expected.data(), tokens, out}, nullptr);
  EXPECT_EQ(y, expected);
}

TEST(HostLinear, MultipliesInBfloat16WhereAskedForAdaptedOrNot) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  const Example example;
  const std::vector<float>&weight = example.weights[0], &bias = example.biases[0], &x = example.x;
  const std::vector<float> dy = normal(tokens * out, "dy");
  const Bfloat16Weight rounded(weight.data(), out, in);
  std::vector<float> expected_y(tokens * out), expected_dx(tokens * in);
  const MatrixView<const float> x_view(x.data(), tokens, in), dy_view(dy.data(), tokens, out);
  rounded.forward(x_view, bias.data(), {expected_y.data(), tokens, out});
  rounded.backward(dy_view, {expected_dx.data(), tokens, in}, false);

  HostLinear linear(example.sites[0], {weight.data(), bias.data()}, example.device, true);
  const auto expect_products = [&](const std::string& what) {
    std::vector<float> y(tokens * out), dx(tokens * in, 5.0f);
    Trace<float> trace;
    linear.forward(x_view, {y.data(), tokens, out}, &trace);
    linear.backward(x_view, dy_view, trace, {dx.data(), tokens, in}, Into::overwrite);
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected_y[i], 1e-5) << what;
    for (std::size_t i = 0; i < dx.size(); ++i) ASSERT_NEAR(dx[i], expected_dx[i], 1e-5) << what;
  };
  expect_products("alone");
  std::vector<float> y(tokens * out);
  EXPECT_EQ(linear.forward_without_bias(x_view, {y.data(), tokens, out}, nullptr), bias.data());
  EXPECT_NEAR(y[out + 3] + bias[3], expected_y[out + 3], 1e-5);

  const Registry registry = builtin_registry();
  const Stack stack(std::vector<Site>{example.sites[0]});
  for (const char* name : {"lora", "loretta_adp"}) {
    const Method& method = registry.at(name);
    const auto adapter = make_adapter<float>(
        method, stack, resolve_settings(method, {method.has_rank ? "2" : "", {}, "", {}}, stack),
        example.device);
    // Without an update only the products with the frozen weight are left.
    for (Parameter<float>& parameter : adapter->parameters())
      std::ranges::fill(parameter.value.span(), 0.0f);
    adapter->set_frozen({linear.frozen()});
    linear.attach(adapter.get(), 0);
    expect_products(name);
  }
}

}  // namespace
}  // namespace rankfold
