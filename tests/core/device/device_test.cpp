#include "core/device/device.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>

#include "core/base/error.h"
#include "core/device/bfloat16_weight.h"
#include "every_device.h"

namespace rankfold {
namespace {

INSTANTIATE_TEST_SUITE_P(Devices, EveryDevice, testing::Values("cpu", "test"),
                         [](const auto& name) { return name.param; });

// A matrix of 7 rows and 150 columns, 160 apart: several ranges of columns, and a gap.
constexpr std::size_t rows = 7, columns = 150, stride = 160;

template <class Function>
std::string error_message(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

template <class T>
std::vector<T> without_gaps(const std::vector<T>& matrix) {
  std::vector<T> dense;
  for (std::size_t i = 0; i < rows; ++i)
    dense.insert(dense.end(), matrix.begin() + i * stride, matrix.begin() + i * stride + columns);
  return dense;
}

TEST_P(EveryDevice, CopiesBetweenItsMemoryAndTheHosts) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    const auto values = random<T>(33, "values");
    const Buffer<T> from = put(values);
    Buffer<T> to(device, 33);
    EXPECT_EQ(get(to), std::vector<T>(33, T{0}));
    device->copy(from.data() + 3, 30 * sizeof(T), to.data());
    device->synchronise();
    std::vector<T> expected(values.begin() + 3, values.end());
    expected.resize(33);
    EXPECT_EQ(get(to), expected);
    HostWrite<T>{to}[32] = T{5};
    expected[32] = T{5};
    EXPECT_EQ(get(to), expected);
  });
}

TEST_P(EveryDevice, MultipliesMatrices) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    constexpr std::size_t m = 5, n = 9, k = 70;
    const auto a = random<T>(m * k, "a"), b = random<T>(n * k, "b"), c = random<T>(m * n, "c");
    Buffer<T> result = put(c);
    const Buffer<T> left = put(a), right = put(b);
    device->gemm(false, true, m, n, k, T{2}, left.data(), k, right.data(), k, T{3}, result.data(),
                 n);
    std::vector<T> expected(m * n);
    for (std::size_t i = 0; i < m; ++i)
      for (std::size_t j = 0; j < n; ++j) {
        double sum = 0;
        for (std::size_t p = 0; p < k; ++p) sum += double(a[i * k + p]) * double(b[j * k + p]);
        expected[i * n + j] = T(2 * sum + 3 * double(c[i * n + j]));
      }
    expect_close(get(result), expected);
  });
}

TEST_P(EveryDevice, AccumulatesAndClearsOverLoops) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    const auto a = random<T>(12, "a"), b = random<T>(4, "b"), target = random<T>(6, "target");
    const Buffer<T> left = put(a), right = put(b);
    Buffer<T> sums = put(target);
    StridedLoop loop;  // target[2 i] += 2 sum over j of a[4 i + j] b[j]
    loop.add({.size = 3, .a = 4, .b = 0, .target = 2});
    loop.add({.size = 4, .a = 1, .b = 1, .target = 0});
    device->accumulate(loop, T{2}, left.data(), right.data(), sums.data());
    std::vector<T> expected = target;
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 4; ++j) expected[2 * i] += 2 * a[4 * i + j] * b[j];
    expect_close(get(sums), expected);
    device->accumulate(loop, T{1}, left.data(), static_cast<const T*>(nullptr), sums.data());
    for (std::size_t i = 0; i < 3; ++i)
      for (std::size_t j = 0; j < 4; ++j) expected[2 * i] += a[4 * i + j];
    expect_close(get(sums), expected);
    device->clear(loop, sums.data());
    for (std::size_t i = 0; i < 3; ++i) expected[2 * i] = 0;
    expect_close(get(sums), expected);
  });
}

TEST_P(EveryDevice, FillsCopiesAndAddsRows) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    const auto matrix = random<T>(rows * stride, "matrix"), row = random<T>(columns, "row"),
               other = random<T>(rows * columns, "other");
    const Buffer<T> from = put(matrix), line = put(row);
    Buffer<T> to = put(other), kept(device, rows * columns), wide = put(matrix);
    const MatrixView<const T> source(from.data(), rows, columns, stride);
    const MatrixView<T> target(to.data(), rows, columns), gaps(wide.data(), rows, columns, stride);

    device->add_matrix(source, target);
    std::vector<T> expected = without_gaps(matrix);
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] += other[i];
    EXPECT_EQ(get(to), expected);

    device->copy_matrix(source, target);
    EXPECT_EQ(get(to), without_gaps(matrix));

    device->keep_and_add_row(line.data(), gaps, kept.data());
    EXPECT_EQ(get(kept), without_gaps(matrix));
    std::vector<T> added = matrix;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) added[i * stride + j] += row[j];
    EXPECT_EQ(get(wide), added);
    device->keep_and_add_row(static_cast<const T*>(nullptr), gaps, kept.data());
    EXPECT_EQ(get(kept), without_gaps(added));
    EXPECT_EQ(get(wide), added);

    device->fill_rows(line.data(), gaps);
    for (std::size_t i = 0; i < rows; ++i)
      std::copy(row.begin(), row.end(), added.begin() + i * stride);
    EXPECT_EQ(get(wide), added);
    device->fill_rows(static_cast<const T*>(nullptr), gaps);
    for (std::size_t i = 0; i < rows; ++i) std::fill_n(added.begin() + i * stride, columns, T{0});
    EXPECT_EQ(get(wide), added);

    device->fill(3, T{7}, to.data() + 1);
    std::vector<T> filled = without_gaps(matrix);
    std::fill_n(filled.begin() + 1, 3, T{7});
    EXPECT_EQ(get(to), filled);
  });
}

TEST_P(EveryDevice, CutsOffWhatIsBelowZero) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    Buffer<T> x = put(std::vector<T>{-1, 0, 2, -3}), d = put(std::vector<T>{5, 6, 7, 8});
    device->relu(4, x.data());
    EXPECT_EQ(get(x), (std::vector<T>{0, 0, 2, 0}));
    device->relu_backward(4, x.data(), d.data());
    EXPECT_EQ(get(d), (std::vector<T>{0, 0, 7, 0}));
  });
}

TEST_P(EveryDevice, AppliesAFunctionAndKeepsItsSlope) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    const std::vector<T> at = {T{-9}, T{-1.5}, T{-0.25}, T{0}, T{0.5}, T{2}, T{30}};
    for (const auto function : {HiddenActivation::gelu, HiddenActivation::gelu_tanh,
                                HiddenActivation::silu, HiddenActivation::tanh}) {
      Buffer<T> x = put(at), alone = put(at), slopes(device, at.size());
      device->apply(function, at.size(), x.data(), slopes.data());
      device->apply(function, at.size(), alone.data(), static_cast<T*>(nullptr));
      EXPECT_EQ(get(alone), get(x));
      const std::vector<T> values = get(x), kept = get(slopes);
      for (std::size_t i = 0; i < at.size(); ++i) {
        const double point = at[i], step = 1e-5;
        EXPECT_NEAR(values[i], function_of(function, point), 1e-6 * (1 + std::abs(point)));
        EXPECT_NEAR(kept[i],
                    (function_of(function, point + step) - function_of(function, point - step)) /
                        (2 * step),
                    1e-6);
      }
    }
  });
}

TEST_P(EveryDevice, SumsProductsOfRowsAndColumns) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    const auto matrix = random<T>(rows * stride, "matrix"), b = random<T>(rows * columns, "b"),
               of_rows = random<T>(rows, "of rows"), of_columns = random<T>(columns, "of columns");
    const Buffer<T> left = put(matrix), right = put(b), row_factors = put(of_rows),
                    column_factors = put(of_columns);
    Buffer<T> row_sums = put(of_rows), column_sums = put(of_columns), scaled(device, b.size());
    const MatrixView<const T> a(left.data(), rows, columns, stride);
    std::vector<T> by_row(rows), by_row_weighted(rows), by_column(columns),
        by_column_weighted(columns), scaled_columns;
    for (std::size_t i = 0; i < rows; ++i)
      for (std::size_t j = 0; j < columns; ++j) {
        const T product = matrix[i * stride + j] * b[i * columns + j];
        by_row[i] += product;
        by_row_weighted[i] += of_columns[j] * product;
        by_column[j] += product;
        by_column_weighted[j] += of_rows[i] * product;
        scaled_columns.push_back(of_columns[j] * matrix[i * stride + j]);
      }
    const T* const none = nullptr;
    device->sum_rows(a, right.data(), none, row_sums.data());
    expect_close(get(row_sums), by_row);
    device->sum_rows(a, right.data(), column_factors.data(), row_sums.data());
    expect_close(get(row_sums), by_row_weighted);
    device->sum_columns(a, right.data(), none, column_sums.data());
    expect_close(get(column_sums), by_column);
    device->sum_columns(a, right.data(), row_factors.data(), column_sums.data());
    expect_close(get(column_sums), by_column_weighted);
    device->sum_and_scale_columns(a, right.data(), column_factors.data(), column_sums.data(),
                                  scaled.data());
    expect_close(get(column_sums), by_column);
    expect_close(get(scaled), scaled_columns);
  });
}

TEST_P(EveryDevice, ScalesAndProjectsMatrices) {
  in_both_precisions([&](auto zero) {
    using T = decltype(zero);
    const auto x = random<T>(rows * stride, "x"), v = random<T>(rows * columns, "v"),
               r = random<T>(rows, "r"), s = random<T>(rows, "s"), t = random<T>(rows, "t"),
               c = random<T>(columns, "c"), d = random<T>(columns, "d");
    const Buffer<T> vs = put(v), rs = put(r), ss = put(s), ts = put(t), cs = put(c), ds = put(d);
    // `run` on x, against `formula` of each of its elements.
    const auto check = [&](const auto& run, const auto& formula) {
      Buffer<T> matrix = put(x);
      run(MatrixView<T>(matrix.data(), rows, columns, stride));
      std::vector<T> expected = x;
      for (std::size_t i = 0; i < rows; ++i)
        for (std::size_t j = 0; j < columns; ++j)
          expected[i * stride + j] = formula(i, j, x[i * stride + j], v[i * columns + j]);
      expect_close(get(matrix), expected);
    };
    check([&](MatrixView<T> m) { device->scale_rows(rs.data(), m); },
          [&](auto i, auto, T value, T) { return r[i] * value; });
    check([&](MatrixView<T> m) { device->scale_columns(cs.data(), m); },
          [&](auto, auto j, T value, T) { return c[j] * value; });
    check(
        [&](MatrixView<T> m) {
          device->scale_rows_by_columns(rs.data(), ss.data(), cs.data(), ts.data(), m);
        },
        [&](auto i, auto j, T value, T) { return value * r[i] * (s[i] * c[j] + t[i]); });
    check([&](MatrixView<T> m) { device->project_rows(rs.data(), ss.data(), vs.data(), m); },
          [&](auto i, auto, T value, T along) { return r[i] * (value - s[i] * along); });
    check(
        [&](MatrixView<T> m) {
          device->project_columns(cs.data(), ds.data(), rs.data(), vs.data(), m);
        },
        [&](auto i, auto j, T value, T along) { return c[j] * (value - d[j] * r[i] * along); });
    Buffer<T> y = put(x);
    const Buffer<T> other = put(x);
    device->combine(x.size(), T{2}, other.data(), T{-3}, y.data());
    std::vector<T> expected = x;
    for (T& value : expected) value = 2 * value - 3 * value;
    expect_close(get(y), expected);
  });
}

TEST_P(EveryDevice, MultipliesByWeightsInBfloat16) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty()) GTEST_SKIP() << obstacle;
  constexpr std::size_t tokens = 3, out = 8, in = 16;
  const auto w = random<float>(out * in, "w"), x = random<float>(tokens * in, "x"),
             bias = random<float>(out, "bias");
  const Bfloat16Weight weight(w.data(), out, in);
  std::vector<float> y(tokens * out), dx(tokens * in);
  weight.forward({x.data(), tokens, in}, bias.data(), {y.data(), tokens, out});
  weight.backward({y.data(), tokens, out}, {dx.data(), tokens, in}, false);
  const Buffer<float> input = put(x), added = put(bias);
  Buffer<float> output(device, y.size()), gradient(device, dx.size());
  device->bfloat16_forward(weight, {input.data(), tokens, in}, added.data(),
                           {output.data(), tokens, out});
  EXPECT_EQ(get(output), y);
  device->bfloat16_backward(weight, {output.data(), tokens, out}, {gradient.data(), tokens, in},
                            false);
  EXPECT_EQ(get(gradient), dx);
}

TEST_P(EveryDevice, RunsEveryLaneOnce) {
  std::vector<std::atomic<int>> runs(device->lanes());
  device->run_lanes(runs.size(), [&](std::size_t lane) { ++runs[lane]; });
  for (const auto& count : runs) EXPECT_EQ(count, 1);
  for (const std::size_t width : {std::size_t{0}, std::size_t{1}, std::size_t{1536}, SIZE_MAX})
    EXPECT_GE(device->block_rows(width), 1u);
}

TEST_P(EveryDevice, GivesTheHostMemoryThatItReachesWithoutCopies) {
  Buffer<float> buffer = put(std::vector<float>{1, 2, 3});
  const std::vector<float> mapped = {4, 5};
  std::deque<Buffer<float>> copies;
  const float* placed = place_on_device<float>(device, mapped, copies);
  if (device->reaches_host()) {
    EXPECT_EQ(HostRead<float>(buffer).data(), buffer.data());
    EXPECT_EQ(buffer.span().data(), buffer.data());
    EXPECT_EQ(placed, mapped.data());
    EXPECT_NO_THROW(expect_host_memory(*device, "fit"));
  } else {
    EXPECT_NE(HostRead<float>(buffer).data(), buffer.data());
    EXPECT_NE(error_message([&] { buffer.span(); }).find("the test device"), std::string::npos);
    EXPECT_EQ(copies.size(), 1u);
    const HostRead<float> read(*device, placed, 2);
    EXPECT_EQ(std::vector<float>(read.begin(), read.end()), mapped);
    EXPECT_NE(error_message([&] { expect_host_memory(*device, "fit"); }).find("fit: "),
              std::string::npos);
  }
}

TEST(TestDevice, RefusesAddressesOfTheHost) {
  const auto device = make_test_device();
  std::vector<float> host(4);
  EXPECT_THROW(device->fill(4, 1.0f, host.data()), Error);
  EXPECT_EQ(host, std::vector<float>(4));
}

TEST(TestDevice, FaultsWhereTheHostReadsItsMemory) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const Buffer<float> buffer(make_test_device(), std::size_t{4});
  EXPECT_DEATH(static_cast<void>(*static_cast<const volatile float*>(buffer.data())), "");
}

}  // namespace
}  // namespace rankfold
