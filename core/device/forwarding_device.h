#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "core/base/error.h"
#include "core/device/device.h"
#include "core/device/forwarding_layers.h"

namespace rankfold {

/// A device that hands every operation on to another one, whose addresses lie `shift` bytes below
/// its own.
class ForwardingBase : public Device {
 protected:
  explicit ForwardingBase(std::shared_ptr<const Device> inner, std::uintptr_t shift = 0)
      : inner_(std::move(inner)), shift_(shift) {}

  const Device& inner() const { return *inner_; }
  /// The inner device's address of ours; null stays null. Throws Error for one that cannot be ours.
  template <class T>
  T* at(T* ours) const {
    const auto address = reinterpret_cast<std::uintptr_t>(ours);
    if (shift_ == 0 || address == 0) return ours;
    if (address < shift_) throw Error("{}: got an address of the host's memory", description());
    return reinterpret_cast<T*>(address - shift_);
  }
  template <class T>
  MatrixView<T> at(MatrixView<T> ours) const {
    return {at(ours.data), ours.rows, ours.columns, ours.stride};
  }
  void* ours(void* inner) const {
    return inner ? reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(inner) + shift_)
                 : nullptr;
  }

 private:
  std::shared_ptr<const Device> inner_;
  std::uintptr_t shift_;
};

/// Its operations in one precision.
template <class Base, class T>
class ForwardingOperations : public Base {
 public:
  void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
            T alpha, const T* a, std::size_t stride_a, const T* b, std::size_t stride_b, T beta,
            T* c, std::size_t stride_c) const override {
    inner().gemm(transpose_a, transpose_b, m, n, k, alpha, at(a), stride_a, at(b), stride_b, beta,
                 at(c), stride_c);
  }
  void accumulate(const StridedLoop& loop, T alpha, const T* a, const T* b,
                  T* target) const override {
    inner().accumulate(loop, alpha, at(a), at(b), at(target));
  }
  void clear(const StridedLoop& loop, T* target) const override { inner().clear(loop, at(target)); }
  void fill(std::size_t n, T value, T* out) const override { inner().fill(n, value, at(out)); }
  void copy_matrix(MatrixView<const T> from, MatrixView<T> to) const override {
    inner().copy_matrix(at(from), at(to));
  }
  void add_matrix(MatrixView<const T> from, MatrixView<T> to) const override {
    inner().add_matrix(at(from), at(to));
  }
  void fill_rows(const T* row, MatrixView<T> out) const override {
    inner().fill_rows(at(row), at(out));
  }
  void keep_and_add_row(const T* row, MatrixView<T> y, T* kept) const override {
    inner().keep_and_add_row(at(row), at(y), at(kept));
  }
  void relu(std::size_t n, T* x) const override { inner().relu(n, at(x)); }
  void relu_backward(std::size_t n, const T* x, T* d) const override {
    inner().relu_backward(n, at(x), at(d));
  }
  void apply(HiddenActivation function, std::size_t n, T* x, T* slopes) const override {
    inner().apply(function, n, at(x), at(slopes));
  }
  void sum_rows(MatrixView<const T> a, const T* b, const T* w, T* sums) const override {
    inner().sum_rows(at(a), at(b), at(w), at(sums));
  }
  void sum_columns(MatrixView<const T> a, const T* b, const T* w, T* sums) const override {
    inner().sum_columns(at(a), at(b), at(w), at(sums));
  }
  void sum_and_scale_columns(MatrixView<const T> a, const T* b, const T* scales, T* sums,
                             T* scaled) const override {
    inner().sum_and_scale_columns(at(a), at(b), at(scales), at(sums), at(scaled));
  }
  void combine(std::size_t n, T alpha, const T* x, T beta, T* y) const override {
    inner().combine(n, alpha, at(x), beta, at(y));
  }
  void scale_rows(const T* scales, MatrixView<T> x) const override {
    inner().scale_rows(at(scales), at(x));
  }
  void scale_columns(const T* scales, MatrixView<T> x) const override {
    inner().scale_columns(at(scales), at(x));
  }
  void scale_rows_by_columns(const T* outer, const T* inner_factors, const T* columns,
                             const T* added, MatrixView<T> x) const override {
    inner().scale_rows_by_columns(at(outer), at(inner_factors), at(columns), at(added), at(x));
  }
  void project_rows(const T* scales, const T* along, const T* v, MatrixView<T> x) const override {
    inner().project_rows(at(scales), at(along), at(v), at(x));
  }
  void project_columns(const T* scales, const T* along, const T* w, const T* v,
                       MatrixView<T> x) const override {
    inner().project_columns(at(scales), at(along), at(w), at(v), at(x));
  }

 protected:
  using Base::at;
  using Base::Base;
  using Base::inner;
};

class ForwardingDevice
    : public ForwardingLayers<
          ForwardingOperations<ForwardingOperations<ForwardingBase, float>, double>> {
 public:
  std::string description() const override { return inner().description(); }

  void* allocate(std::size_t bytes) const override { return ours(inner().allocate(bytes)); }
  void release(void* memory) const noexcept override { inner().release(at(memory)); }
  bool reaches_host() const override { return inner().reaches_host(); }
  void upload(const void* host, std::size_t bytes, void* memory) const override {
    inner().upload(host, bytes, at(memory));
  }
  void download(const void* memory, std::size_t bytes, void* host) const override {
    inner().download(at(memory), bytes, host);
  }
  void copy(const void* from, std::size_t bytes, void* to) const override {
    inner().copy(at(from), bytes, at(to));
  }
  void synchronise() const override { inner().synchronise(); }

  void bfloat16_forward(const Bfloat16Weight& weight, MatrixView<const float> x, const float* bias,
                        MatrixView<float> y) const override {
    inner().bfloat16_forward(weight, at(x), at(bias), at(y));
  }
  void bfloat16_backward(const Bfloat16Weight& weight, MatrixView<const float> dy,
                         MatrixView<float> dx, bool accumulate) const override {
    inner().bfloat16_backward(weight, at(dy), at(dx), accumulate);
  }

  void adamw(const AdamStep& step, std::size_t n, const float* gradient, float* first,
             float* second, float* value) const override {
    inner().adamw(step, n, at(gradient), at(first), at(second), at(value));
  }
  void sgd(float rate, float decay, float gradient_scale, std::size_t n, const float* gradient,
           float* value) const override {
    inner().sgd(rate, decay, gradient_scale, n, at(gradient), at(value));
  }
  void add_normals(const RandomStream& stream, float keep, float scale, std::size_t n,
                   const float* from, float* to) const override {
    inner().add_normals(stream, keep, scale, n, at(from), at(to));
  }
  double add_squares(std::size_t n, const float* x, double sum) const override {
    return inner().add_squares(n, at(x), sum);
  }

  MachineRates rates() const override { return inner().rates(); }
  void record(Work work, double seconds) const override { inner().record(work, seconds); }
  std::size_t block_rows(std::size_t numbers_a_row) const override {
    return inner().block_rows(numbers_a_row);
  }
  std::size_t lanes() const override { return inner().lanes(); }
  void run_lanes(std::size_t lanes, LaneWork work) const override {
    inner().run_lanes(lanes, work);
  }

 protected:
  using ForwardingLayers::ForwardingLayers;
};

}  // namespace rankfold
