#include "core/xtensor_views.h"

#include <gtest/gtest.h>

#include <xtensor/xmath.hpp>

#include "core/adapter/method.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

/// dW[out, in] = B[out, r] A[r, in].
Method product() {
  Method method;
  method.name = "product";
  method.declare = [](const Site& site, const Stack&, const MethodSettings& settings) {
    const Mode out{"out", site.out}, in{"in", site.in}, r{"r", settings.rank};
    return weight_update(
        {.out = {out},
         .in = {in},
         .terms = {{.product = {Factor{"B", {out, r}, normal(1)},
                                Factor{"A", {r, in}, normal(1), Owner::site, false}}}}});
  };
  return method;
}

std::unique_ptr<Adapter<double>> make(std::size_t rank) {
  const Stack stack({{"q", MatrixType::q, 0, 4, 3, 1}});
  auto adapter = make_adapter<double>(product(), stack, {rank, 1, {}}, make_cpu_device());
  adapter->initialise(1);
  return adapter;
}

TEST(Views, ReadAndWriteAFactorWhereItLies) {
  const auto adapter = make(2);
  Parameter<double>& b = adapter->parameter("B.q");
  auto view = view_value(b);
  ASSERT_EQ(view.dimension(), 2U);
  EXPECT_EQ(view.shape(0), 4U);
  EXPECT_EQ(view.shape(1), 2U);
  EXPECT_EQ(view(3, 1), b.value.data()[7]);
  view(3, 1) = 5;
  EXPECT_EQ(b.value.data()[7], 5);
  view *= 2;
  EXPECT_EQ(b.value.data()[7], 10);
  const Parameter<double>& same = b;
  EXPECT_EQ(&view_value(same)(0, 0), b.value.data());
  EXPECT_EQ(view_gradient(b).shape(0), 4U);
  EXPECT_EQ(view_gradient(adapter->parameter("A.q")).size(), 0U);
}

TEST(Views, ReconstructTheProductOfTheFactors) {
  const auto adapter = make(2);
  const auto b = view_value(adapter->parameter("B.q")), a = view_value(adapter->parameter("A.q"));
  const xt::xtensor<double, 2> update = reconstruct(*adapter, 0);
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 3; ++j)
      EXPECT_DOUBLE_EQ(update(i, j), b(i, 0) * a(0, j) + b(i, 1) * a(1, j));
  EXPECT_THROW(reconstruct(*adapter, 1), std::exception);
}

TEST(Views, ReadMatricesWhoseRowsLieApart) {
  std::vector<double> values(20);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(i);
  const auto view = view_matrix(MatrixView<const double>{values.data() + 1, 4, 3, 5});
  EXPECT_EQ(view(2, 1), 12);
  EXPECT_EQ(xt::sum(view)(), 4 * (1 + 2 + 3) + 3 * (5 + 10 + 15));
  view_matrix(MatrixView<double>{values.data(), 2, 2, 10})(1, 1) = -1;
  EXPECT_EQ(values[11], -1);
}

}  // namespace
}  // namespace rankfold
