#include "experiments/models/blocks/tensor_train_head.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/double_reference.h"

namespace rankfold {
namespace {

constexpr std::size_t hidden = 64, rows = 3;

TEST(TensorTrainHead, IsADenseLayerOfItsTrainAndBias) {
  const auto head = make_tensor_train_head<float>("pooler", hidden, 2, 5, make_cpu_device());
  std::vector<float> weight(hidden * hidden), y(rows * hidden);
  const std::vector<float> x = reference::normal(rows * hidden, "x");
  head->reconstruct(0, {weight.data(), hidden, hidden});
  head->forward(0, MatrixView<const float>(x.data(), rows, hidden), {y.data(), rows, hidden},
                nullptr);
  const Parameter<float>& bias = head->parameter("bias.pooler");
  const reference::Linear dense{reference::in_double(weight),
                                reference::in_double(bias.value.span())};
  const reference::Rows expected =
      dense.apply(reference::Rows(MatrixView<const float>(x.data(), rows, hidden)));
  EXPECT_LT(reference::relative_error(y, expected.values), 1e-6);
  for (const float value : bias.value.span()) EXPECT_LE(std::fabs(value), 1.0f / 8);
}

TEST(TensorTrainHead, HasTheGradientsOfTheFormula) {
  const auto device = make_cpu_device();
  const auto head = make_tensor_train_head<float>("pooler", hidden, 2, 5, device);
  const auto formula = make_tensor_train_head<double>("pooler", hidden, 2, 5, device);
  const std::vector<float> x = reference::normal(rows * hidden, "x"),
                           dy = reference::normal(rows * hidden, "dy");
  const MatrixView<const float> input(x.data(), rows, hidden), gradient(dy.data(), rows, hidden);
  std::vector<float> y(rows * hidden), dx(rows * hidden);
  Trace<float> trace;
  head->forward(0, input, {y.data(), rows, hidden}, &trace);
  head->backward(0, input, gradient, trace, {dx.data(), rows, hidden});
  for (std::size_t p = 0; p < head->parameters().size(); ++p)
    std::ranges::copy(head->parameters()[p].value.span(),
                      formula->parameters()[p].value.span().begin());
  reference::Linear dense;
  dense.bias.resize(hidden);
  dense.adapter = formula.get();
  reference::Rows in_double(input);
  const auto loss = [&] {
    return reference::dot(dense.apply(in_double), reference::Rows(gradient));
  };
  EXPECT_LT(reference::relative_error(dx, reference::central_differences(in_double.values, loss)),
            1e-6);
  for (std::size_t p = 0; p < head->parameters().size(); ++p)
    EXPECT_LT(reference::relative_error(
                  head->parameters()[p].gradient.span(),
                  reference::central_differences(formula->parameters()[p].value.span(), loss)),
              1e-6)
        << head->parameters()[p].name;
}

TEST(TensorTrainHead, StartsOtherwiseForAnotherSeed) {
  const auto first = make_tensor_train_head<float>("pooler", hidden, 2, 5, make_cpu_device()),
             second = make_tensor_train_head<float>("pooler", hidden, 2, 6, make_cpu_device());
  EXPECT_NE(first->parameters()[0].value.data()[0], second->parameters()[0].value.data()[0]);
}

}  // namespace
}  // namespace rankfold
