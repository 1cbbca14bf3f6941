#include "experiments/models/blocks/layer_norm.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "models/double_reference.h"

namespace rankfold {
namespace {

using reference::normal;

constexpr std::size_t rows = 5, width = 21, stride = 29;

/// out = LayerNorm(residual + dropout(z + bias)) in rows that lie apart.
struct Example {
  std::vector<float> z = normal(rows * stride, "z"), residual = normal(rows * width, "residual"),
                     bias = normal(width, "bias"), weight = normal(width, "weight"),
                     shift = normal(width, "shift"), d_out = normal(rows * width, "d_out"),
                     weight_gradient = std::vector<float>(width, 1.0f),
                     shift_gradient = std::vector<float>(width, 2.0f);
  Dropout dropout;
  bool with_bias = true, with_residual = true, trained = true;

  MatrixView<float> z_view() { return {z.data(), rows, width, stride}; }
  LayerNorm norm() {
    LayerNorm result{weight.data(), shift.data()};
    if (trained) {
      result.weight_gradient = weight_gradient.data();
      result.shift_gradient = shift_gradient.data();
    }
    result.epsilon = 0.125f;
    return result;
  }

  struct Unknowns {
    reference::Rows z, residual;
    std::vector<double> bias;
    reference::Norm norm;
  };
  Unknowns unknowns() {
    Unknowns u{reference::Rows(z_view()),
               reference::Rows(rows, width),
               std::vector<double>(width),
               {reference::in_double(weight), reference::in_double(shift), 0.125}};
    if (with_residual) u.residual.values = reference::in_double(residual);
    if (with_bias) u.bias = reference::in_double(bias);
    return u;
  }
  reference::Rows apply(const Unknowns& u) const {
    reference::Rows s = u.z;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t c = 0; c < width; ++c) s.at(i, c) += u.bias[c];
    return u.norm.apply(reference::sum(u.residual, reference::dropped(s, dropout)));
  }
  double loss(const Unknowns& u) const {
    return reference::dot(apply(u),
                          reference::Rows(MatrixView<const float>(d_out.data(), rows, width)));
  }
};

TEST(LayerNorm, AndItsGradientsAreThoseOfTheFormula) {
  for (const bool drops : {false, true})
    for (const bool bare : {false, true}) {
      Example example;
      if (drops) example.dropout = Dropout(0.3, 1, "place", 2).from_row(4);
      example.with_bias = example.with_residual = !bare;
      const auto device = make_cpu_device();
      Arena arena(device);
      const NormTrace trace = take_norm_trace(arena, rows, width);
      std::vector<float> out(rows * width), again(rows * width);
      Example::Unknowns u = example.unknowns();
      const reference::Rows expected = example.apply(u);
      add_and_normalise(example.norm(), example.z_view(), bare ? nullptr : example.bias.data(),
                        example.dropout,
                        bare ? MatrixView<const float>()
                             : MatrixView<const float>(example.residual.data(), rows, width),
                        trace, {out.data(), rows, width}, *device);
      EXPECT_LT(reference::relative_error(out, expected.values), 1e-6);
      form_again(example.norm(), trace, {again.data(), rows, width}, *device);
      EXPECT_EQ(again, out);

      const auto slopes = [&](std::span<double> values) {
        return reference::central_differences(values, [&] { return example.loss(u); });
      };
      std::vector<float> d_residual(rows * width), dz(rows * width);
      add_and_normalise_backward(
          example.norm(), example.dropout, {example.d_out.data(), rows, width}, trace,
          {d_residual.data(), rows, width}, {dz.data(), rows, width}, *device);
      EXPECT_LT(reference::relative_error(d_residual, slopes(u.residual.values)), 1e-6);
      EXPECT_LT(reference::relative_error(dz, slopes(u.z.values)), 1e-6);
      std::vector<double> weight = slopes(u.norm.weight), shift = slopes(u.norm.shift);
      for (double& slope : weight) slope += 1.0;  // gradients are added to what is there
      for (double& slope : shift) slope += 2.0;
      EXPECT_LT(reference::relative_error(example.weight_gradient, weight), 1e-6);
      EXPECT_LT(reference::relative_error(example.shift_gradient, shift), 1e-6);
    }
}

TEST(LayerNorm, OfARangeOfRowsIsThatOfTheWhole) {
  Example example;
  const auto device = make_cpu_device();
  Arena arena(device);
  const NormTrace trace = take_norm_trace(arena, rows, width);
  std::vector<float> whole(rows * width), parts(rows * width);
  add_and_normalise(example.norm(), example.z_view(), nullptr, {}, {}, trace,
                    {whole.data(), rows, width}, *device);
  const NormTrace pieces = take_norm_trace(arena, rows, width);
  for (const std::size_t first : {std::size_t{0}, std::size_t{2}}) {
    const std::size_t count = first == 0 ? 2 : rows - 2;
    const MatrixView<const float> z(example.z.data() + first * stride, count, width, stride);
    add_and_normalise(example.norm(), z, nullptr, {}, {}, pieces.range(first, count),
                      {parts.data() + first * width, count, width}, *device);
  }
  EXPECT_EQ(parts, whole);
  EXPECT_FALSE(NormTrace{}.range(1, 2).normalised.data);
}

TEST(LayerNorm, ThatIsFrozenGetsNoGradients) {
  Example example;
  example.trained = false;
  const std::vector<float> normalised = normal(rows * width, "normalised");
  add_norm_gradients(example.norm(), {example.d_out.data(), rows, width},
                     {normalised.data(), rows, width}, *make_cpu_device());
  EXPECT_EQ(example.weight_gradient, std::vector<float>(width, 1.0f));
}

}  // namespace
}  // namespace rankfold
