#include "experiments/models/blocks/host_linear.h"

#include <gtest/gtest.h>

#include "core/base/random.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

constexpr std::size_t tokens = 21, out = 24, in = 16;

std::vector<float> random_values(std::size_t size, const std::string& purpose) {
  std::vector<float> values(size);
  RandomStream(1, purpose).fill_normal(std::span(values), 0.0, 1.0);
  return values;
}

TEST(HostLinear, MultipliesInBfloat16WhereAskedForAdaptedOrNot) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  const std::vector<float> weight = random_values(out * in, "weight"),
                           bias = random_values(out, "bias"), x = random_values(tokens * in, "x"),
                           dy = random_values(tokens * out, "dy");
  const auto device = make_cpu_device();
  const Bfloat16Weight rounded(weight.data(), out, in);
  std::vector<float> expected_y(tokens * out), expected_dx(tokens * in);
  const MatrixView<const float> x_view(x.data(), tokens, in), dy_view(dy.data(), tokens, out);
  rounded.forward(x_view, bias.data(), {expected_y.data(), tokens, out});
  rounded.backward(dy_view, {expected_dx.data(), tokens, in}, false);

  const Site site{"layer", MatrixType::q, 0, out, in, 4};
  HostLinear linear(site, {weight.data(), bias.data()}, device, true);
  const auto expect_products = [&](const std::string& what) {
    std::vector<float> y(tokens * out), dx(tokens * in, 5.0f);
    linear.forward(x_view, {y.data(), tokens, out}, true);
    linear.backward(x_view, dy_view, {dx.data(), tokens, in}, Into::overwrite);
    for (std::size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected_y[i], 1e-5) << what;
    for (std::size_t i = 0; i < dx.size(); ++i) ASSERT_NEAR(dx[i], expected_dx[i], 1e-5) << what;
  };
  expect_products("alone");
  std::vector<float> y(tokens * out);
  EXPECT_EQ(linear.forward_without_bias(x_view, {y.data(), tokens, out}, true), bias.data());
  EXPECT_NEAR(y[out + 3] + bias[3], expected_y[out + 3], 1e-5);

  const Registry registry = builtin_registry();
  const Stack stack(std::vector<Site>{site});
  for (const char* name : {"lora", "loretta_adp"}) {
    const Method& method = registry.at(name);
    const auto adapter = make_adapter<float>(
        method, stack, resolve_settings(method, {"2", {}, "", {}}, stack), device);
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
