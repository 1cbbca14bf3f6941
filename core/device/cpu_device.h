#pragma once

#include "core/device/cpu_bodies.h"
#include "core/device/device.h"

// The class behind make_cpu_device; only the files of the CPU's device include it.

namespace rankfold {

/// The CPU's operations in one precision.
template <class Base, class T>
class CpuOperations : public Base {
 public:
  void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
            T alpha, const T* a, std::size_t stride_a, const T* b, std::size_t stride_b, T beta,
            T* c, std::size_t stride_c) const override {
    cpu::gemm(transpose_a, transpose_b, m, n, k, alpha, a, stride_a, b, stride_b, beta, c,
              stride_c);
  }
  void accumulate(const StridedLoop& loop, T alpha, const T* a, const T* b,
                  T* target) const override {
    cpu::accumulate(loop, alpha, a, b, target);
  }
  void clear(const StridedLoop& loop, T* target) const override { cpu::clear(loop, target); }
  void fill(std::size_t n, T value, T* out) const override { cpu::fill(n, value, out); }
  void copy_matrix(MatrixView<const T> from, MatrixView<T> to) const override {
    cpu::copy_matrix(from, to);
  }
  void add_matrix(MatrixView<const T> from, MatrixView<T> to) const override {
    cpu::add_matrix(from, to);
  }
  void fill_rows(const T* row, MatrixView<T> out) const override { cpu::fill_rows(row, out); }
  void keep_and_add_row(const T* row, MatrixView<T> y, T* kept) const override {
    cpu::keep_and_add_row(row, y, kept);
  }
  void relu(std::size_t n, T* x) const override { cpu::relu(n, x); }
  void relu_backward(std::size_t n, const T* x, T* d) const override {
    cpu::relu_backward(n, x, d);
  }
  void apply(HiddenActivation function, std::size_t n, T* x, T* slopes) const override {
    cpu::apply(function, n, x, slopes);
  }
  void sum_rows(MatrixView<const T> a, const T* b, const T* w, T* sums) const override {
    cpu::sum_rows(a, b, w, sums);
  }
  void sum_columns(MatrixView<const T> a, const T* b, const T* w, T* sums) const override {
    cpu::sum_columns(a, b, w, sums);
  }
  void sum_and_scale_columns(MatrixView<const T> a, const T* b, const T* scales, T* sums,
                             T* scaled) const override {
    cpu::sum_and_scale_columns(a, b, scales, sums, scaled);
  }
  void combine(std::size_t n, T alpha, const T* x, T beta, T* y) const override {
    cpu::combine(n, alpha, x, beta, y);
  }
  void scale_rows(const T* scales, MatrixView<T> x) const override { cpu::scale_rows(scales, x); }
  void scale_columns(const T* scales, MatrixView<T> x) const override {
    cpu::scale_columns(scales, x);
  }
  void scale_rows_by_columns(const T* outer, const T* inner, const T* columns, const T* added,
                             MatrixView<T> x) const override {
    cpu::scale_rows_by_columns(outer, inner, columns, added, x);
  }
  void project_rows(const T* scales, const T* along, const T* v, MatrixView<T> x) const override {
    cpu::project_rows(scales, along, v, x);
  }
  void project_columns(const T* scales, const T* along, const T* w, const T* v,
                       MatrixView<T> x) const override {
    cpu::project_columns(scales, along, w, v, x);
  }
};

class CpuDevice final : public CpuOperations<CpuOperations<Device, float>, double> {
 public:
  explicit CpuDevice(const MachineRates& rates) : rates_(rates) {}

  std::string description() const override;

  void* allocate(std::size_t bytes) const override;
  void release(void* memory) const noexcept override;
  bool reaches_host() const override { return true; }
  void upload(const void* host, std::size_t bytes, void* memory) const override {
    CpuDevice::copy(host, bytes, memory);
  }
  void download(const void* memory, std::size_t bytes, void* host) const override {
    CpuDevice::copy(memory, bytes, host);
  }
  void copy(const void* from, std::size_t bytes, void* to) const override;
  void synchronise() const override {}

  void bfloat16_forward(const Bfloat16Weight& weight, MatrixView<const float> x, const float* bias,
                        MatrixView<float> y) const override;
  void bfloat16_backward(const Bfloat16Weight& weight, MatrixView<const float> dy,
                         MatrixView<float> dx, bool accumulate) const override;

  // Layers of networks: cpu_layers.cpp, cpu_decoder_layers.cpp, cpu_attention.cpp,
  // cpu_relative_attention.cpp.

  void gather_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                   MatrixView<float> to) const override;
  void add_to_rows(MatrixView<const float> from, std::span<const std::size_t> rows,
                   MatrixView<float> to) const override;
  void add_column_sums(MatrixView<const float> x, float* sums) const override;
  void multiply_matrix(MatrixView<const float> factors, MatrixView<float> x) const override;
  void apply_dropout(const Dropout& dropout, MatrixView<float> x) const override;
  void tanh(MatrixView<float> x) const override;
  void tanh_backward(MatrixView<const float> y, MatrixView<float> d) const override;
  void gated(HiddenActivation activation, MatrixView<const float> gate, MatrixView<const float> up,
             MatrixView<float> out) const override;
  void gated_backward(HiddenActivation activation, MatrixView<const float> d,
                      MatrixView<float> gate, MatrixView<float> up) const override;
  void activate(HiddenActivation activation, MatrixView<float> x, const float* bias,
                MatrixView<float> value, bool keep) const override;
  void add_and_normalise(const NormWeights& norm, MatrixView<const float> z, const float* bias,
                         const Dropout& dropout, MatrixView<const float> residual,
                         const NormTrace& trace, MatrixView<float> out) const override;
  void scale_and_shift(const NormWeights& norm, MatrixView<const float> normalised,
                       MatrixView<float> out) const override;
  void add_and_normalise_backward(const NormWeights& norm, const Dropout& dropout,
                                  MatrixView<const float> d_out, const NormTrace& trace,
                                  MatrixView<float> d_residual,
                                  MatrixView<float> dz) const override;
  void add_norm_gradients(MatrixView<const float> d_out, MatrixView<const float> normalised,
                          float* weight_gradient, float* shift_gradient) const override;
  void add_residual_and_normalise(const NormWeights& norm, MatrixView<const float> z,
                                  const float* bias, const Dropout& dropout,
                                  MatrixView<const float> residual, MatrixView<float> sum,
                                  MatrixView<float> out) const override;
  void normalise(const NormWeights& norm, MatrixView<const float> x,
                 MatrixView<float> out) const override;
  void normalise_backward(const NormWeights& norm, MatrixView<const float> d_out,
                          MatrixView<const float> x, bool add, MatrixView<float> dx) const override;
  void add_normalise_gradients(const NormWeights& norm, MatrixView<const float> d_out,
                               MatrixView<const float> x, float* weight_gradient,
                               float* shift_gradient) const override;
  void turn(const TurnTable& table, std::span<const std::size_t> positions, bool back,
            MatrixView<float> x) const override;
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
  void embed(const EmbeddingTables& tables, std::span<const std::int32_t> ids,
             std::span<const std::int32_t> type_ids, SequenceStarts starts, const NormWeights& norm,
             const Dropout& dropout, MatrixView<float> normalised,
             MatrixView<float> out) const override;
  void embed_tokens(const float* words, const float* places, std::span<const std::int32_t> ids,
                    std::span<const std::size_t> positions, MatrixView<float> out) const override;
  void cross_entropy_in_place(MatrixView<float> logits, std::span<const std::int32_t> labels,
                              std::span<const float> scales,
                              std::span<double> losses) const override;
  double cross_entropy(MatrixView<const float> logits, std::span<const float> labels,
                       double smoothing, MatrixView<float> d_logits) const override;
  double squared_error(MatrixView<const float> logits, std::span<const float> labels,
                       MatrixView<float> d_logits) const override;
  std::size_t feed_forward_rows(std::size_t rows, std::size_t width) const override;
  std::size_t vocabulary_rows(std::size_t rows, std::size_t vocabulary) const override;
  std::unique_ptr<const Bfloat16Weight> prepare_bfloat16(const float* weight, std::size_t out,
                                                         std::size_t in) const override;

  // Training: cpu_training.cpp.

  void adamw(const AdamStep& step, std::size_t n, const float* gradient, float* first,
             float* second, float* value) const override;
  void sgd(float rate, float decay, float gradient_scale, std::size_t n, const float* gradient,
           float* value) const override;
  void add_normals(const RandomStream& stream, float keep, float scale, std::size_t n,
                   const float* from, float* to) const override;
  double add_squares(std::size_t n, const float* x, double sum) const override;

  MachineRates rates() const override { return rates_; }
  std::size_t block_rows(std::size_t numbers_a_row) const override;
  std::size_t lanes() const override;
  void run_lanes(std::size_t lanes, LaneWork work) const override;

 private:
  MachineRates rates_;
};

}  // namespace rankfold
