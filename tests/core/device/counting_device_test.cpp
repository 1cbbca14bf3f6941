#include "core/device/counting_device.h"

#include <vector>

#include <gtest/gtest.h>

#include "core/device/dropout.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

void multiply(const Device& device, std::size_t m, std::size_t n, std::size_t k) {
  const std::vector<float> a(m * k, 1.0f), b(k * n, 2.0f);
  std::vector<float> c(m * n);
  device.gemm(false, false, m, n, k, 1.0f, a.data(), k, b.data(), n, 0.0f, c.data(), n);
  EXPECT_EQ(c.front(), 2.0f * static_cast<float>(k));
}

TEST(CountingDevice, SeparatesLargeProductsFromThinOnes) {
  const CountingDevice device(make_cpu_device());
  multiply(device, 65, 66, 67);
  multiply(device, 200, 100, 64);
  multiply(device, 8, 100, 200);
  const WorkCount count = device.count();
  EXPECT_EQ(count.large_flops, 2u * 65 * 66 * 67);
  EXPECT_EQ(count.thin_flops, 2u * 200 * 100 * 64 + 2u * 8 * 100 * 200);
  EXPECT_EQ(count.flops(), count.large_flops + count.thin_flops);
}

TEST(CountingDevice, CountsProductsOfDoublesToo) {
  const CountingDevice device(make_cpu_device());
  const std::vector<double> a(6, 1.0);
  std::vector<double> c(4);
  device.gemm(false, true, 2, 2, 3, 1.0, a.data(), 3, a.data(), 3, 0.0, c.data(), 2);
  EXPECT_EQ(c.front(), 3.0);
  EXPECT_EQ(device.count().thin_flops, 2u * 2 * 2 * 3);
}

TEST(CountingDevice, CountsOfAnAttentionWhatItsQueriesSee) {
  const CountingDevice device(make_cpu_device());
  const std::vector<std::size_t> keys = {0, 4, 6}, queries = {0, 4, 5};
  const std::vector<float> x(6 * 4, 1.0f);
  std::vector<float> context(5 * 4);
  const auto flops = [&](bool causal, std::size_t window) {
    const std::uint64_t before = device.count().flops();
    device.attend({2, 2, queries, keys, 1, causal, window}, {x.data(), 5, 4}, {x.data(), 6, 2},
                  {x.data(), 6, 2}, {}, {}, {context.data(), 5, 4});
    return device.count().flops() - before;
  };
  constexpr std::uint64_t of_a_pair = 2 * 2 * 2 * 2;
  EXPECT_EQ(flops(false, 0), of_a_pair * (4 * 4 + 1 * 2));
  EXPECT_EQ(flops(true, 0), of_a_pair * (1 + 2 + 3 + 4 + 2));
  EXPECT_EQ(flops(true, 2), of_a_pair * (1 + 2 + 2 + 2 + 2));
}

TEST(CountingDevice, CountsAProductForEachTermOfRelativePositions) {
  const CountingDevice device(make_cpu_device());
  const std::vector<std::size_t> starts = {0, 2};
  const std::vector<std::uint32_t> rows = {0, 1, 2};
  std::vector<float> values(24), sums(8);
  const MatrixView<float> x(values.data(), 2, 3), positions(values.data(), 3, 3);
  const AttentionShape shape{1, 3, starts, starts};
  const AttentionTrace trace{reinterpret_cast<SoftmaxSums*>(sums.data()), nullptr, 0};
  RelativeScores relative{1, 3, rows, positions, {}};
  const std::uint64_t product = 2 * 2 * 2 * 3;
  std::vector<float> context(6), d_keys(9);
  const MatrixView<float> out(context.data(), 2, 3);
  device.attend_relative(shape, relative, x, x, x, Dropout(), trace, out);
  EXPECT_EQ(device.count().thin_flops, 3 * product);
  relative.queries = positions;
  device.attend_relative(shape, relative, x, x, x, Dropout(), trace, out);
  EXPECT_EQ(device.count().thin_flops, 7 * product);
  // Scores again, dP, those of q and its positions, and the positions' own.
  device.attend_relative_backward(shape, relative, x, x, x, Dropout(), trace, out,
                                  {true, false, false}, {d_keys.data(), 3, 3}, {});
  EXPECT_EQ(device.count().thin_flops, 14 * product);
}

TEST(CountingDevice, LosesNoProductOfParallelThreads) {
  const CountingDevice device(make_cpu_device());
  constexpr int products = 2000;
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < products; ++i) multiply(device, 2, 3, 4);
  EXPECT_EQ(device.count().thin_flops, std::uint64_t{products} * 2 * 2 * 3 * 4);
}

TEST(CountingDevice, CountsAllocationsAndTheirBytes) {
  const auto device = std::make_shared<CountingDevice>(make_cpu_device());
  {
    const Buffer<float> first(device, 10);
    const Buffer<double> second(device, 3);
  }
  EXPECT_EQ(device->count().allocations, 2u);
  EXPECT_EQ(device->count().allocated_bytes, 10 * sizeof(float) + 3 * sizeof(double));
}

TEST(CountingDevice, SumsRecordedSecondsByKindAndStartsAnewAfterReset) {
  CountingDevice device(make_cpu_device());
  device.record(Work::attention, 0.5);
  device.record(Work::attention, 0.25);
  device.record(Work::elementwise, 2);
  { const WorkTimer timer(device, Work::adapter); }
  EXPECT_EQ(device.count().seconds_of(Work::attention), 0.75);
  EXPECT_EQ(device.count().seconds_of(Work::elementwise), 2);
  EXPECT_EQ(device.count().seconds_of(Work::frozen_product), 0);
  EXPECT_GE(device.count().seconds_of(Work::adapter), 0);
  multiply(device, 2, 2, 2);
  device.reset();
  EXPECT_EQ(device.count().seconds_of(Work::attention), 0);
  EXPECT_EQ(device.count().flops(), 0u);
}

TEST(CountingDevice, ComputesWhatTheCountedDeviceComputes) {
  const CountingDevice counting(make_cpu_device());
  const Device& device = counting;
  const std::vector<float> a = {1, 2, 3, 4};
  std::vector<float> target(2);
  StridedLoop row_sums;
  row_sums.add({.size = 2, .a = 2, .b = 0, .target = 1});
  row_sums.add({.size = 2, .a = 1, .b = 0, .target = 0});
  device.accumulate(row_sums, 1.0f, a.data(), nullptr, target.data());
  EXPECT_EQ(target, (std::vector<float>{3, 7}));
  EXPECT_EQ(device.description(), make_cpu_device()->description());
}

}  // namespace
}  // namespace rankfold
