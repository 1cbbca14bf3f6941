#include "core/device/bfloat16_weight.h"

#include <omp.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <unordered_map>
#include <utility>
#include <vector>

#include <dnnl.hpp>

#include "core/base/error.h"
#include "core/base/memory_error.h"

namespace rankfold {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Type = memory::data_type;
using bfloat16 = std::uint16_t;

// oneDNN makes a kernel for every number of rows, and batches differ in theirs: products run in
// pieces of two sizes. Each is as fast as any longer one, and stays in the cache from rounding to
// the last addition. What is left of the last small piece is filled up with zeros.
constexpr std::size_t large_piece = 64, small_piece = 16;
constexpr std::size_t alignment = 64;

constexpr auto needed_instructions = dnnl::cpu_isa::avx512_core_bf16;

[[gnu::target_clones("default", "arch=x86-64-v4")]] void round_row(std::size_t n, const float* x,
                                                                   bfloat16* rounded) {
  for (std::size_t i = 0; i < n; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(x[i]);
    const std::uint32_t nearest = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    // Rounding could carry a NaN over to a number.
    const std::uint32_t quiet_nan = (bits >> 16) | 0x40u;
    const bool is_nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    rounded[i] = static_cast<bfloat16>(is_nan ? quiet_nan : nearest);
  }
}

[[gnu::target_clones("default", "arch=x86-64-v4")]] void store_row(std::size_t n, const float* sums,
                                                                   const float* bias,
                                                                   bool accumulate, float* y) {
  if (accumulate)
    for (std::size_t i = 0; i < n; ++i) y[i] += sums[i];
  else if (bias)
    for (std::size_t i = 0; i < n; ++i) y[i] = sums[i] + bias[i];
  else
    std::copy_n(sums, n, y);
}

/// Primitives that oneDNN makes meanwhile run on the thread that calls them.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

memory::dim dimension(std::size_t value) {
  return static_cast<memory::dim>(value);
}

struct Release {
  void operator()(std::byte* pointer) const { std::free(pointer); }
};

}  // namespace

std::string bfloat16_obstacle() {
  const auto found = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  const auto needed = static_cast<unsigned>(needed_instructions);
  return (found & needed) == needed ? "" : "this CPU has neither AVX512_BF16 nor AMX";
}

/// Y[rows, n] = X[rows, k] B[k, n] with a constant B.
class Bfloat16Weight::Product {
 public:
  /// Element (i, j) of B is b[i * row_stride + j * column_stride].
  Product(const bfloat16* b, std::size_t k, std::size_t n, std::size_t row_stride,
          std::size_t column_stride)
      : k_(k), n_(n), engine_(dnnl::engine::kind::cpu, 0) {
    const memory::dims shape{dimension(k), dimension(n)};
    {
      const OneThread guard;
      large_ = make_piece(large_piece);
      small_ = make_piece(small_piece);
    }
    // Both read the same order of B.
    if (large_.order != small_.order)
      throw Error("products in bfloat16: oneDNN wants two orders of one weight [{}, {}]", k, n);
    memory plain(memory::desc(shape, Type::bf16,
                              memory::dims{dimension(row_stride), dimension(column_stride)}),
                 engine_, const_cast<bfloat16*>(b));
    b_ = memory(large_.order, engine_);
    dnnl::stream stream(engine_);
    dnnl::reorder(plain, b_).execute(stream, plain, b_);
    stream.wait();
  }

  std::size_t inner() const { return k_; }
  std::size_t outer() const { return n_; }

  void run(MatrixView<const float> x, const float* bias, bool accumulate,
           MatrixView<float> y) const {
    if (x.rows == 0) return;
    const std::size_t tiles = (x.rows + small_piece - 1) / small_piece;
    const auto threads = static_cast<std::size_t>(omp_in_parallel() ? 1 : omp_get_max_threads());
    const std::size_t bytes = thread_bytes();
    const std::unique_ptr<std::byte, Release> working(
        static_cast<std::byte*>(std::aligned_alloc(alignment, threads * bytes)));
    if (!working) throw MemoryError(threads * bytes);
#pragma omp parallel if (threads > 1 && tiles > 1)
    {
      const auto thread = static_cast<std::size_t>(omp_get_thread_num());
      const auto team = static_cast<std::size_t>(omp_get_num_threads());
      const std::size_t first = tiles * thread / team * small_piece;
      const std::size_t end = std::min(tiles * (thread + 1) / team * small_piece, x.rows);
      if (first < end) run_rows(x, bias, accumulate, y, first, end, working.get() + thread * bytes);
    }
  }

 private:
  struct Piece {
    memory::desc x, y, scratchpad, order;
    dnnl::matmul product;
  };

  Piece make_piece(std::size_t rows) const {
    Piece piece;
    piece.x = {{dimension(rows), dimension(k_)}, Type::bf16, Tag::ab};
    piece.y = {{dimension(rows), dimension(n_)}, Type::f32, Tag::ab};
    const memory::desc any({dimension(k_), dimension(n_)}, Type::bf16, Tag::any);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::matmul::primitive_desc chosen({piece.x, any, piece.y}, attributes, engine_);
    piece.order = chosen.weights_desc();
    piece.scratchpad = chosen.scratchpad_desc();
    piece.product = dnnl::matmul(chosen);
    return piece;
  }

  static std::size_t rounded(std::size_t bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
  }
  std::size_t x_bytes() const {
    return rounded(large_piece * k_ * sizeof(bfloat16));
  }
  std::size_t y_bytes() const {
    return rounded(large_piece * n_ * sizeof(float));
  }
  std::size_t thread_bytes() const {
    return x_bytes() + y_bytes() +
           rounded(std::max(large_.scratchpad.get_size(), small_.scratchpad.get_size()));
  }

  /// Rows `first` to `end` on this thread.
  void run_rows(MatrixView<const float> x, const float* bias, bool accumulate, MatrixView<float> y,
                std::size_t first, std::size_t end, std::byte* working) const {
    auto* const rows = reinterpret_cast<bfloat16*>(working);
    auto* const sums = reinterpret_cast<float*>(working + x_bytes());
    std::byte* const scratchpad = working + x_bytes() + y_bytes();
    dnnl::stream stream(engine_);
    const auto arguments = [&](const Piece& piece, float* target) {
      return std::unordered_map<int, memory>{
          {DNNL_ARG_SRC, memory(piece.x, engine_, rows)},
          {DNNL_ARG_WEIGHTS, b_},
          {DNNL_ARG_DST, memory(piece.y, engine_, target)},
          {DNNL_ARG_SCRATCHPAD, memory(piece.scratchpad, engine_, scratchpad)}};
    };
    std::unordered_map<int, memory> large = arguments(large_, sums);
    const std::unordered_map<int, memory> small = arguments(small_, sums);
    const bool in_place = !bias && !accumulate && y.stride == n_;
    while (first < end) {
      const bool is_large = end - first >= large_piece;
      const std::size_t count = is_large ? large_piece : std::min(end - first, small_piece);
      for (std::size_t i = 0; i < count; ++i) round_row(k_, x.row(first + i), rows + i * k_);
      if (!is_large) std::fill(rows + count * k_, rows + small_piece * k_, bfloat16{0});
      if (is_large && in_place) large.at(DNNL_ARG_DST).set_data_handle(y.row(first));
      (is_large ? large_ : small_).product.execute(stream, is_large ? large : small);
      if (!is_large || !in_place)
        for (std::size_t i = 0; i < count; ++i)
          store_row(n_, sums + i * n_, bias, accumulate, y.row(first + i));
      first += count;
    }
    stream.wait();
  }

  std::size_t k_, n_;
  dnnl::engine engine_;
  Piece large_, small_;
  memory b_;
};

namespace {

void expect_shapes(const char* x_name, MatrixView<const float> x, std::size_t x_columns,
                   const char* y_name, MatrixView<float> y, std::size_t y_columns) {
  if (x.columns != x_columns || y.columns != y_columns || x.rows != y.rows ||
      x.stride < x_columns || y.stride < y_columns)
    throw Error(
        "products in bfloat16: {} is {}x{} with stride {} and {} is {}x{} with stride {}, expected "
        "{}x{} and {}x{}",
        x_name, x.rows, x.columns, x.stride, y_name, y.rows, y.columns, y.stride, x.rows, x_columns,
        x.rows, y_columns);
}

}  // namespace

Bfloat16Weight::Bfloat16Weight(const float* weight, std::size_t out, std::size_t in) {
  if (const std::string obstacle = bfloat16_obstacle(); !obstacle.empty())
    throw Error("products in bfloat16: {}", obstacle);
  if (out == 0 || in == 0)
    throw Error("products in bfloat16: the weight is {}x{}, expected at least 1x1", out, in);
  std::vector<bfloat16> rounded(out * in);
#pragma omp parallel for schedule(static)
  for (std::size_t i = 0; i < out; ++i) round_row(in, weight + i * in, rounded.data() + i * in);
  try {
    forward_ = std::make_unique<Product>(rounded.data(), in, out, 1, in);
    backward_ = std::make_unique<Product>(rounded.data(), out, in, in, 1);
  } catch (const dnnl::error& failure) {
    throw Error("products in bfloat16: oneDNN refuses a weight {}x{}: {}", out, in, failure.what());
  }
}
Bfloat16Weight::~Bfloat16Weight() = default;
Bfloat16Weight::Bfloat16Weight(Bfloat16Weight&&) noexcept = default;
Bfloat16Weight& Bfloat16Weight::operator=(Bfloat16Weight&&) noexcept = default;

void Bfloat16Weight::forward(MatrixView<const float> x, const float* bias,
                             MatrixView<float> y) const {
  expect_shapes("X", x, forward_->inner(), "Y", y, forward_->outer());
  forward_->run(x, bias, false, y);
}

void Bfloat16Weight::backward(MatrixView<const float> dy, MatrixView<float> dx,
                              bool accumulate) const {
  expect_shapes("dY", dy, backward_->inner(), "dX", dx, backward_->outer());
  backward_->run(dy, nullptr, accumulate, dx);
}

}  // namespace rankfold
