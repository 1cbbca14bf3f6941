#include "core/fit/site_network.h"

#include <algorithm>
#include <map>
#include <numeric>

#include "core/base/error.h"
#include "core/network/compiled_network.h"
#include "core/network/factor_copies.h"

namespace rankfold {
namespace {

constexpr int first_site_mode = 500;  // beyond those of compiled networks
constexpr int metric_mode = 700;

bool equal(const std::vector<Axis>& a, const std::vector<Axis>& b, bool strides) {
  return std::ranges::equal(a, b, [&](const Axis& x, const Axis& y) {
    return x.mode == y.mode && x.size == y.size && (!strides || x.stride == y.stride);
  });
}

void expect_plain_update(const std::string& method, const Site& site,
                         const Declaration& declaration) {
  const auto refuse = [&](const char* why) {
    throw UsageError(
        "[{}] cannot be fitted to a weight update: site {} {}; expected a sum of products of "
        "factors beside the weight",
        method, site.name, why);
  };
  if (declaration.place != Place::beside) refuse("acts around its weight");
  if (declaration.stages.size() > 1) refuse("has several stages");
  if (declaration.normalisation) refuse("normalises its weight");
  for (const Stage& stage : declaration.stages) {
    if (stage.activation != Activation::none) refuse("is no linear map");
    for (const Term& term : stage.network.terms)
      if (term.constant) refuse("adds a bias");
  }
}

/// The data's modes by the numbers that they have in the first term.
void renumber(std::vector<FitOperand>& operands, const std::vector<Axis>& from,
              const std::vector<Axis>& to) {
  constexpr int apart = 200;
  for (FitOperand& operand : operands)
    for (Axis& axis : operand.axes) {
      const auto found = std::ranges::find(from, axis.mode, &Axis::mode);
      axis.mode = found == from.end() ? axis.mode + apart
                                      : to[static_cast<std::size_t>(found - from.begin())].mode;
    }
}

SiteNetwork compile_site(const Network& network, const Site& site,
                         const FindParameter& find_parameter, PlanCache& cache,
                         const std::string& what) {
  const CompiledNetwork compiled = compile_network(network, 1, find_parameter, cache, what);
  SiteNetwork result;
  for (const CompiledTerm& term : compiled.terms) {
    FitTerm ready{term.scale, {}};
    for (const TreeOperand& operand : term.reconstruct.operands) {
      if (operand.kind != TreeOperand::Kind::parameter)
        throw UsageError(
            "{}: cannot be fitted, because modes of a reshaped product do not nest with out and "
            "in, or there are too many; choose a shape whose leading modes make up one side",
            what);
      ready.operands.push_back({operand.index, operand.offset, operand.axes});
    }
    const std::vector<Axis>& data = term.reconstruct.output;
    if (result.terms.empty()) {
      result.data = data;
      std::size_t size = 1;
      while (size < site.out) size *= data[result.out_axes++].size;
    }
    if (!std::ranges::equal(data, result.data, {}, &Axis::size, &Axis::size))
      throw UsageError("{}: cannot be fitted, because its terms split out and in differently",
                       what);
    renumber(ready.operands, data, result.data);
    result.terms.push_back(std::move(ready));
  }
  return result;
}

}  // namespace

template <class T>
std::vector<SiteNetwork> compile_sites(const Method& method, const Adapter<T>& adapter,
                                       const MethodSettings& settings) {
  const Stack& stack = adapter.stack();
  FactorCopies copies(method.name);  // with the numbers of the adapter's parameters
  PlanCache cache;
  std::vector<SiteNetwork> networks;
  for (const Site& site : stack.sites) {
    const Declaration declaration = method.declare(site, stack, settings);
    expect_plain_update(method.name, site, declaration);
    copies.add(site, declaration);
    const std::size_t position = networks.size();
    networks.emplace_back();
    if (declaration.stages.empty()) continue;
    networks.back() = compile_site(
        declaration.stages.front().network, site,
        [&](const Factor& factor) { return copies.number(factor, position); }, cache,
        fmt::format("[{}] site {}", method.name, site.name));
  }
  return networks;
}

std::vector<std::vector<std::size_t>> connected_sites(const std::vector<SiteNetwork>& networks,
                                                      const std::vector<FitParameter>& parameters) {
  std::vector<std::size_t> parent(networks.size());
  std::iota(parent.begin(), parent.end(), std::size_t{0});
  const auto root = [&](std::size_t site) {
    while (parent[site] != site) site = parent[site];
    return site;
  };
  std::vector<std::optional<std::size_t>> user(parameters.size());
  for (std::size_t site = 0; site < networks.size(); ++site)
    for (const FitTerm& term : networks[site].terms)
      for (const FitOperand& operand : term.operands) {
        if (!parameters[operand.parameter].trainable) continue;
        std::optional<std::size_t>& first = user[operand.parameter];
        if (first) {
          const std::size_t a = root(*first), b = root(site);
          parent[std::max(a, b)] = std::min(a, b);
        }
        first = site;
      }
  std::map<std::size_t, std::vector<std::size_t>> groups;
  for (std::size_t site = 0; site < networks.size(); ++site) groups[root(site)].push_back(site);
  std::vector<std::vector<std::size_t>> all;
  for (auto& [first, sites] : groups) all.push_back(std::move(sites));
  return all;
}

FitBlock JointNetwork::block() const {
  FitBlock block;
  block.data = site_modes;
  block.data.insert(block.data.end(), network.data.begin(), network.data.end());
  block.data = contiguous(block.data);
  block.terms = network.terms;
  for (std::size_t k = 0; k < copies.size(); ++k) {
    std::vector<Axis>& axes = block.terms.front().operands[k].axes;
    if (copies[k].mode) axes.insert(axes.begin(), site_modes[*copies[k].mode]);
    axes = contiguous(axes);
  }
  return block;
}

std::optional<JointNetwork> join_sites(const std::vector<SiteNetwork>& networks,
                                       const std::vector<std::size_t>& sites,
                                       const std::vector<FitParameter>& parameters) {
  JointNetwork joint;
  const SiteNetwork& front = networks[sites.front()];
  if (front.terms.size() != 1) return {};
  const std::vector<FitOperand>& operands = front.terms.front().operands;
  for (const std::size_t site : sites) {
    const SiteNetwork& network = networks[site];
    if (network.terms.size() != 1 || !equal(network.data, front.data, true) ||
        network.terms.front().scale != front.terms.front().scale ||
        network.terms.front().operands.size() != operands.size())
      return {};
    for (std::size_t k = 0; k < operands.size(); ++k) {
      const FitOperand& operand = network.terms.front().operands[k];
      if (!parameters[operand.parameter].trainable || !equal(operand.axes, operands[k].axes, true))
        return {};
    }
  }
  // Which copy every site reads, by operand, and the distinct ways in which that divides the sites.
  std::vector<std::vector<std::size_t>> divisions;
  std::vector<std::size_t> counts;
  std::map<std::size_t, std::vector<bool>> used;  // entries by parameter
  for (std::size_t k = 0; k < operands.size(); ++k) {
    JointNetwork::Copies copies;
    copies.axes = operands[k].axes;
    std::vector<std::size_t> division;
    for (const std::size_t site : sites) {
      const FitOperand& operand = networks[site].terms.front().operands[k];
      const std::pair place(operand.parameter, operand.offset);
      const auto found = std::ranges::find(copies.places, place);
      division.push_back(static_cast<std::size_t>(found - copies.places.begin()));
      if (found == copies.places.end()) copies.places.push_back(place);
    }
    // No number may belong to two copies.
    for (const auto& [parameter, offset] : copies.places) {
      std::vector<std::size_t> entries{offset};
      for (const Axis& axis : copies.axes) {
        std::vector<std::size_t> next;
        for (const std::size_t entry : entries)
          for (std::size_t i = 0; i < axis.size; ++i) next.push_back(entry + i * axis.stride);
        entries = std::move(next);
      }
      std::vector<bool>& known = used[parameter];
      known.resize(parameters[parameter].size);
      for (const std::size_t entry : entries) {
        if (known[entry]) return {};
        known[entry] = true;
      }
    }
    if (copies.places.size() > 1) {
      const auto known = std::ranges::find(divisions, division);
      copies.mode = static_cast<std::size_t>(known - divisions.begin());
      if (known == divisions.end()) {
        divisions.push_back(division);
        counts.push_back(copies.places.size());
      }
    }
    joint.copies.push_back(std::move(copies));
  }
  std::size_t total = 1;
  for (const std::size_t count : counts) total *= count;
  if (total != sites.size()) return {};
  joint.sites.assign(total, static_cast<std::size_t>(-1));
  for (std::size_t i = 0; i < sites.size(); ++i) {
    std::size_t position = 0;
    for (std::size_t d = 0; d < divisions.size(); ++d)
      position = position * counts[d] + divisions[d][i];
    if (joint.sites[position] != static_cast<std::size_t>(-1)) return {};
    joint.sites[position] = sites[i];
  }
  for (std::size_t d = 0; d < counts.size(); ++d)
    joint.site_modes.push_back({first_site_mode + static_cast<int>(d), counts[d], 0});
  joint.site_modes = contiguous(joint.site_modes);
  joint.network = front;
  for (std::size_t k = 0; k < operands.size(); ++k)
    joint.network.terms.front().operands[k] = {k, 0, contiguous(operands[k].axes)};
  return joint;
}

SiteNetwork with_known_root(const SiteNetwork& network, std::size_t root, std::size_t size) {
  SiteNetwork result = network;
  const auto first_in = network.data.begin() + static_cast<std::ptrdiff_t>(network.out_axes);
  FitOperand metric{root, 0, {{metric_mode, size, size}}};
  metric.axes.insert(metric.axes.end(), first_in, network.data.end());
  result.data.resize(network.out_axes);
  result.data.push_back({metric_mode, size, 0});
  result.data = contiguous(result.data);
  for (FitTerm& term : result.terms) term.operands.push_back(metric);
  return result;
}

template std::vector<SiteNetwork> compile_sites(const Method&, const Adapter<float>&,
                                                const MethodSettings&);
template std::vector<SiteNetwork> compile_sites(const Method&, const Adapter<double>&,
                                                const MethodSettings&);

}  // namespace rankfold
