#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string_view>

#include "core/base/address_space.h"
#include "core/base/error.h"
#include "core/device/device.h"
#include "core/device/machine_rates.h"
#include "core/device/matrix_product.h"

// xtensor-blas brings its BLAS bindings; this is the only file that sees them. Its configuration
// comes first: without it the bindings silently use their own loops instead of OpenBLAS.
#include <xtensor-blas/xblas_config.hpp>

#include <xflens/cxxblas/cxxblas.cxx>
#ifndef HAVE_CBLAS
#error "the bindings would multiply with loops of their own"
#endif

extern "C" {
char* openblas_get_corename(void);
char* openblas_get_config(void);
int openblas_get_num_threads(void);
void openblas_set_num_threads(int);
}

namespace rankfold {
namespace {

template <class T>
void run_innermost(const LoopDimension& d, T alpha, const T* a, const T* b, T* target) {
  if (d.target == 0) {
    T sum = 0;
    if (b)
      for (std::size_t i = 0; i < d.size; ++i) sum += a[i * d.a] * b[i * d.b];
    else
      for (std::size_t i = 0; i < d.size; ++i) sum += a[i * d.a];
    *target += alpha * sum;
  } else if (!b && d.a == 1 && d.target == 1) {
    for (std::size_t i = 0; i < d.size; ++i) target[i] += alpha * a[i];
  } else if (!b) {
    for (std::size_t i = 0; i < d.size; ++i) target[i * d.target] += alpha * a[i * d.a];
  } else if (d.a == 1 && d.b == 1 && d.target == 1) {
    for (std::size_t i = 0; i < d.size; ++i) target[i] += alpha * a[i] * b[i];
  } else {
    for (std::size_t i = 0; i < d.size; ++i)
      target[i * d.target] += alpha * a[i * d.a] * b[i * d.b];
  }
}

template <class T>
void run_nest(std::span<const LoopDimension> nest, T alpha, const T* a, const T* b, T* target) {
  const LoopDimension& outer = nest.front();
  if (nest.size() == 1) return run_innermost(outer, alpha, a, b, target);
  for (std::size_t i = 0; i < outer.size; ++i)
    run_nest(nest.subspan(1), alpha, a + i * outer.a, b ? b + i * outer.b : nullptr,
             target + i * outer.target);
}

template <class T>
void accumulate_nest(std::span<const LoopDimension> nest, T alpha, const T* a, const T* b,
                     T* target) {
  if (nest.empty()) {
    *target += alpha * *a * (b ? *b : T{1});
    return;
  }
  std::size_t total = 1;
  for (const LoopDimension& dimension : nest) total *= dimension.size;
  if (total == 0) return;
  const LoopDimension& outer = nest.front();
  // Rows of the target are disjoint, so threads do not change the order of any sum.
  if (nest.size() > 1 && outer.target != 0 && total > (1u << 15) && !omp_in_parallel()) {
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < outer.size; ++i)
      run_nest(nest.subspan(1), alpha, a + i * outer.a, b ? b + i * outer.b : nullptr,
               target + i * outer.target);
    return;
  }
  run_nest(nest, alpha, a, b, target);
}

int to_blas(std::size_t value) {
  if (value > static_cast<std::size_t>(std::numeric_limits<int>::max()))
    throw Error("matrix product: dimension {} is beyond what BLAS can index ({})", value,
                std::numeric_limits<int>::max());
  return static_cast<int>(value);
}

template <class T>
void multiply(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n, std::size_t k,
              T alpha, const T* a, std::size_t stride_a, const T* b, std::size_t stride_b, T beta,
              T* c, std::size_t stride_c) {
  if (m == 0 || n == 0) return;
  const auto transpose = [](bool yes) { return yes ? cxxblas::Trans : cxxblas::NoTrans; };
  cxxblas::gemm(cxxblas::RowMajor, transpose(transpose_a), transpose(transpose_b), to_blas(m),
                to_blas(n), to_blas(k), alpha, a, to_blas(std::max<std::size_t>(stride_a, 1)), b,
                to_blas(std::max<std::size_t>(stride_b, 1)), beta, c,
                to_blas(std::max<std::size_t>(stride_c, 1)));
}

/// Whether our own kernels compute a product.
bool takes([[maybe_unused]] std::size_t m, [[maybe_unused]] std::size_t n,
           [[maybe_unused]] std::size_t k) {
#ifdef RANKFOLD_LARGE_PRODUCTS_BY_OPENBLAS
  return std::min({m, n, k}) <= 64;
#else
  return true;
#endif
}

std::string_view name(VectorExtension vectors) {
  switch (vectors) {
    case VectorExtension::avx512:
      return "AVX-512";
    case VectorExtension::avx2:
      return "AVX2";
    case VectorExtension::none:
      break;
  }
  return "none";
}

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const MachineRates& rates) : rates_(rates) {}

  std::string description() const override {
    const KernelReport kernels = kernel_report();
    return fmt::format("float {}, double {}",
                       kernels.own == "none" ? kernels.openblas : kernels.own, kernels.openblas);
  }
  void* allocate(std::size_t bytes) const override {
    // Huge pages where the system leaves them to the program: rows of large matrices lie pages
    // apart.
    constexpr std::size_t huge_page = std::size_t{2} << 20;
    const std::size_t alignment = bytes >= 2 * huge_page ? huge_page : 64;
    const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
    void* memory =
        rounded < bytes ? nullptr : std::aligned_alloc(alignment, std::max(rounded, alignment));
    if (!memory) throw Error("out of memory: {} bytes were asked for", bytes);
    if (alignment == huge_page) ::madvise(memory, rounded, MADV_HUGEPAGE);
    return memory;
  }
  void release(void* memory) const noexcept override { std::free(memory); }
  void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, float alpha,
            const float* a, std::size_t lda, const float* b, std::size_t ldb, float beta, float* c,
            std::size_t ldc) const override {
    if (takes(m, n, k) && multiply_matrices({ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc}))
      return;
    multiply(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }
  void gemm(bool ta, bool tb, std::size_t m, std::size_t n, std::size_t k, double alpha,
            const double* a, std::size_t lda, const double* b, std::size_t ldb, double beta,
            double* c, std::size_t ldc) const override {
    multiply(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
  }
  void accumulate(const StridedLoop& loop, float alpha, const float* a, const float* b,
                  float* target) const override {
    accumulate_nest(loop.nest(), alpha, a, b, target);
  }
  void accumulate(const StridedLoop& loop, double alpha, const double* a, const double* b,
                  double* target) const override {
    accumulate_nest(loop.nest(), alpha, a, b, target);
  }
  MachineRates rates() const override { return rates_; }

 private:
  MachineRates rates_;
};

}  // namespace

void StridedLoop::add(const LoopDimension& dimension) {
  if (count == most) throw Error("a loop nest of more than {} dimensions", most);
  dimensions[count++] = dimension;
}

std::shared_ptr<const Device> make_cpu_device() {
  return make_cpu_device(nominal_rates());
}

std::shared_ptr<const Device> make_cpu_device(const MachineRates& rates) {
  return std::make_shared<CpuDevice>(rates);
}

KernelReport kernel_report() {
  KernelReport report;
  report.own = name(widest_vectors());
  report.openblas = openblas_get_corename();
  report.configuration = openblas_get_config();
  report.threads = openblas_get_num_threads();
  if (const char* forced = std::getenv("OPENBLAS_CORETYPE")) report.forced_kernel = forced;
  const std::string_view with_avx512[] = {"SkylakeX", "Cooperlake", "Sapphirerapids"};
  report.forced_slower = !report.forced_kernel.empty() && __builtin_cpu_supports("avx512f") &&
                         std::ranges::find(with_avx512, report.openblas) == std::end(with_avx512);
  return report;
}

void set_threads(int threads) {
  if (threads < 1) throw UsageError("--threads: got {}, expected at least 1", threads);
  // The memory of threads that were there once stays with OpenBLAS.
  static std::atomic<int> counted{openblas_get_num_threads()};
  const int more = threads - counted.load();
  if (more > 0 && !has_address_space(static_cast<std::size_t>(more) * bytes_of_a_thread))
    throw Error(
        "--threads: {} need {} MiB more than the limit of address space (ulimit -v) leaves; "
        "expected fewer, or a higher limit",
        threads, static_cast<std::size_t>(more) * bytes_of_a_thread >> 20);
  if (more > 0) counted = threads;
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
  openblas_set_num_threads(threads);
}

template <class T>
Buffer<T>::Buffer(std::shared_ptr<const Device> device, std::size_t size)
    : device_(std::move(device)), size_(size) {
  if (size > std::numeric_limits<std::size_t>::max() / sizeof(T))
    throw Error("out of memory: {} numbers were asked for", size);
  data_ = static_cast<T*>(device_->allocate(size * sizeof(T)));
  std::memset(static_cast<void*>(data_), 0, size * sizeof(T));
}

template <class T>
Buffer<T>::~Buffer() {
  if (data_) device_->release(data_);
}

template class Buffer<float>;
template class Buffer<double>;

}  // namespace rankfold
