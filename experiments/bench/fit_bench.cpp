#include "experiments/bench/fit_bench.h"

#include <algorithm>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/random.h"
#include "core/device/device.h"
#include "core/fit/fit.h"
#include "experiments/bench/layer_bench.h"
#include "experiments/bench/timing.h"

namespace rankfold {
namespace {

constexpr std::size_t most_directions = 64;
constexpr double noise = 0.1;

void check_request(const FitBenchRequest& request, const Registry& registry) {
  if (request.repeats == 0) throw UsageError("--repeats is 0; expected 1 or more");
  for (auto name = request.methods.begin(); name != request.methods.end(); ++name) {
    registry.at(*name);
    if (std::find(request.methods.begin(), name, *name) != name)
      throw UsageError("--method {}: stands twice", *name);
  }
}

}  // namespace

template <class T>
FitBenchReport bench_fit(const FitBenchRequest& request, const Stack& stack,
                         const UpdateSource<T>& source, const Registry& registry,
                         const std::function<void(std::size_t, std::size_t)>& progress) {
  check_request(request, registry);
  const bool named = !request.methods.empty();
  const std::vector<std::string> names = named ? request.methods : registry.names();
  const auto device = make_cpu_device();
  const auto settings_of = [&](const Method& method) {
    return resolve_settings(method, {method.has_rank ? request.rank : "", {}, "", {}}, stack);
  };
  if (named)  // before anything is measured
    for (const std::string& name : names) settings_of(registry.at(name));
  FitBenchReport report;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (progress) progress(i, names.size());
    const Method& method = registry.at(names[i]);
    try {
      const MethodSettings settings = settings_of(method);
      FitBenchRow row{.method = method.name, .rank = method.has_rank ? request.rank : ""};
      std::vector<double> seconds;
      for (std::size_t repeat = 0; repeat < request.repeats; ++repeat)
        seconds.push_back(seconds_of([&] {
          const FittedUpdates<T> fitted =
              fit_updates<T>(method, stack, settings, source, {}, device);
          row.parameters = fitted.adapter->parameter_count();
          row.relative_error = fitted.report.relative_error;
          row.starts = fitted.report.starts;
          row.sweeps = fitted.report.iterations;
        }));
      row.seconds = median(seconds);
      report.rows.push_back(std::move(row));
    } catch (const Error& error) {
      if (named) throw;
      report.skipped.push_back({names[i], error.what()});
    }
  }
  if (progress) progress(names.size(), names.size());
  return report;
}

RandomUpdates::RandomUpdates(std::size_t layers, std::size_t width) {
  if (layers == 0 || width == 0)
    throw UsageError("layers {}, width {}: expected 1 or more of each", layers, width);
  const double mib = static_cast<double>(layers) * static_cast<double>(width) *
                     static_cast<double>(width) * sizeof(float) / (1024 * 1024);
  if (mib > static_cast<double>(memory_mib()))
    throw UsageError(
        "layers {}, width {}: the updates take {:.0f} MiB, expected at most the {} MiB of this "
        "machine",
        layers, width, mib, memory_mib());
  stack_ = bench_stack(layers, width);
  size_ = width * width;
  values_.resize(layers * size_);
  const std::size_t directions = std::min(width, most_directions);
  std::vector<float> shared(directions * width), own(width * directions);
  RandomStream(1, "bench/fit/a").fill_normal(std::span<float>(shared), 0, 1);
  const auto device = make_cpu_device();
  for (std::size_t layer = 0; layer < layers; ++layer) {
    float* matrix = values_.data() + layer * size_;
    RandomStream(1, "bench/fit/noise", layer)
        .fill_normal(std::span<float>(matrix, size_), 0, noise);
    RandomStream(1, "bench/fit/b", layer).fill_normal(std::span<float>(own), 0, 1);
    for (std::size_t i = 0; i < width; ++i)
      for (std::size_t k = 0; k < directions; ++k)
        own[i * directions + k] /= static_cast<float>(k + 1);
    device->gemm(false, false, width, width, directions, 1.0F, own.data(), directions,
                 shared.data(), width, 1.0F, matrix, width);
    largest_.push_back(largest_magnitude(matrix, size_));
  }
}

template FitBenchReport bench_fit(const FitBenchRequest&, const Stack&, const UpdateSource<float>&,
                                  const Registry&,
                                  const std::function<void(std::size_t, std::size_t)>&);
template FitBenchReport bench_fit(const FitBenchRequest&, const Stack&, const UpdateSource<double>&,
                                  const Registry&,
                                  const std::function<void(std::size_t, std::size_t)>&);

}  // namespace rankfold
