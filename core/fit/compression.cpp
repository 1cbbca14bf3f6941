#include "core/fit/compression.h"

#include <omp.h>

#include <algorithm>
#include <cmath>
#include <exception>
#include <numeric>

#include "core/base/error.h"
#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

constexpr int most_passes = 8;
constexpr double least_gain = 3e-4;
/// Multiplications from which on a step is worth several threads.
constexpr double worth_threads = 5e7;

double work_of(std::size_t a, std::size_t b, std::size_t c) {
  return static_cast<double>(a) * static_cast<double>(b) * static_cast<double>(c);
}

template <class T>
void orthonormalise(std::vector<T>& matrix, std::size_t rows, std::size_t columns) {
  const SingleThread single(work_of(rows, columns, columns) < worth_threads);
  const std::vector<double> exact(matrix.begin(), matrix.end());
  const std::vector<double> basis = orthonormal_columns({exact.data(), rows, columns});
  std::ranges::transform(basis, matrix.begin(), [](double value) { return static_cast<T>(value); });
}

/// The sum of the `rank` largest eigenvalues of Z^T Z for Z[any, count].
template <class T>
double leading_energy(const Device& device, const std::vector<T>& z, std::size_t count,
                      std::size_t rank) {
  std::vector<T> gram(count * count);
  device.gemm(true, false, count, count, z.size() / count, T{1}, z.data(), count, z.data(), count,
              T{0}, gram.data(), count);
  const std::vector<double> exact(gram.begin(), gram.end());
  const std::vector<double> values = decompose_symmetric({exact.data(), count, count}).values;
  return std::accumulate(values.begin(),
                         values.begin() + static_cast<std::ptrdiff_t>(std::min(rank, count)), 0.0);
}

/// The leading subspace of the columns of all Y_s[rows, width], a stack; from `basis`[rows, count],
/// or a random combination of columns where that is empty. Returns the part of sum |basis^T Y_s|^2
/// that its leading `rank` directions hold.
template <class T>
double follow_subspace(const Device& device, const std::vector<T>& stack, std::size_t sites,
                       std::size_t rows, std::size_t width, std::size_t count, std::size_t rank,
                       std::vector<T>& basis) {
  const SingleThread single(work_of(sites * rows, width, count) < worth_threads);
  std::vector<T> images(sites * width * count);
  const auto project = [&] {
    for_each(sites, [&](std::size_t s) {
      device.gemm(true, false, width, count, rows, T{1}, stack.data() + s * rows * width, width,
                  basis.data(), count, T{0}, images.data() + s * width * count, count);
    });
  };
  const auto collect = [&] {
    basis.assign(rows * count, T{0});
    for (std::size_t s = 0; s < sites; ++s)
      device.gemm(false, false, rows, count, width, T{1}, stack.data() + s * rows * width, width,
                  images.data() + s * width * count, count, T{1}, basis.data(), count);
    orthonormalise(basis, rows, count);
  };
  if (sites == 1 && width == count) {
    basis = stack;
    orthonormalise(basis, rows, count);
  } else {
    if (basis.empty()) {
      RandomStream(0, "fit/combine").fill_normal(std::span<T>(images), 0, 1);
      collect();
    }
    for (int step = 0; step < 3; ++step) {
      project();
      collect();
    }
  }
  project();
  return leading_energy(device, images, count, rank);
}

}  // namespace

std::size_t basis_width(std::size_t rank) {
  return (rank + std::max<std::size_t>(8, rank / 2) + 7) / 8 * 8;
}

template <class T>
double sum_of_squares(const T* values, std::size_t count) {
  // Sums of few products in T, those in double: as exact as double, as fast as T.
  constexpr std::size_t lanes = 32, piece = 16 * lanes;
  double sum = 0;
  std::size_t i = 0;
  for (; i + piece <= count; i += piece) {
    T part[lanes] = {};
    for (std::size_t j = 0; j < piece; j += lanes)
      for (std::size_t lane = 0; lane < lanes; ++lane)
        part[lane] += values[i + j + lane] * values[i + j + lane];
    for (const T value : part) sum += static_cast<double>(value);
  }
  for (; i < count; ++i) sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  return sum;
}

SingleThread::SingleThread(bool wanted) {
  if (!wanted || omp_in_parallel() || omp_get_max_threads() == 1) return;
  threads_ = omp_get_max_threads();
  omp_set_num_threads(1);
}

SingleThread::~SingleThread() {
  if (threads_ > 0) omp_set_num_threads(threads_);
}

void for_each(std::size_t count, const std::function<void(std::size_t)>& body) {
  if (count < 2 || omp_in_parallel() || omp_get_max_threads() == 1) {
    for (std::size_t i = 0; i < count; ++i) body(i);
    return;
  }
  std::exception_ptr failure;
#pragma omp parallel for schedule(dynamic)
  for (std::size_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
#pragma omp critical(rankfold_fit)
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

template <class T>
Compression<T> compress(const UpdateSource<T>& source, const std::vector<std::size_t>& sites,
                        std::size_t rows, std::size_t columns, BasisSize out_basis,
                        BasisSize in_basis, const Device& device,
                        const std::function<std::string(std::size_t)>& describe) {
  const std::size_t count = sites.size(), out = out_basis.width, in = in_basis.width;
  Compression<T> result;
  result.out = out ? out : rows;
  result.in = in ? in : columns;
  result.squares.assign(count, 0.0);
  bool know_squares = false;
  /// Calls use(s, D_s) for every site.
  const auto pass = [&](const std::function<void(std::size_t, const T*)>& use) {
    for_each(count, [&](std::size_t s) {
      std::vector<T> scratch;
      const T* matrix = source.read(sites[s], scratch);
      use(s, matrix);
      if (!know_squares) {
        result.squares[s] = sum_of_squares(matrix, rows * columns);
        if (!std::isfinite(result.squares[s]))
          throw Error("{}: holds numbers that are not finite", describe(sites[s]));
      }
      source.release(sites[s]);
    });
    know_squares = true;
  };
  const auto times_right = [&](std::vector<T>& stack) {  // D_s right
    stack.resize(count * rows * in);
    pass([&](std::size_t s, const T* matrix) {
      device.gemm(false, false, rows, in, columns, T{1}, matrix, columns, result.right.data(), in,
                  T{0}, stack.data() + s * rows * in, in);
    });
  };
  const auto times_left = [&](std::vector<T>& stack) {  // D_s^T left
    stack.resize(count * columns * out);
    pass([&](std::size_t s, const T* matrix) {
      device.gemm(true, false, columns, out, rows, T{1}, matrix, columns, result.left.data(), out,
                  T{0}, stack.data() + s * columns * out, out);
    });
  };
  const auto draw = [&](std::vector<T>& basis, std::size_t side, std::size_t width) {
    basis.resize(side * width);
    RandomStream(0, "fit/range").fill_normal(std::span<T>(basis), 0, 1);
    orthonormalise(basis, side, width);
  };
  const auto total = [&] {
    double sum = 0;
    for (const double square : result.squares) sum += square;
    return sum;
  };
  double captured = 0;
  /// Whether what a pass found is little more than what was known.
  const auto is_done = [&](double now) {
    const double gain = now - captured, left = std::max(total() - now, 0.0);
    captured = now;
    return gain <= std::max(least_gain * left, 1e-14 * total());
  };
  if (out && in) {
    draw(result.right, columns, in);
    std::vector<T> other;
    for (int passes = 1;; ++passes) {
      times_right(result.half);
      const double found =
          follow_subspace(device, result.half, count, rows, in, out, out_basis.rank, result.left);
      if ((is_done(found) && passes > 1) || passes >= most_passes) break;
      times_left(other);
      const double across =
          follow_subspace(device, other, count, columns, out, in, in_basis.rank, result.right);
      // Of one matrix both sides have the same singular values.
      if (count == 1) captured = across;
      ++passes;
    }
    const SingleThread single(work_of(count * rows, out, in) < worth_threads);
    result.core.resize(count * out * in);
    for (std::size_t s = 0; s < count; ++s)
      device.gemm(true, false, out, in, rows, T{1}, result.left.data(), out,
                  result.half.data() + s * rows * in, in, T{0}, result.core.data() + s * out * in,
                  in);
    return result;
  }
  // One side: the basis follows the products with the matrices and their transposes.
  const bool is_right = in > 0;
  std::vector<T>& basis = is_right ? result.right : result.left;
  const std::size_t side = is_right ? columns : rows, width = is_right ? in : out,
                    across = is_right ? rows : columns;
  draw(basis, side, width);
  std::vector<T> stack;
  for (int passes = 0; passes < most_passes; ++passes) {
    is_right ? times_right(stack) : times_left(stack);
    if (is_done(leading_energy(device, stack, width, (is_right ? in_basis : out_basis).rank)))
      break;
    std::vector<T> next(side * width, T{0});
    for (std::size_t s = 0; s < count; ++s) {
      std::vector<T> scratch;
      device.gemm(is_right, false, side, width, across, T{1}, source.read(sites[s], scratch),
                  columns, stack.data() + s * across * width, width, T{1}, next.data(), width);
      source.release(sites[s]);
    }
    basis = std::move(next);
    orthonormalise(basis, side, width);
  }
  if (is_right) {
    times_right(result.core);
  } else {
    times_left(stack);
    result.core.resize(count * out * columns);
    for (std::size_t s = 0; s < count; ++s)
      for (std::size_t i = 0; i < out; ++i)
        for (std::size_t j = 0; j < columns; ++j)
          result.core[(s * out + i) * columns + j] = stack[(s * columns + j) * out + i];
  }
  return result;
}

template double sum_of_squares(const float*, std::size_t);
template double sum_of_squares(const double*, std::size_t);
template Compression<float> compress(const UpdateSource<float>&, const std::vector<std::size_t>&,
                                     std::size_t, std::size_t, BasisSize, BasisSize, const Device&,
                                     const std::function<std::string(std::size_t)>&);
template Compression<double> compress(const UpdateSource<double>&, const std::vector<std::size_t>&,
                                      std::size_t, std::size_t, BasisSize, BasisSize, const Device&,
                                      const std::function<std::string(std::size_t)>&);

}  // namespace rankfold
