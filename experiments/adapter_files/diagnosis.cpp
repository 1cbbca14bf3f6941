#include "experiments/adapter_files/diagnosis.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/base/error.h"
#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

constexpr double singular = 1e-6, counted_value = 1e-5;
constexpr double float_rounding = 1e-6;  ///< to which an update in float is of low rank
constexpr std::size_t block_numbers = std::size_t{1} << 26;  // 256 MiB of floats

/// The largest condition of a tensor's unfoldings; none where one of them is singular.
std::optional<double> condition(const Parameter<float>& parameter) {
  const std::span<const float> values = parameter.value.span();
  double worst = 1;
  std::size_t inner = values.size();
  for (const std::size_t extent : parameter.shape) {
    inner /= extent;
    const std::size_t others = values.size() / extent;
    std::vector<double> unfolded(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t row = i / inner % extent;
      const std::size_t column = i / (inner * extent) * inner + i % inner;
      unfolded[row * others + column] = static_cast<double>(values[i]);
    }
    const Svd svd = decompose_svd({unfolded.data(), extent, others});
    if (!(svd.s.back() > singular * svd.s.front())) return std::nullopt;
    worst = std::max(worst, svd.s.front() / svd.s.back());
  }
  return worst;
}

std::vector<FactorCondition> measure_factors(const Adapter<float>& adapter) {
  std::vector<std::string> names;
  std::map<std::string, std::vector<double>> found;
  for (const Parameter<float>& parameter : adapter.parameters()) {
    if (!parameter.trainable) continue;
    if (!found.contains(parameter.factor)) names.push_back(parameter.factor);
    found[parameter.factor].push_back(condition(parameter).value_or(INFINITY));
  }
  std::vector<FactorCondition> result;
  for (const std::string& name : names) {
    std::vector<double>& values = found[name];
    std::ranges::sort(values);
    const auto known = [](double value) {
      return std::isfinite(value) ? std::optional(value) : std::nullopt;
    };
    result.push_back({name, values.size(), known(values[values.size() / 2]), known(values.back())});
  }
  return result;
}

std::vector<float> form_update(const Adapter<float>& adapter, std::size_t index) {
  const Site& site = adapter.stack().sites[index];
  std::vector<float> update(site.out * site.in);
  adapter.reconstruct(index, {update.data(), site.out, site.in});
  return update;
}

double square(std::span<const double> values) {
  return std::inner_product(values.begin(), values.end(), values.begin(), 0.0);
}

SiteSpectrum measure_site(const LoneAdapter& source, std::size_t index, const Device& device) {
  const Site& site = source.adapter->stack().sites[index];
  const std::vector<float> rounded = form_update(*source.adapter, index);
  const std::vector<double> update(rounded.begin(), rounded.end());
  SiteSpectrum result{.site = site.name,
                      .layer = site.layer,
                      .matrix = std::string(to_string(site.matrix)),
                      .norm = std::sqrt(square(update))};
  if (source.host) {
    const float* weight = source.host->frozen(site).weight;
    result.frozen_norm = std::sqrt(square(std::vector<double>(weight, weight + update.size())));
  }
  if (result.norm == 0) return result;
  std::vector<double> values =
      decompose_low_rank({update.data(), site.out, site.in}, float_rounding, device).s;
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  double entropy = 0;
  for (const double value : values) {
    if (value > counted_value * values.front()) ++result.rank;
    if (value > 0) entropy -= value / sum * std::log(value / sum);
  }
  result.effective_rank = std::exp(entropy);
  values.resize(result.rank);
  result.values = std::move(values);
  return result;
}

/// The inner products of the sites' updates, which are formed by blocks.
std::vector<double> multiply_updates(const Adapter<float>& adapter,
                                     const std::vector<std::size_t>& sites, std::size_t size,
                                     const Device& device) {
  const std::size_t block = std::max<std::size_t>(1, block_numbers / size);
  const auto form = [&](std::size_t first) {
    std::vector<float> updates;
    for (std::size_t i = first; i < std::min(first + block, sites.size()); ++i) {
      const std::vector<float> update = form_update(adapter, sites[i]);
      updates.insert(updates.end(), update.begin(), update.end());
    }
    return updates;
  };
  std::vector<double> gram(sites.size() * sites.size());
  for (std::size_t first = 0; first < sites.size(); first += block) {
    const std::vector<float> rows = form(first);
    for (std::size_t second = first; second < sites.size(); second += block) {
      const std::vector<float> other = second == first ? std::vector<float>() : form(second);
      const std::vector<float>& columns = second == first ? rows : other;
      const std::size_t m = rows.size() / size, n = columns.size() / size;
      std::vector<float> products(m * n);
      device.gemm(false, true, m, n, size, 1.0F, rows.data(), size, columns.data(), size, 0.0F,
                  products.data(), n);
      for (std::size_t i = 0; i < m; ++i)
        for (std::size_t j = 0; j < n; ++j)
          gram[(first + i) * sites.size() + second + j] =
              gram[(second + j) * sites.size() + first + i] =
                  static_cast<double>(products[i * n + j]);
    }
  }
  return gram;
}

SiteRedundancy measure_group(const Adapter<float>& adapter, const std::vector<std::size_t>& sites,
                             const Device& device) {
  const Site& shape = adapter.stack().sites[sites.front()];
  SiteRedundancy result{.out = shape.out, .in = shape.in, .sites = sites.size()};
  const std::size_t count = sites.size();
  std::vector<double> cosines = multiply_updates(adapter, sites, shape.out * shape.in, device);
  std::vector<double> norms;
  for (std::size_t i = 0; i < count; ++i) norms.push_back(std::sqrt(cosines[i * count + i]));
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = 0; j < count; ++j) cosines[i * count + j] /= norms[i] * norms[j];
  double entropy = 0;
  for (const double value : symmetric_eigenvalues(cosines, count)) {
    const double share = value / static_cast<double>(count);
    if (share > 0) entropy -= share * std::log(share);
  }
  result.independent = std::exp(entropy);
  result.redundancy =
      count > 1 ? std::max(0.0, 1 - result.independent / static_cast<double>(count)) : 0;
  for (std::size_t i = 0; i < count; ++i)
    for (std::size_t j = i + 1; j < count; ++j)
      result.most_alike.push_back({adapter.stack().sites[sites[i]].name,
                                   adapter.stack().sites[sites[j]].name, cosines[i * count + j]});
  std::ranges::stable_sort(result.most_alike, [](const auto& a, const auto& b) {
    return std::abs(a.cosine) > std::abs(b.cosine);
  });
  if (result.most_alike.size() > 5) result.most_alike.resize(5);
  return result;
}

}  // namespace

Diagnosis diagnose(const LoneAdapter& source) {
  const Adapter<float>& adapter = *source.adapter;
  if (!adapter.is_weight_update())
    throw Error(
        "method {} adds to the activations, not to the weights: there is no update to look at",
        source.description.method);
  const auto device = make_cpu_device();
  Diagnosis result{.factors = measure_factors(adapter)};
  std::map<std::pair<std::size_t, std::size_t>, std::vector<std::size_t>> groups;
  for (std::size_t index = 0; index < adapter.stack().sites.size(); ++index) {
    result.sites.push_back(measure_site(source, index, *device));
    const Site& site = adapter.stack().sites[index];
    if (result.sites.back().norm > 0) groups[{site.out, site.in}].push_back(index);
  }
  for (const auto& [shape, sites] : groups)
    result.groups.push_back(measure_group(adapter, sites, *device));
  return result;
}

}  // namespace rankfold
