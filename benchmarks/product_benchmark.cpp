#include <fmt/core.h>
#include <immintrin.h>
#include <omp.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <functional>
#include <limits>
#include <numeric>
#include <string_view>

#include "core/base/random.h"
#include "core/device/device.h"
#include "core/device/matrix_product.h"

// Our products against their rooflines and OpenBLAS within one run. Compute is the speed of a
// large product in processor time, memory that of streaming over an array of the long operand's
// size (reading it, or writing it where it is C). Product, OpenBLAS and stream take turns and the
// fastest call of each counts, so that the figures also hold on a machine with other work.

extern "C" void cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k,
                            float alpha, const float* a, int stride_a, const float* b, int stride_b,
                            float beta, float* c, int stride_c);

namespace rankfold {
namespace {

constexpr int rounds = 7;

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

/// Seconds of one call: of the fastest of the batches that fill a few milliseconds.
double time_calls(const std::function<void()>& call) {
  constexpr double batch = 5e-5, enough = 5e-3;
  double fastest = std::numeric_limits<double>::infinity();
  const double begin = seconds();
  for (int calls = 1; seconds() - begin < enough;) {
    const double start = seconds();
    for (int i = 0; i < calls; ++i) call();
    const double spent = seconds() - start;
    fastest = std::min(fastest, spent / calls);
    if (spent < batch) calls *= 2;
  }
  return fastest;
}

/// Seconds of each call, taken in turns, the fastest of all rounds.
std::vector<double> time_in_turns(const std::vector<std::function<void()>>& calls) {
  std::vector<double> times(calls.size(), std::numeric_limits<double>::infinity());
  for (int round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < calls.size(); ++i)
      times[i] = std::min(times[i], time_calls(calls[i]));
  return times;
}

[[gnu::target("avx2")]] float read_part(const float* from, std::size_t size) {
  __m256 sums[8] = {};
  for (std::size_t i = 0; i + 64 <= size; i += 64)
    for (std::size_t v = 0; v < 8; ++v)
      sums[v] = _mm256_add_ps(sums[v], _mm256_loadu_ps(from + i + 8 * v));
  float values[8];
  for (std::size_t v = 1; v < 8; ++v) sums[0] = _mm256_add_ps(sums[0], sums[v]);
  _mm256_storeu_ps(values, sums[0]);
  return std::accumulate(values, values + 8, 0.0f);
}

[[gnu::target("avx2")]] void write_part(float* to, std::size_t size, float value) {
  for (std::size_t i = 0; i + 8 <= size; i += 8) _mm256_storeu_ps(to + i, _mm256_set1_ps(value));
}

/// Calls part(first, size) for this thread's share.
template <class Part>
void share(std::size_t size, const Part& part) {
  if (omp_get_max_threads() == 1) return part(std::size_t{0}, size);
#pragma omp parallel
  {
    const auto thread = static_cast<std::size_t>(omp_get_thread_num());
    const auto threads = static_cast<std::size_t>(omp_get_num_threads());
    const std::size_t first = size * thread / threads / 64 * 64;
    part(first, size * (thread + 1) / threads / 64 * 64 - first);
  }
}

void multiply_openblas(const ProductArguments& p) {
  constexpr int row_major = 101, plain = 111, transposed = 112;
  const auto number = [](std::size_t value) { return static_cast<int>(value); };
  cblas_sgemm(row_major, p.transpose_a ? transposed : plain, p.transpose_b ? transposed : plain,
              number(p.m), number(p.n), number(p.k), p.alpha, p.a, number(p.stride_a), p.b,
              number(p.stride_b), p.beta, p.c, number(p.stride_c));
}

struct Memory {
  std::shared_ptr<const Device> device = make_cpu_device();
  Buffer<float> a{device, 4096 * 3072}, b{device, a.size()}, c{device, a.size()},
      large{device, 3 * 2048 * 2048};
  Memory() {
    for (auto* values : {&a, &b, &large})
      RandomStream(1, "benchmark").fill_normal(values->span(), 0.0, 1.0);
  }
  ProductArguments describe(bool transpose_a, bool transpose_b, std::size_t m, std::size_t n,
                            std::size_t k) {
    return {.transpose_a = transpose_a,
            .transpose_b = transpose_b,
            .m = m,
            .n = n,
            .k = k,
            .a = a.data(),
            .stride_a = transpose_a ? m : k,
            .b = b.data(),
            .stride_b = transpose_b ? k : n,
            .c = c.data(),
            .stride_c = n};
  }
};

struct Row {
  std::string name;
  bool transpose_a, transpose_b;
  std::size_t m, n, k;
};

volatile float sink;

/// GFLOP/s of a large product on all threads.
double measure_compute(Memory& memory) {
  constexpr std::size_t large = 2048;
  ProductArguments product = memory.describe(false, false, large, large, large);
  product.a = memory.large.data();
  product.b = product.a + large * large;
  product.c = memory.large.data() + 2 * large * large;
  double fastest = std::numeric_limits<double>::infinity();
  for (int round = 0; round < rounds; ++round) {
    const double start = processor_seconds();
    multiply_openblas(product);
    fastest = std::min(fastest, processor_seconds() - start);
  }
  return 2e-9 * large * large * large / fastest * omp_get_max_threads();
}

void measure(Memory& memory, const Row& row, VectorExtension vectors, double peak) {
  const ProductArguments product =
      memory.describe(row.transpose_a, row.transpose_b, row.m, row.n, row.k);
  const std::array<std::size_t, 3> sizes{row.m * row.k, row.k * row.n, row.m * row.n};
  const std::size_t longest =
      static_cast<std::size_t>(std::ranges::max_element(sizes) - sizes.begin());
  const std::size_t size = sizes[longest];
  const auto stream = [&] {
    if (longest == 2)
      share(size, [&](std::size_t first, std::size_t part) {
        write_part(memory.c.data() + first, part, 1.0f);
      });
    else
      share(size, [&](std::size_t first, std::size_t part) {
        sink = read_part((longest == 0 ? product.a : product.b) + first, part);
      });
  };
  const auto times = time_in_turns(
      {[&] { multiply_matrices(product, vectors); }, [&] { multiply_openblas(product); }, stream});
  const double flops = 2e-9 * static_cast<double>(row.m * row.n * row.k);
  const double bytes = 4e-9 * static_cast<double>(size);
  const double roof = std::min(peak, flops / times[2]);
  fmt::print("{:24} {:6} {:6} {:6} {:8.1f} {:7.1f} {:8.1f} {:8.1f} {:5.0f} % {:9.1f} {:6.2f}\n",
             row.name, row.m, row.n, row.k, flops / times[0], bytes / times[0], bytes / times[2],
             roof, 100 * flops / times[0] / roof, flops / times[1], times[1] / times[0]);
  std::fflush(stdout);
}

void print_header(std::string_view title, double peak) {
  fmt::print(
      "\n{}; compute {:.0f} GFLOP/s\n{:24} {:>6} {:>6} {:>6} {:>8} {:>7} {:>8} {:>8} {:>7} {:>9} "
      "{:>6}\n",
      title, peak, "product", "m", "n", "k", "GFLOP/s", "GB/s", "stream", "roof", "share",
      "OpenBLAS", "faster");
}

void measure_thin(Memory& memory, std::size_t tokens, VectorExtension vectors, double peak) {
  for (const std::size_t width : {384, 768, 3072})
    for (const std::size_t rank : {1, 2, 4, 8, 16, 32, 64}) {
      measure(memory, {"X A^T", false, true, tokens, rank, width}, vectors, peak);
      measure(memory, {"P B", false, false, tokens, width, rank}, vectors, peak);
      measure(memory, {"Q^T X", true, false, rank, width, tokens}, vectors, peak);
      measure(memory, {"X^T Q", true, false, width, rank, tokens}, vectors, peak);
      measure(memory, {"X A", false, false, tokens, rank, width}, vectors, peak);
    }
}

void measure_attention(Memory& memory, VectorExtension vectors, double peak) {
  for (const std::size_t tokens : {64, 128, 256})
    for (const std::size_t width : {32, 64}) {
      measure(memory, {"Q K^T", false, true, tokens, tokens, width}, vectors, peak);
      measure(memory, {"S V", false, false, tokens, width, tokens}, vectors, peak);
      measure(memory, {"S^T dO", true, false, tokens, width, tokens}, vectors, peak);
    }
}

void measure_large(Memory& memory, VectorExtension vectors, double peak) {
  measure(memory, {"X W^T", false, true, 2048, 2048, 2048}, vectors, peak);
  for (const std::size_t tokens : {384, 4096})
    for (const auto& [out, in] :
         {std::array<std::size_t, 2>{384, 384}, {1536, 384}, {768, 768}, {3072, 768}}) {
      measure(memory, {"X W^T", false, true, tokens, out, in}, vectors, peak);
      measure(memory, {"dY W", false, false, tokens, in, out}, vectors, peak);
      measure(memory, {"dY^T X", true, false, out, in, tokens}, vectors, peak);
    }
}

int run(std::string_view part, std::string_view kernels) {
  const VectorExtension vectors = kernels == "avx2" ? VectorExtension::avx2 : widest_vectors();
  if (vectors == VectorExtension::none) {
    fmt::print("product_benchmark: this CPU has no AVX2, every product goes to OpenBLAS\n");
    return 0;
  }
  Memory memory;
  double peak = measure_compute(memory);
  if (part.empty() || part == "thin") {
    print_header(fmt::format("4096 tokens, {} threads", omp_get_max_threads()), peak);
    measure_thin(memory, 4096, vectors, peak);
  }
  if (part.empty() || part == "large") {
    print_header(fmt::format("Large products, {} threads", omp_get_max_threads()), peak);
    measure_large(memory, vectors, peak);
  }
  omp_set_num_threads(1);
  peak = measure_compute(memory);
  if (part.empty() || part == "blocks") {
    print_header("Blocks of 64 tokens in the cache, one thread", peak);
    measure_thin(memory, 64, vectors, peak);
  }
  if (part.empty() || part == "attention") {
    print_header("Attention, one thread", peak);
    measure_attention(memory, vectors, peak);
  }
  return 0;
}

}  // namespace
}  // namespace rankfold

/// product_benchmark [thin|large|blocks|attention] [avx2|avx512]
int main(int count, char** arguments) {
  return rankfold::run(count > 1 ? arguments[1] : "", count > 2 ? arguments[2] : "");
}
