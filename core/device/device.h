#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/device/buffer.h"
#include "core/device/device_operations.h"
#include "core/device/layer_operations.h"
#include "core/device/training_operations.h"
#include "core/device/views.h"

namespace rankfold {

/// Kinds of work in a training step, for profiles.
enum class Work { frozen_product, adapter, attention, elementwise };

/// What a machine does in a second, as far as plans depend on it.
struct MachineRates {
  double large_flops = 0;  ///< of large matrix products
  double thin_flops = 0;   ///< of products with a thin side, operands in the cache
  double moved = 0;        ///< numbers read or written beyond the cache
};

/// Where tensors live and who computes on them: nothing else dereferences a device's memory, loops
/// over it or multiplies matrices in it, so that another device needs one more implementation of
/// this interface and nothing else. Calls take effect in the order in which they are made;
/// `download` and `synchronise` return when all before them is done.
class Device : public DeviceOperations<float>,
               public DeviceOperations<double>,
               public LayerOperations,
               public TrainingOperations {
 public:
  virtual std::string description() const = 0;

  // Memory.

  /// 64-byte aligned, uninitialised. Throws Error when there is no memory.
  virtual void* allocate(std::size_t bytes) const = 0;
  virtual void release(void* memory) const noexcept = 0;
  /// Whether the device's memory is the host's and the host's is the device's.
  virtual bool reaches_host() const = 0;
  /// To the device's memory, from it, and within it.
  virtual void upload(const void* host, std::size_t bytes, void* memory) const = 0;
  virtual void download(const void* memory, std::size_t bytes, void* host) const = 0;
  virtual void copy(const void* from, std::size_t bytes, void* to) const = 0;
  virtual void synchronise() const = 0;

  // Products, rows, elements, sums: in both precisions (DeviceOperations).

  using DeviceOperations<float>::gemm, DeviceOperations<double>::gemm;
  using DeviceOperations<float>::accumulate, DeviceOperations<double>::accumulate;
  using DeviceOperations<float>::clear, DeviceOperations<double>::clear;
  using DeviceOperations<float>::fill, DeviceOperations<double>::fill;
  using DeviceOperations<float>::copy_matrix, DeviceOperations<double>::copy_matrix;
  using DeviceOperations<float>::add_matrix, DeviceOperations<double>::add_matrix;
  using DeviceOperations<float>::fill_rows, DeviceOperations<double>::fill_rows;
  using DeviceOperations<float>::keep_and_add_row, DeviceOperations<double>::keep_and_add_row;
  using DeviceOperations<float>::relu, DeviceOperations<double>::relu;
  using DeviceOperations<float>::relu_backward, DeviceOperations<double>::relu_backward;
  using DeviceOperations<float>::apply, DeviceOperations<double>::apply;
  using DeviceOperations<float>::sum_rows, DeviceOperations<double>::sum_rows;
  using DeviceOperations<float>::sum_columns, DeviceOperations<double>::sum_columns;
  using DeviceOperations<float>::sum_and_scale_columns,
      DeviceOperations<double>::sum_and_scale_columns;
  using DeviceOperations<float>::combine, DeviceOperations<double>::combine;
  using DeviceOperations<float>::scale_rows, DeviceOperations<double>::scale_rows;
  using DeviceOperations<float>::scale_columns, DeviceOperations<double>::scale_columns;
  using DeviceOperations<float>::scale_rows_by_columns,
      DeviceOperations<double>::scale_rows_by_columns;
  using DeviceOperations<float>::project_rows, DeviceOperations<double>::project_rows;
  using DeviceOperations<float>::project_columns, DeviceOperations<double>::project_columns;

  // Products with a frozen weight that was prepared in bfloat16.

  /// Y = X W^T + bias, without it where it is null.
  virtual void bfloat16_forward(const Bfloat16Weight& weight, MatrixView<const float> x,
                                const float* bias, MatrixView<float> y) const = 0;
  /// dX = dY W, added to dX where `accumulate`.
  virtual void bfloat16_backward(const Bfloat16Weight& weight, MatrixView<const float> dy,
                                 MatrixView<float> dx, bool accumulate) const = 0;

  // Layers of networks, and what training does to tensors: in float (LayerOperations,
  // TrainingOperations).

  // Rates, records and blocks.

  /// What plans are chosen by.
  virtual MachineRates rates() const = 0;
  /// Told by WorkTimer how long a piece of work took; a device that profiles listens.
  virtual void record(Work, double) const {}
  /// Rows of a block of tokens with so many numbers each (of X and the outputs), for work that runs
  /// through all tokens by blocks.
  virtual std::size_t block_rows(std::size_t numbers_a_row) const = 0;
  /// So many pieces of independent work run at one time.
  virtual std::size_t lanes() const = 0;
  /// work(0) .. work(lanes - 1), at the same time where the device can; lanes is at most lanes().
  /// What is called by `work` runs in its lane alone.
  virtual void run_lanes(std::size_t lanes, LaneWork work) const = 0;
};

/// Throws Error naming `who` and the device where the host does not reach its memory: for work that
/// the host does on it (fitting, small decompositions, degrees of freedom).
void expect_host_memory(const Device& device, std::string_view who);

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

}  // namespace rankfold
