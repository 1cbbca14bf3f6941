#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace rankfold {

/// One loop of a nest: how often, and the step (in elements) of each operand; step 0 broadcasts a
/// source or sums into the target.
struct LoopDimension {
  std::size_t size = 1, a = 0, b = 0, target = 0;
};

/// A loop nest, outermost first. It lives on the stack: running it takes no memory.
struct StridedLoop {
  static constexpr std::size_t most = 32;
  std::array<LoopDimension, most> dimensions = {};
  std::size_t count = 0;

  /// Throws Error where there are more than `most`.
  void add(const LoopDimension& dimension);
  std::span<const LoopDimension> nest() const { return {dimensions.data(), count}; }
};

/// Kinds of work in a training step, for profiles.
enum class Work { frozen_product, adapter, attention, elementwise };

/// What a machine does in a second, as far as plans depend on it.
struct MachineRates {
  double large_flops = 0;  ///< of large matrix products
  double thin_flops = 0;   ///< of products with a thin side, operands in the cache
  double moved = 0;        ///< numbers read or written beyond the cache
};

/// Where tensors live and who multiplies them. All products of the project go through a device
/// object, so that another device needs one more implementation of this interface and nothing else.
/// Matrices are row-major. Calls are complete when they return.
class Device {
 public:
  virtual ~Device() = default;
  virtual std::string description() const = 0;

  /// 64-byte aligned, uninitialised. Throws Error when there is no memory.
  virtual void* allocate(std::size_t bytes) const = 0;
  virtual void release(void* memory) const noexcept = 0;

  /// C[m,n] = alpha op(A)[m,k] op(B)[k,n] + beta C; op transposes where asked. beta 0 overwrites.
  virtual void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
                    float alpha, const float* a, std::size_t stride_a, const float* b,
                    std::size_t stride_b, float beta, float* c, std::size_t stride_c) const = 0;
  virtual void gemm(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
                    double alpha, const double* a, std::size_t stride_a, const double* b,
                    std::size_t stride_b, double beta, double* c, std::size_t stride_c) const = 0;

  /// target[...] += alpha a[...] b[...] over the loop nest, run as it stands; b may be null (taken
  /// as 1). Copies with any permutation, broadcasts, sums and elementwise products are all this
  /// call.
  virtual void accumulate(const StridedLoop& loop, float alpha, const float* a, const float* b,
                          float* target) const = 0;
  virtual void accumulate(const StridedLoop& loop, double alpha, const double* a, const double* b,
                          double* target) const = 0;

  /// What plans are chosen by.
  virtual MachineRates rates() const = 0;
  /// Told by WorkTimer how long a piece of work took; a device that profiles listens.
  virtual void record(Work, double) const {}
};

/// The CPU: products of floats by kernels of our own (core/device/matrix_product.h), those of
/// doubles, and of floats where the CPU lacks AVX2, by OpenBLAS (its OpenMP build). The default
/// rates are those of no machine in particular: plans, and so the bits of results, are the same
/// everywhere.
std::shared_ptr<const Device> make_cpu_device();
std::shared_ptr<const Device> make_cpu_device(const MachineRates& rates);

/// What products run with.
struct KernelReport {
  std::string own;            ///< vectors of our kernels: "AVX-512", "AVX2" or "none"
  std::string openblas;       ///< e.g. "Cooperlake"
  std::string forced_kernel;  ///< value of OPENBLAS_CORETYPE, "" where it is not set
  std::string configuration;
  int threads = 1;
  bool forced_slower = false;  ///< OpenBLAS's forced kernels leave the CPU's AVX-512 unused
};
KernelReport kernel_report();
/// Threads of OpenBLAS and OpenMP together; a setting of a run.
void set_threads(int threads);

/// So many numbers that what follows them begins a cache line of its own, in either precision.
constexpr std::size_t whole_lines(std::size_t size) {
  return (size + 15) / 16 * 16;
}

/// Memory of a device, released with the object.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  /// `size` zeros.
  Buffer(std::shared_ptr<const Device> device, std::size_t size);
  ~Buffer();
  Buffer(Buffer&& other) noexcept { swap(other); }
  Buffer& operator=(Buffer&& other) noexcept {
    swap(other);
    return *this;
  }
  T* data() { return data_; }
  const T* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::span<T> span() { return {data_, size_}; }
  std::span<const T> span() const { return {data_, size_}; }

 private:
  void swap(Buffer& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
  }
  std::shared_ptr<const Device> device_;
  T* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Rows x columns of somebody else's memory, row-major with a row stride (in elements).
template <class T>
struct MatrixView {
  T* data = nullptr;
  std::size_t rows = 0, columns = 0, stride = 0;

  MatrixView() = default;
  MatrixView(T* values, std::size_t row_count, std::size_t column_count)
      : MatrixView(values, row_count, column_count, column_count) {}
  MatrixView(T* values, std::size_t row_count, std::size_t column_count, std::size_t row_stride)
      : data(values), rows(row_count), columns(column_count), stride(row_stride) {}
  /// A view of mutable values is also one of constant values.
  operator MatrixView<const T>() const { return {data, rows, columns, stride}; }
  T* row(std::size_t index) const { return data + index * stride; }
};

}  // namespace rankfold
