#include "core/device/kernel_dot.h"
#include "core/device/kernel_outer.h"

namespace rankfold {
namespace {

struct Lanes {
  using Batch = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
  using Mask = __m256i;
  static constexpr std::size_t width = 8, registers = 16, tile_vectors = 6;

  static Mask first(std::size_t count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(count)), lane);
  }
  static Batch load(const float* from, Mask mask) { return _mm256_maskload_ps(from, mask); }
  static void store(float* to, Mask mask, Batch batch) { _mm256_maskstore_ps(to, mask, batch); }
  static Quad sum_each(Batch a, Batch b, Batch c, Batch d) {
    const __m256 sums = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    return _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps(sums, 1));
  }
};

}  // namespace

void multiply_avx2(ProductLoops loops, const StridedProduct& product) {
  loops == ProductLoops::dot ? multiply_dot<Lanes>(product) : multiply_outer<Lanes>(product);
}

}  // namespace rankfold
