#include "core/device/dropout.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/error.h"
#include "core/device/row_kernels.h"
#include "core/device/vector_math.h"
#include "core/device/work.h"

namespace rankfold {
namespace {

// Word k of block b goes to words[k * blocks + b]: all loads and stores are contiguous.
RANKFOLD_VECTOR_VARIANTS [[gnu::flatten]] void draw_words(const RandomStream& stream,
                                                          std::uint64_t first, std::size_t blocks,
                                                          std::uint32_t* words) {
  const RandomStream local = stream;
#pragma omp simd
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::array<std::uint32_t, 4> block = local.block(first + b);
    words[b] = block[0];
    words[blocks + b] = block[1];
    words[2 * blocks + b] = block[2];
    words[3 * blocks + b] = block[3];
  }
}

RANKFOLD_VECTOR_VARIANTS void compare_words(const std::uint32_t* words, std::size_t count,
                                            std::uint32_t threshold, float scale, float* low,
                                            float* high) {
#pragma omp simd
  for (std::size_t i = 0; i < count; ++i) {
    low[i] = (words[i] & 0xFFFF) < threshold ? 0.0f : scale;
    high[i] = (words[i] >> 16) < threshold ? 0.0f : scale;
  }
}

}  // namespace

Dropout::Dropout() : stream_(0, "") {}

Dropout::Dropout(double p, std::uint64_t seed, std::string_view place, std::uint64_t step)
    : stream_(seed, place, step) {
  if (!(p >= 0.0 && p < 1.0)) throw Error("dropout: got {}, expected a number in [0, 1)", p);
  threshold_ = std::min(static_cast<std::uint32_t>(std::lround(p * 65536.0)), 65535u);
  scale_ = 65536.0f / static_cast<float>(65536 - threshold_);
}

Dropout Dropout::from_row(std::uint64_t first) const {
  Dropout result = *this;
  result.first_row_ += first;
  return result;
}

void Dropout::factors(std::uint64_t row, std::size_t width, float* keep) const {
  const std::size_t padded = padded_width(width);
  if (!active()) {
    std::fill_n(keep, padded, 1.0f);
    return;
  }
  // Rows start 2^24 blocks apart: their numbers do not depend on the widths of other rows.
  constexpr std::size_t chunk = 64;
  std::array<std::uint32_t, 4 * chunk> words;
  for (std::size_t begin = 0, end = padded / 8; begin < end; begin += chunk) {
    const std::size_t blocks = std::min(chunk, end - begin);
    draw_words(stream_, ((first_row_ + row) << 24) + begin, blocks, words.data());
    float* target = keep + 8 * begin;
    compare_words(words.data(), 4 * blocks, threshold_, scale_, target, target + 4 * blocks);
  }
}

void apply_dropout(const Dropout& dropout, MatrixView<float> x, const Device& device) {
  if (!dropout.active()) return;
  const WorkTimer timer(device, Work::elementwise);
  device.apply_dropout(dropout, x);
}

}  // namespace rankfold
