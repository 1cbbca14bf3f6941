#include "core/fit/in_factor.h"

#include <algorithm>

#include "core/linalg/linear_algebra.h"

namespace rankfold {
namespace {

/// The operand of a product that alone holds the in side, where that is one mode.
std::optional<std::size_t> find_holder(const SiteNetwork& network, const FitTerm& term) {
  if (network.data.size() - network.out_axes != 1) return {};
  std::optional<std::size_t> holder;
  for (std::size_t k = 0; k < term.operands.size(); ++k) {
    if (!find_axis(term.operands[k].axes, network.data.back().mode)) continue;
    if (holder) return {};
    holder = k;
  }
  return holder;
}

/// Whether the operand's modes other than in lie before or behind the whole of it.
bool holds_all_of_it(const FitOperand& operand, const Axis& in, std::size_t size) {
  const std::size_t piece = in.size * in.stride;
  return size % piece == 0 && operand.offset % piece < in.stride &&
         std::ranges::all_of(operand.axes, [&](const Axis& axis) {
           return axis.mode == in.mode || axis.stride % piece == 0 ||
                  axis.stride * axis.size <= in.stride;
         });
}

}  // namespace

void put_root_in(const InputMetric& metric, std::size_t stride, const Device& device,
                 std::vector<double>& values) {
  const std::vector<double> old = values;
  for (std::size_t at = 0; at < values.size(); at += metric.size * stride)
    device.gemm(false, false, metric.size, stride, metric.size, 1.0, metric.root.data(),
                metric.size, old.data() + at, stride, 0.0, values.data() + at, stride);
}

void take_root_out(const InputMetric& metric, std::size_t stride, double* values,
                   std::size_t size) {
  for (std::size_t at = 0; at < size; at += metric.size * stride)
    solve_upper(metric.root, metric.size, values + at, stride);
}

std::optional<std::map<std::size_t, InFactor>> find_in_factors(
    const std::vector<SiteNetwork>& networks, const std::vector<std::size_t>& sites,
    const std::vector<FitParameter>& parameters, const InputMetrics& metrics) {
  std::map<std::size_t, InFactor> factors;
  std::vector<std::size_t> others;
  for (const std::size_t site : sites)
    for (const FitTerm& term : networks[site].terms) {
      const std::optional<std::size_t> holder = find_holder(networks[site], term);
      if (!holder) return {};
      for (std::size_t k = 0; k < term.operands.size(); ++k) {
        const FitOperand& operand = term.operands[k];
        if (k != *holder) {
          others.push_back(operand.parameter);
          continue;
        }
        const Axis& in = *find_axis(operand.axes, networks[site].data.back().mode);
        if (!holds_all_of_it(operand, in, parameters[operand.parameter].size)) return {};
        const InFactor factor{metrics.of_site[site], in.stride};
        const InFactor& known = factors.try_emplace(operand.parameter, factor).first->second;
        if (known.metric != factor.metric || known.stride != factor.stride) return {};
      }
    }
  const auto is_in_factor = [&](std::size_t parameter) { return factors.contains(parameter); };
  if (std::ranges::any_of(others, is_in_factor)) return {};
  return factors;
}

std::optional<JointInFactor> find_in_factor(const JointNetwork& joint,
                                            const InputMetrics& metrics) {
  const FitTerm& term = joint.network.terms.front();
  const std::optional<std::size_t> holder = find_holder(joint.network, term);
  if (!holder) return {};
  const JointNetwork::Copies& copies = joint.copies[*holder];
  std::vector<std::optional<std::size_t>> found(copies.places.size());
  for (std::size_t place = 0; place < joint.sites.size(); ++place) {
    std::size_t copy = 0;
    if (copies.mode) {
      const Axis& mode = joint.site_modes[*copies.mode];
      copy = place / mode.stride % mode.size;
    }
    const std::size_t metric = metrics.of_site[joint.sites[place]];
    if (found[copy].value_or(metric) != metric) return {};
    found[copy] = metric;
  }
  JointInFactor factor{
      *holder, find_axis(term.operands[*holder].axes, joint.network.data.back().mode)->stride, {}};
  for (const std::optional<std::size_t>& metric : found) factor.metrics.push_back(metric.value());
  return factor;
}

}  // namespace rankfold
