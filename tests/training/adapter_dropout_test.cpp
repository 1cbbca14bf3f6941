#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/device/dropout.h"
#include "decompositions/registry.h"
#include "training/workplace.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

constexpr std::size_t in = 6, out = 5, rank = 2, tokens = 7;
constexpr double probability = 0.4;

std::vector<float> numbers(std::size_t size, const std::string& purpose) {
  std::vector<float> values(size);
  RandomStream(3, purpose).fill_normal(std::span<float>(values), 0, 1);
  return values;
}

/// lora on two sites that read one X.
struct Lora {
  Lora() {
    const Method method = builtin_registry().at("lora");
    adapter = make_adapter<float>(method, stack, resolve_settings(method, {"2", 3, "", {}}, stack),
                                  device);
    for (Parameter<float>& parameter : adapter->parameters()) {
      const auto values = numbers(parameter.value.size(), parameter.name);
      std::ranges::copy(values, parameter.value.span().begin());
    }
    adapter->set_frozen({{weight.data(), bias.data()}, {weight.data(), bias.data()}});
    scale = 3.0 / rank;
  }
  std::vector<float> factor(const char* name, std::size_t site) const {
    const auto values =
        adapter->parameter(std::string(name) + "." + stack.sites[site].name).value.span();
    return {values.begin(), values.end()};
  }
  std::vector<float> forward(MatrixView<const float> x, Trace<float>* trace) const {
    std::vector<float> y(2 * tokens * out);
    const std::array<SiteMatrix<float>, 2> outputs{
        SiteMatrix<float>{0, {y.data(), tokens, out}},
        SiteMatrix<float>{1, {y.data() + tokens * out, tokens, out}}};
    adapter->forward(outputs, x, trace);
    return y;
  }

  std::shared_ptr<const Device> device = make_cpu_device();
  Stack stack{std::vector<Site>{{"query", MatrixType::q, 0, out, in},
                                {"value", MatrixType::v, 0, out, in}}};
  std::vector<float> weight = numbers(out * in, "weight"), bias = numbers(out, "bias");
  double scale = 1;
  std::unique_ptr<Adapter<float>> adapter;
};

/// The factors of a site in the first call of a pass.
std::vector<float> mask(const std::string& site, std::uint64_t pass) {
  std::vector<float> factors(tokens * in, 1);
  apply_dropout(Dropout(probability, 9, "dropout/adapter/0/" + site, pass),
                MatrixView<float>(factors.data(), tokens, in), *make_cpu_device());
  return factors;
}

TEST(AdapterDropout, DropsWhatTheFactorsSeeAndNothingElse) {
  Lora lora;
  const std::vector<float> x = numbers(tokens * in, "x"), dy = numbers(2 * tokens * out, "dy");
  lora.adapter->set_dropout({probability, 9, 4});
  Trace<float> trace;
  const std::vector<float> y = lora.forward({x.data(), tokens, in}, &trace);
  std::vector<float> dx(tokens * in);
  const std::array<SiteMatrix<const float>, 2> d_outputs{
      SiteMatrix<const float>{0, {dy.data(), tokens, out}},
      SiteMatrix<const float>{1, {dy.data() + tokens * out, tokens, out}}};
  // Twice: nothing of the first call is left in the second.
  for (int call = 0; call < 2; ++call) {
    std::ranges::fill(dx, 0.5f);
    lora.adapter->zero_gradients();
    lora.adapter->backward(d_outputs, {x.data(), tokens, in}, trace, {dx.data(), tokens, in});
  }

  // y = W x + b + s B A (m x), and its gradients, one number at a time.
  EXPECT_NE(mask("query", 4), mask("value", 4));
  std::vector<double> expected_dx(tokens * in, 0.5);
  for (std::size_t site = 0; site < 2; ++site) {
    const std::vector<float> m = mask(lora.stack.sites[site].name, 4);
    EXPECT_TRUE(std::ranges::count(m, 0.0f) > 5 && std::ranges::count(m, 0.0f) < 30);
    const std::vector<float> a = lora.factor("A", site), b = lora.factor("B", site);
    std::vector<double> da(rank * in), db(out * rank);
    for (std::size_t t = 0; t < tokens; ++t) {
      std::array<double, rank> h{}, dh{};
      for (std::size_t r = 0; r < rank; ++r)
        for (std::size_t i = 0; i < in; ++i)
          h[r] += double(a[r * in + i]) * double(m[t * in + i]) * double(x[t * in + i]);
      for (std::size_t o = 0; o < out; ++o) {
        const double d = dy[site * tokens * out + t * out + o];
        double sum = lora.bias[o];
        for (std::size_t i = 0; i < in; ++i) {
          sum += double(lora.weight[o * in + i]) * double(x[t * in + i]);
          expected_dx[t * in + i] += d * double(lora.weight[o * in + i]);
        }
        for (std::size_t r = 0; r < rank; ++r) {
          sum += lora.scale * double(b[o * rank + r]) * h[r];
          db[o * rank + r] += lora.scale * d * h[r];
          dh[r] += lora.scale * d * double(b[o * rank + r]);
        }
        EXPECT_NEAR(y[site * tokens * out + t * out + o], sum, 1e-4);
      }
      for (std::size_t r = 0; r < rank; ++r)
        for (std::size_t i = 0; i < in; ++i) {
          da[r * in + i] += dh[r] * double(m[t * in + i]) * double(x[t * in + i]);
          expected_dx[t * in + i] += dh[r] * double(m[t * in + i]) * double(a[r * in + i]);
        }
    }
    const std::string name = lora.stack.sites[site].name;
    for (std::size_t i = 0; i < da.size(); ++i)
      EXPECT_NEAR(lora.adapter->parameter("A." + name).gradient.span()[i], da[i], 1e-3);
    for (std::size_t i = 0; i < db.size(); ++i)
      EXPECT_NEAR(lora.adapter->parameter("B." + name).gradient.span()[i], db[i], 1e-3);
  }
  for (std::size_t i = 0; i < dx.size(); ++i) EXPECT_NEAR(dx[i], expected_dx[i], 1e-3);
}

TEST(AdapterDropout, IsNoneOnAverageAndNoneWithoutATrace) {
  Lora lora;
  const std::vector<float> x = numbers(tokens * in, "x");
  const std::vector<float> plain = lora.forward({x.data(), tokens, in}, nullptr);
  constexpr int passes = 4000;
  std::vector<double> mean(plain.size());
  std::vector<float> first;
  for (int pass = 0; pass < passes; ++pass) {
    lora.adapter->set_dropout({probability, 9, static_cast<std::uint64_t>(pass)});
    Trace<float> trace;
    const std::vector<float> y = lora.forward({x.data(), tokens, in}, &trace);
    if (pass == 0) first = y;
    for (std::size_t i = 0; i < y.size(); ++i) mean[i] += double(y[i]) / passes;
  }
  EXPECT_NE(first, plain);
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(mean[i], plain[i], 0.35);
  EXPECT_EQ(lora.forward({x.data(), tokens, in}, nullptr), plain);
}

TEST(AdapterDropout, DrawsAnewForEveryCallAndPass) {
  Lora lora;
  const std::vector<float> x = numbers(tokens * in, "x");
  Trace<float> trace;
  std::vector<std::vector<float>> outputs;
  for (const std::uint64_t pass : {1U, 2U, 1U}) {
    lora.adapter->set_dropout({probability, 9, pass});
    for (int call = 0; call < 2; ++call)
      outputs.push_back(lora.forward({x.data(), tokens, in}, &trace));
  }
  EXPECT_NE(outputs[0], outputs[1]);
  EXPECT_NE(outputs[0], outputs[2]);
  EXPECT_EQ(outputs[0], outputs[4]);
  EXPECT_EQ(outputs[1], outputs[5]);
}

TEST(AdapterDropout, IsRefusedWhereItMeansNothing) {
  const Registry registry = builtin_registry();
  const Stack stack{std::vector<Site>{{"query", MatrixType::q, 0, 8, 8}}};
  const auto error = [&](const char* name) {
    const Method& method = registry.at(name);
    const auto adapter = make_adapter<float>(
        method, stack, resolve_settings(method, {method.has_rank ? "2" : "", {}, "", {}}, stack),
        make_cpu_device());
    return error_of([&] { adapter->set_dropout({0.1, 1, 0}); });
  };
  EXPECT_THAT(error("dora"), HasSubstr("[dora] site query: dropout of the adapter's input means "
                                       "nothing here: the method normalises"));
  EXPECT_EQ(error("lotr"), "");
  EXPECT_EQ(error("full"), "");
  EXPECT_THAT(error("none"), HasSubstr("the method reads no input"));
  const Lora lora;
  EXPECT_THAT(error_of([&] { lora.adapter->set_dropout({1, 1, 0}); }), HasSubstr("below 1"));
}

}  // namespace
}  // namespace rankfold
