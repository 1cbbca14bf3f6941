#include "core/device/kernel_dot.h"
#include "core/device/kernel_outer.h"

namespace rankfold {
namespace {

struct Wide {
  using Batch = xsimd::batch<float, xsimd::avx512f>;
  using Mask = __mmask16;
  static constexpr std::size_t width = 16, registers = 32, tile_vectors = 8;

  static Mask first(std::size_t count) { return static_cast<Mask>((1u << count) - 1); }
  static Batch load(const float* from, Mask mask) { return _mm512_maskz_loadu_ps(mask, from); }
  static void store(float* to, Mask mask, Batch batch) { _mm512_mask_storeu_ps(to, mask, batch); }
  static Quad sum_each(Batch a, Batch b, Batch c, Batch d) {
    const __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b)),
                 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    const __m512 sums = _mm512_add_ps(_mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0)),
                                      _mm512_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
    const __m256 half =
        _mm256_add_ps(_mm512_castps512_ps256(sums),
                      _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(sums), 1)));
    return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  }
};

/// For at most eight columns: half a vector, twice the loads a cycle.
struct Narrow {
  using Batch = xsimd::batch<float, xsimd::fma3<xsimd::avx2>>;
  using Mask = __mmask8;
  static constexpr std::size_t width = 8, registers = 32, tile_vectors = 1;

  static Mask first(std::size_t count) { return static_cast<Mask>((1u << count) - 1); }
  static Batch load(const float* from, Mask mask) { return _mm256_maskz_loadu_ps(mask, from); }
  static void store(float* to, Mask mask, Batch batch) { _mm256_mask_storeu_ps(to, mask, batch); }
};

}  // namespace

void multiply_avx512(ProductLoops loops, const StridedProduct& product) {
  if (loops == ProductLoops::dot)
    multiply_dot<Wide>(product);
  else if (product.n <= Narrow::width)
    multiply_outer<Narrow>(product);
  else
    multiply_outer<Wide>(product);
}

}  // namespace rankfold
