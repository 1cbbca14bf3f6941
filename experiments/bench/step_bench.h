#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "core/adapter/registry.h"
#include "core/device/counting_device.h"
#include "experiments/models/host.h"
#include "experiments/runs/settings.h"

namespace rankfold {

/// A training step of a model: `batch` sequences of `length` random tokens.
struct StepRequest {
  /// A built-in shape or a model folder; without weights (no model.safetensors) random ones serve.
  std::string model;
  /// method, rank, alpha, preset, targets, layers, batch, dropout, optimizer and what belongs to
  /// it, threads and the method's options.
  RunSettings settings;
  std::size_t length = 0;
  std::size_t steps = 7;                       ///< timed ones
  HostOutput output = HostOutput::classifier;  ///< whose loss it is
};

struct StepReport {
  std::string model;
  bool random_weights = false;
  std::string method;
  std::size_t rank = 0;  ///< 0 where the method has none
  std::size_t batch = 0, length = 0, threads = 0, steps = 0;
  std::map<std::string, double> dropout;  ///< of the network, by place
  double step_ms = 0;                     ///< median
  double tokens_per_second = 0;           ///< of the median
  double peak_memory_mib = 0;             ///< of the process, from its start to the second step
  /// Of a zeroth-order step, else 0: the median of a forward pass of the same batch, measured
  /// between the steps, and the process's peak memory when such passes were all that it had done.
  double forward_ms = 0, forward_peak_memory_mib = 0;
  double large_sgemm_gflops = 0;            ///< median of LargeProduct, measured between the steps
  double floor_ms = 0;                      ///< flops at that rate
  double share_of_floor = 0;                ///< floor_ms / step_ms
  std::uint64_t flops = 0, thin_flops = 0;  ///< of all products of a step; of those with a side of
                                            ///< at most CountingDevice::thin_side
  double allocations = 0;                   ///< a step, after the second
  std::vector<std::string> plans;           ///< explain_plans for the batch
  std::map<Work, double> profile;           ///< share of the steps' time by kind of work

  /// The time that no WorkTimer saw.
  double other() const;
};

/// Measures steps as a training run takes them: gradients to zero, forward with dropout, backward,
/// norm of the gradients, AdamW; or with a zeroth-order optimizer its passes and update. Two steps
/// warm up; a large product is timed before each other one, so that noise of the machine meets
/// both. `message` gets notes. Throws UsageError for wrong settings, Error as load_host does.
StepReport bench_step(const StepRequest& request, const Registry& registry,
                      const std::function<void(const std::string&)>& message);

}  // namespace rankfold
