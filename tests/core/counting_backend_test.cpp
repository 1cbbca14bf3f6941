#include "core/counting_backend.h"

#include <vector>

#include <gtest/gtest.h>

#include "core/work.h"

namespace rankfold {
namespace {

void multiply(const Backend& backend, std::size_t m, std::size_t n, std::size_t k) {
  const std::vector<float> a(m * k, 1.0f), b(k * n, 2.0f);
  std::vector<float> c(m * n);
  backend.gemm(false, false, m, n, k, 1.0f, a.data(), k, b.data(), n, 0.0f, c.data(), n);
  EXPECT_EQ(c.front(), 2.0f * static_cast<float>(k));
}

TEST(CountingBackend, SeparatesLargeProductsFromThinOnes) {
  const CountingBackend backend(make_openblas_backend());
  multiply(backend, 65, 66, 67);
  multiply(backend, 200, 100, 64);
  multiply(backend, 8, 100, 200);
  const WorkCount count = backend.count();
  EXPECT_EQ(count.large_flops, 2u * 65 * 66 * 67);
  EXPECT_EQ(count.thin_flops, 2u * 200 * 100 * 64 + 2u * 8 * 100 * 200);
  EXPECT_EQ(count.flops(), count.large_flops + count.thin_flops);
}

TEST(CountingBackend, CountsProductsOfDoublesToo) {
  const CountingBackend backend(make_openblas_backend());
  const std::vector<double> a(6, 1.0);
  std::vector<double> c(4);
  backend.gemm(false, true, 2, 2, 3, 1.0, a.data(), 3, a.data(), 3, 0.0, c.data(), 2);
  EXPECT_EQ(c.front(), 3.0);
  EXPECT_EQ(backend.count().thin_flops, 2u * 2 * 2 * 3);
}

TEST(CountingBackend, LosesNoProductOfParallelThreads) {
  const CountingBackend backend(make_openblas_backend());
  constexpr int products = 2000;
#pragma omp parallel for num_threads(4)
  for (int i = 0; i < products; ++i) multiply(backend, 2, 3, 4);
  EXPECT_EQ(backend.count().thin_flops, std::uint64_t{products} * 2 * 2 * 3 * 4);
}

TEST(CountingBackend, CountsAllocationsAndTheirBytes) {
  const auto backend = std::make_shared<CountingBackend>(make_openblas_backend());
  {
    const Buffer<float> first(backend, 10);
    const Buffer<double> second(backend, 3);
  }
  EXPECT_EQ(backend->count().allocations, 2u);
  EXPECT_EQ(backend->count().allocated_bytes, 10 * sizeof(float) + 3 * sizeof(double));
}

TEST(CountingBackend, SumsRecordedSecondsByKindAndStartsAnewAfterReset) {
  CountingBackend backend(make_openblas_backend());
  backend.record(Work::attention, 0.5);
  backend.record(Work::attention, 0.25);
  backend.record(Work::elementwise, 2);
  { const WorkTimer timer(backend, Work::adapter); }
  EXPECT_EQ(backend.count().seconds_of(Work::attention), 0.75);
  EXPECT_EQ(backend.count().seconds_of(Work::elementwise), 2);
  EXPECT_EQ(backend.count().seconds_of(Work::frozen_product), 0);
  EXPECT_GE(backend.count().seconds_of(Work::adapter), 0);
  multiply(backend, 2, 2, 2);
  backend.reset();
  EXPECT_EQ(backend.count().seconds_of(Work::attention), 0);
  EXPECT_EQ(backend.count().flops(), 0u);
}

TEST(CountingBackend, ComputesWhatTheCountedBackendComputes) {
  const CountingBackend backend(make_openblas_backend());
  const std::vector<float> a = {1, 2, 3, 4};
  std::vector<float> target(2);
  StridedLoop row_sums;
  row_sums.add({.size = 2, .a = 2, .b = 0, .target = 1});
  row_sums.add({.size = 2, .a = 1, .b = 0, .target = 0});
  backend.accumulate(row_sums, 1.0f, a.data(), nullptr, target.data());
  EXPECT_EQ(target, (std::vector<float>{3, 7}));
  EXPECT_EQ(backend.description(), make_openblas_backend()->description());
}

}  // namespace
}  // namespace rankfold
