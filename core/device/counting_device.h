#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "core/device/forwarding_device.h"

namespace rankfold {

/// What went through a CountingDevice. A product of m x k and k x n has 2 m n k FLOPs; those of an
/// attention, which sees a block of queries at a time, are thin.
struct WorkCount {
  std::uint64_t large_flops = 0;  ///< of products whose m, n and k all exceed thin_side
  std::uint64_t thin_flops = 0;   ///< of the other products
  std::uint64_t allocations = 0, allocated_bytes = 0;
  std::array<double, 4> seconds = {};  ///< recorded by WorkTimer, in the order of Work

  std::uint64_t flops() const { return large_flops + thin_flops; }
  double seconds_of(Work work) const { return seconds[static_cast<std::size_t>(work)]; }
};

/// A device that hands everything on to another and counts it. Products may come from several
/// threads at once; `record`, `count` and `reset` belong to one thread.
class CountingDevice final : public ForwardingDevice {
 public:
  static constexpr std::size_t thin_side = 64;

  explicit CountingDevice(std::shared_ptr<const Device> counted);

  /// Everything since construction or the last reset.
  WorkCount count() const;
  void reset();

  void* allocate(std::size_t bytes) const override;
  void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
            float alpha, const float* a, std::size_t stride_a, const float* b, std::size_t stride_b,
            float beta, float* c, std::size_t stride_c) const override;
  void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
            double alpha, const double* a, std::size_t stride_a, const double* b,
            std::size_t stride_b, double beta, double* c, std::size_t stride_c) const override;
  void attend(const AttentionShape& shape, MatrixView<const float> q, MatrixView<const float> k,
              MatrixView<const float> v, const Dropout& dropout, const AttentionTrace& trace,
              MatrixView<float> context) const override;
  void attend_backward(const AttentionShape& shape, MatrixView<float> q, MatrixView<float> k,
                       MatrixView<float> v, const Dropout& dropout, const AttentionTrace& trace,
                       MatrixView<const float> d_context, AttentionGradients wanted) const override;
  void attend_relative(const AttentionShape& shape, const RelativeScores& relative,
                       MatrixView<const float> q, MatrixView<const float> k,
                       MatrixView<const float> v, const Dropout& dropout,
                       const AttentionTrace& trace, MatrixView<float> context) const override;
  void attend_relative_backward(const AttentionShape& shape, const RelativeScores& relative,
                                MatrixView<float> q, MatrixView<float> k, MatrixView<float> v,
                                const Dropout& dropout, const AttentionTrace& trace,
                                MatrixView<const float> d_context, AttentionGradients wanted,
                                MatrixView<float> d_keys,
                                MatrixView<float> d_queries) const override;
  void record(Work work, double seconds) const override;

 private:
  void count_product(std::size_t m, std::size_t n, std::size_t k) const;
  void count_attention(const AttentionShape& shape, std::uint64_t products) const;

  mutable std::atomic<std::uint64_t> large_flops_ = 0, thin_flops_ = 0;
  mutable std::atomic<std::uint64_t> allocations_ = 0, allocated_bytes_ = 0;
  mutable std::array<double, 4> seconds_ = {};
};

}  // namespace rankfold
