#include "core/fit/input_metric.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/fit/compression.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

double trace_of(const std::vector<double>& gram, std::size_t size) {
  double trace = 0;
  for (std::size_t i = 0; i < size; ++i) trace += gram[i * size + i];
  return trace;
}

}  // namespace

std::vector<double> gram_of_inputs(const std::vector<double>& inputs, std::size_t size,
                                   const std::string& what) {
  const std::size_t samples = size == 0 ? 0 : inputs.size() / size;
  if (samples == 0) throw Error("{}: holds no input", what);
  std::vector<double> gram(size * size);
  make_cpu_device()->gemm(true, false, size, size, samples, 1 / static_cast<double>(samples),
                          inputs.data(), size, inputs.data(), size, 0.0, gram.data(), size);
  const double trace = trace_of(gram, size);
  if (!std::isfinite(trace))
    throw Error("{}: holds numbers that are not finite, or whose squares are not", what);
  if (trace == 0) throw Error("{}: all inputs are zero", what);
  return gram;
}

InputMetric make_metric(std::vector<double> gram, std::size_t size, double ridge) {
  if (!(ridge >= least_ridge) || std::isinf(ridge))
    throw UsageError("ridge is {}; expected {} or more", ridge, least_ridge);
  const double shift = ridge * trace_of(gram, size) / static_cast<double>(size);
  for (std::size_t i = 0; i < size; ++i) gram[i * size + i] += shift;
  return {size, upper_root(std::move(gram), size)};
}

void multiply_by_root(const InputMetric& metric, const Device& device, const double* matrix,
                      std::size_t rows, double* product) {
  device.gemm(false, true, rows, metric.size, metric.size, 1.0, matrix, metric.size,
              metric.root.data(), metric.size, 0.0, product, metric.size);
}

WeightedSource::WeightedSource(const UpdateSource<double>& source, const InputMetrics& metrics,
                               const Stack& stack, const Device& device, std::size_t limit)
    : source_(source), metrics_(metrics), stack_(stack), device_(device) {
  std::size_t total = 0;
  for (const Site& site : stack.sites) {
    begin_.push_back(total);
    total += site.out * site.in;
  }
  if (total > limit / sizeof(double)) return;
  kept_.resize(total);
  for_each(stack.sites.size(), [&](std::size_t site) {
    form(site, kept_.data() + begin_[site]);
    source_.release(site);
  });
}

const double* WeightedSource::read(std::size_t site, std::vector<double>& scratch) const {
  if (!kept_.empty()) return kept_.data() + begin_[site];
  scratch.resize(stack_.sites[site].out * stack_.sites[site].in);
  form(site, scratch.data());
  return scratch.data();
}

void WeightedSource::form(std::size_t site, double* product) const {
  std::vector<double> scratch;
  const double* matrix = source_.read(site, scratch);
  multiply_by_root(metrics_.at(site), device_, matrix, stack_.sites[site].out, product);
}

}  // namespace rankfold
