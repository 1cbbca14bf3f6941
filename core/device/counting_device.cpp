#include "core/device/counting_device.h"

#include <algorithm>
#include <utility>

namespace rankfold {

CountingDevice::CountingDevice(std::shared_ptr<const Device> counted)
    : ForwardingDevice(std::move(counted)) {}

WorkCount CountingDevice::count() const {
  return {large_flops_, thin_flops_, allocations_, allocated_bytes_, seconds_};
}

void CountingDevice::reset() {
  large_flops_ = thin_flops_ = allocations_ = allocated_bytes_ = 0;
  seconds_ = {};
}

void* CountingDevice::allocate(std::size_t bytes) const {
  void* memory = inner().allocate(bytes);
  allocations_.fetch_add(1, std::memory_order_relaxed);
  allocated_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  return memory;
}

void CountingDevice::gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n,
                          std::size_t k, float alpha, const float* a, std::size_t stride_a,
                          const float* b, std::size_t stride_b, float beta, float* c,
                          std::size_t stride_c) const {
  count_product(m, n, k);
  inner().gemm(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c,
               stride_c);
}

void CountingDevice::gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n,
                          std::size_t k, double alpha, const double* a, std::size_t stride_a,
                          const double* b, std::size_t stride_b, double beta, double* c,
                          std::size_t stride_c) const {
  count_product(m, n, k);
  inner().gemm(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c,
               stride_c);
}

void CountingDevice::record(Work work, double seconds) const {
  seconds_[static_cast<std::size_t>(work)] += seconds;
  inner().record(work, seconds);
}

void CountingDevice::count_product(std::size_t m, std::size_t n, std::size_t k) const {
  auto& flops = std::min({m, n, k}) <= thin_side ? thin_flops_ : large_flops_;
  flops.fetch_add(std::uint64_t{2} * m * n * k, std::memory_order_relaxed);
}

}  // namespace rankfold
