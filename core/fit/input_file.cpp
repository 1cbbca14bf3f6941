#include "core/fit/input_file.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/fit/numpy_file.h"

namespace rankfold {
namespace fs = std::filesystem;
namespace {

/// Metrics by where their inputs come from; equal inputs of two places are one.
class Collector {
 public:
  explicit Collector(double ridge) : ridge_(ridge) {}
  std::size_t add(std::vector<double> gram, std::size_t size) {
    for (std::size_t i = 0; i < grams_.size(); ++i)
      if (grams_[i] == gram) return i;
    metrics_.push_back(make_metric(gram, size, ridge_));
    grams_.push_back(std::move(gram));
    return metrics_.size() - 1;
  }
  std::vector<InputMetric> take() { return std::move(metrics_); }

 private:
  double ridge_;
  std::vector<std::vector<double>> grams_;
  std::vector<InputMetric> metrics_;
};

InputMetrics read_array(const fs::path& path, const Stack& stack, double ridge) {
  const NumpyFile file(path);
  const std::vector<std::size_t>& shape = file.shape();
  const std::size_t sites = stack.sites.size();
  const bool common = shape.size() == 2;
  if (!common && (shape.size() != 3 || shape[0] != sites))
    throw Error("{}: an array of {}, expected (samples, in), or (sites, samples, in) of {} sites",
                path.string(),
                shape.empty() ? std::string("no mode") : fmt::format("{}", fmt::join(shape, " x ")),
                sites);
  for (const Site& site : stack.sites)
    if (site.in != shape.back())
      throw Error("{}: inputs of {} numbers, but site {} has {}", path.string(), shape.back(),
                  site.name, site.in);
  InputMetrics result;
  Collector collector(ridge);
  const std::size_t pieces = common ? 1 : sites, count = file.size() / pieces;
  for (std::size_t i = 0; i < pieces; ++i)
    result.of_site.push_back(collector.add(
        gram_of_inputs(file.read<double>(i * count, count), shape.back(),
                       common ? path.string()
                              : fmt::format("{}: site {}", path.string(), stack.sites[i].name)),
        shape.back()));
  result.of_site.resize(sites, 0);
  result.metrics = collector.take();
  return result;
}

InputMetrics read_tensors(const fs::path& path, const Stack& stack, double ridge) {
  const SafetensorsFile file(path);
  InputMetrics result;
  Collector collector(ridge);
  std::map<std::string, std::size_t> known;
  for (const Site& site : stack.sites) {
    const TensorEntry* entry = file.find(site.name);
    if (!entry) entry = file.find("x");
    if (!entry)
      throw Error("{}: has no tensor {} of that site's inputs, and none named x", path.string(),
                  site.name);
    if (entry->shape.size() != 2 || entry->shape[1] != site.in)
      throw Error("{}: tensor {} is {}, expected samples x {} as site {} has inputs", path.string(),
                  entry->name,
                  entry->shape.empty() ? std::string("a scalar")
                                       : fmt::format("{}", fmt::join(entry->shape, " x ")),
                  site.in, site.name);
    const auto found = known.find(entry->name);
    if (found != known.end()) {
      result.of_site.push_back(found->second);
      continue;
    }
    result.of_site.push_back(
        collector.add(gram_of_inputs(file.read<double>(entry->name), site.in,
                                     fmt::format("{}: tensor {}", path.string(), entry->name)),
                      site.in));
    known[entry->name] = result.of_site.back();
  }
  result.metrics = collector.take();
  return result;
}

}  // namespace

InputMetrics read_inputs(const fs::path& file, const Stack& stack, double ridge) {
  const std::string extension = file.extension().string();
  if (extension == ".npy") return read_array(file, stack, ridge);
  if (extension == ".safetensors") return read_tensors(file, stack, ridge);
  throw UsageError("--data {}: expected a .npy or a .safetensors file", file.string());
}

}  // namespace rankfold
