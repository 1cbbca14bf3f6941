#include "core/device/cpu_device.h"

#include <omp.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/base/address_space.h"
#include "core/base/error.h"
#include "core/base/memory_error.h"
#include "core/device/bfloat16_weight.h"
#include "core/device/machine_rates.h"
#include "core/device/matrix_product.h"

extern "C" {
char* openblas_get_corename(void);
char* openblas_get_config(void);
int openblas_get_num_threads(void);
void openblas_set_num_threads(int);
}

namespace rankfold {
namespace {

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

}  // namespace

std::string CpuDevice::description() const {
  const KernelReport kernels = kernel_report();
  return fmt::format("float {}, double {}", kernels.own == "none" ? kernels.openblas : kernels.own,
                     kernels.openblas);
}

void* CpuDevice::allocate(std::size_t bytes) const {
  // Huge pages where the system leaves them to the program: rows of large matrices lie pages apart.
  constexpr std::size_t huge_page = std::size_t{2} << 20;
  const std::size_t alignment = bytes >= 2 * huge_page ? huge_page : 64;
  const std::size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* memory =
      rounded < bytes ? nullptr : std::aligned_alloc(alignment, std::max(rounded, alignment));
  if (!memory) throw MemoryError(bytes);
  if (alignment == huge_page) ::madvise(memory, rounded, MADV_HUGEPAGE);
  return memory;
}

void CpuDevice::release(void* memory) const noexcept {
  std::free(memory);
}

void CpuDevice::copy(const void* from, std::size_t bytes, void* to) const {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

void CpuDevice::bfloat16_forward(const Bfloat16Weight& weight, MatrixView<const float> x,
                                 const float* bias, MatrixView<float> y) const {
  weight.forward(x, bias, y);
}

void CpuDevice::bfloat16_backward(const Bfloat16Weight& weight, MatrixView<const float> dy,
                                  MatrixView<float> dx, bool accumulate) const {
  weight.backward(dy, dx, accumulate);
}

/// X, the outputs and what is computed from them shall stay in the second-level cache.
std::size_t CpuDevice::block_rows(std::size_t numbers_a_row) const {
  constexpr std::size_t block_numbers = 1 << 17, multiple = 16, most = 256;
  const std::size_t rows =
      block_numbers / std::max<std::size_t>(numbers_a_row, 1) / multiple * multiple;
  return std::clamp(rows, multiple, most);
}

std::size_t CpuDevice::lanes() const {
  return static_cast<std::size_t>(omp_get_max_threads());
}

void CpuDevice::run_lanes(std::size_t lanes, LaneWork work) const {
  if (lanes == 1) return work(0);
#pragma omp parallel for num_threads(static_cast <int>(lanes)) schedule(static, 1)
  for (std::size_t lane = 0; lane < lanes; ++lane) work(lane);
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

}  // namespace rankfold
