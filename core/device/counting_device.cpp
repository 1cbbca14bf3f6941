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

void CountingDevice::attend(const AttentionShape& shape, MatrixView<const float> q,
                            MatrixView<const float> k, MatrixView<const float> v,
                            const Dropout& dropout, const AttentionTrace& trace,
                            MatrixView<float> context) const {
  count_attention(shape, 2);
  inner().attend(shape, q, k, v, dropout, trace, context);
}

void CountingDevice::attend_backward(const AttentionShape& shape, MatrixView<float> q,
                                     MatrixView<float> k, MatrixView<float> v,
                                     const Dropout& dropout, const AttentionTrace& trace,
                                     MatrixView<const float> d_context,
                                     AttentionGradients wanted) const {
  count_attention(shape, std::uint64_t{2} + wanted.q + wanted.k + wanted.v);
  inner().attend_backward(shape, q, k, v, dropout, trace, d_context, wanted);
}

/// Every term of positions is one more product of queries and keys: no row that none of them meets
/// is counted.
void CountingDevice::attend_relative(const AttentionShape& shape, const RelativeScores& relative,
                                     MatrixView<const float> q, MatrixView<const float> k,
                                     MatrixView<const float> v, const Dropout& dropout,
                                     const AttentionTrace& trace, MatrixView<float> context) const {
  const bool keys = relative.keys.data, queries = relative.queries.data;
  count_attention(shape, std::uint64_t{2} + keys + queries);
  inner().attend_relative(shape, relative, q, k, v, dropout, trace, context);
}

void CountingDevice::attend_relative_backward(const AttentionShape& shape,
                                              const RelativeScores& relative, MatrixView<float> q,
                                              MatrixView<float> k, MatrixView<float> v,
                                              const Dropout& dropout, const AttentionTrace& trace,
                                              MatrixView<const float> d_context,
                                              AttentionGradients wanted, MatrixView<float> d_keys,
                                              MatrixView<float> d_queries) const {
  const bool keys = relative.keys.data, queries = relative.queries.data;
  const bool of_keys = d_keys.data, of_queries = d_queries.data;
  count_attention(shape, std::uint64_t{2} + wanted.q + wanted.k + wanted.v + keys + queries +
                             (keys && wanted.q) + (queries && wanted.k) + of_keys + of_queries);
  inner().attend_relative_backward(shape, relative, q, k, v, dropout, trace, d_context, wanted,
                                   d_keys, d_queries);
}

void CountingDevice::count_attention(const AttentionShape& shape, std::uint64_t products) const {
  for (std::size_t s = 0; s < shape.sequences(); ++s) {
    const std::size_t queries = shape.query_starts[s + 1] - shape.query_starts[s],
                      keys = shape.keys(s);
    std::uint64_t pairs = std::uint64_t{queries} * keys;
    if (shape.causal) {
      const std::size_t window = shape.window > 0 ? shape.window : keys;
      pairs = 0;
      for (std::size_t seen = keys - queries + 1; seen <= keys; ++seen)
        pairs += std::min(seen, window);
    }
    thin_flops_.fetch_add(products * 2 * pairs * shape.heads * shape.head_dim,
                          std::memory_order_relaxed);
  }
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
