#include "core/reach/tangent_space.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "core/adapter/network_adapter.h"
#include "core/adapter/normalised_weight.h"
#include "core/adapter/reconstruction.h"
#include "core/base/error.h"
#include "core/base/random.h"
#include "core/linalg/linear_algebra.h"
#include "core/network/compiled_network.h"
#include "core/network/start.h"
#include "core/network/tensor_tree.h"

namespace rankfold {
namespace {

constexpr std::uint64_t seed = 42;

using Values = std::vector<Parameter<double>>;

/// The sites of a problem, compiled, at a random point.
struct PointSite {
  CompiledNetwork network;
  std::vector<std::size_t> factors;  ///< of the network and its norms
  std::optional<Reconstruction<double>> reconstruction;
  std::optional<NormalisedWeight<double>> normalised;
  std::vector<std::size_t> magnitudes;
  std::vector<double> frozen;  ///< W, where something reads it
};

struct Point {
  std::shared_ptr<const Device> device;
  Values parameters;
  std::vector<PointSite> sites;
  std::vector<std::size_t> offsets;  ///< of each trainable parameter among the columns of J
  std::size_t size = 0;              ///< columns of J
};

std::string copy_name(const Factor& factor, const Site& site) {
  return factor.name + "." + owner_key(factor.owner, site);
}

std::size_t add_parameter(Point& point, const Factor& factor, const Site& site) {
  const std::string name = copy_name(factor, site);
  const auto found = std::ranges::find(point.parameters, name, &Parameter<double>::name);
  if (found != point.parameters.end())
    return static_cast<std::size_t>(found - point.parameters.begin());
  Parameter<double> parameter;
  parameter.name = name;
  parameter.factor = factor.name;
  parameter.trainable = factor.trainable;
  parameter.storage = factor.storage;
  std::size_t size = 1;
  for (const Mode& mode : factor.modes) {
    parameter.shape.push_back(mode.size);
    size *= mode.size;
  }
  parameter.value = Buffer<double>(point.device, size);
  RandomStream(seed, "tangent/" + name).fill_normal(parameter.value.span(), 0, 1);
  if (factor.trainable) {
    parameter.gradient = Buffer<double>(point.device, size);
    point.size += size;
  }
  point.parameters.push_back(std::move(parameter));
  return point.parameters.size() - 1;
}

std::vector<double> random_weight(const Site& site) {
  std::vector<double> weight(site.out * site.in);
  RandomStream(seed, "tangent weight/" + site.name).fill_normal(std::span<double>(weight), 0, 1);
  return weight;
}

/// Frozen factors that are in no file follow from the settings and the weight.
void start_frozen(Point& point, const PointSite& compiled, const DeclaredSite& declared,
                  const std::string& method) {
  const auto derived = [&](std::size_t factor) { return !point.parameters[factor].is_stored(); };
  if (!declared.declaration.start || std::ranges::none_of(compiled.factors, derived)) return;
  const auto find = [&](std::string_view name) -> Parameter<double>& {
    for (const std::size_t factor : compiled.factors)
      if (point.parameters[factor].factor == name) return point.parameters[factor];
    throw Error("[{}] site {}: its start asks for a factor '{}' that it does not have", method,
                declared.site.name, name);
  };
  Start start(declared.site, "tangent", seed,
              {[&](std::string_view name) {
                 const auto values = find(name).value.span();
                 return std::vector<double>(values.begin(), values.end());
               },
               [&](std::string_view name, std::span<const double> values) {
                 Parameter<double>& parameter = find(name);
                 if (parameter.trainable) return;
                 if (values.size() != parameter.value.size())
                   throw Error("[{}] site {}: factor '{}' starts with {} numbers, expected {}",
                               method, declared.site.name, name, values.size(),
                               parameter.value.size());
                 std::ranges::copy(values, parameter.value.data());
               },
               [&] { return random_weight(declared.site); }});
  declared.declaration.start(start);
}

Point make_point(const std::string& method, const std::vector<DeclaredSite>& sites, bool own_frozen,
                 const std::shared_ptr<const Device>& device) {
  expect_host_memory(*device, "degrees of freedom");
  Point point{device, {}, {}, {}, 0};
  PlanCache cache;
  for (const DeclaredSite& declared : sites) {
    PointSite compiled;
    const auto find = [&](const Factor& factor) {
      compiled.factors.push_back(add_parameter(point, factor, declared.site));
      return compiled.factors.back();
    };
    compiled.network = compile_network(declared.declaration.stages.front().network, 1, find, cache,
                                       fmt::format("[{}] site {}", method, declared.site.name));
    if (const auto& norm = declared.declaration.normalisation) {
      for (const Factor& magnitude : norm->magnitudes)
        compiled.magnitudes.push_back(find(magnitude));
      compiled.normalised.emplace(norm->kind, false, declared.site.out, declared.site.in, device);
      compiled.frozen = random_weight(declared.site);
    }
    if (own_frozen) start_frozen(point, compiled, declared, method);
    point.sites.push_back(std::move(compiled));
  }
  std::size_t offset = 0;
  for (const Parameter<double>& parameter : point.parameters) {
    point.offsets.push_back(offset);
    if (parameter.trainable) offset += parameter.value.size();
  }
  return point;
}

// --- J^T J by contraction

/// A trainable factor where it stands in a term.
struct Occurrence {
  const CompiledTerm* term = nullptr;
  std::size_t operand = 0;
};

/// Whether the reconstruction is products of factors whose out and in split in the same way.
bool is_plain(const PointSite& site) {
  if (site.normalised) return false;
  const std::vector<Axis>* first = nullptr;
  for (const CompiledTerm& term : site.network.terms) {
    for (const TreeOperand& operand : term.reconstruct.operands)
      if (operand.kind != TreeOperand::Kind::parameter) return false;
    const std::vector<Axis>& output = term.reconstruct.output;
    if (first && !std::ranges::equal(*first, output, {}, &Axis::size, &Axis::size)) return false;
    first = &output;
  }
  return true;
}

/// The axes of an operand with out and in numbered by their place in the output, from 1 on, and
/// bonds by `bonds`, which grows.
std::vector<Axis> renumber(const TreeOperand& operand, const std::vector<Axis>& output,
                           std::map<int, int>& bonds, int& next) {
  std::vector<Axis> axes = operand.axes;
  for (Axis& axis : axes) {
    const auto place = std::ranges::find(output, axis.mode, &Axis::mode);
    if (place != output.end())
      axis.mode = static_cast<int>(place - output.begin()) + 1;
    else if (const auto [bond, is_new] = bonds.try_emplace(axis.mode, next); is_new)
      axis.mode = next++;
    else
      axis.mode = bond->second;
  }
  return axes;
}

/// Multiplies at every step the two operands whose product adds least to what is stored: doubled
/// networks have too many operands for all orders.
ContractionTree plan_greedily(std::vector<TreeOperand> operands, const std::vector<Axis>& output) {
  ContractionTree tree;
  std::vector<std::pair<std::size_t, std::vector<Axis>>> left;
  for (std::size_t i = 0; i < operands.size(); ++i) left.emplace_back(i, operands[i].axes);
  std::size_t next = operands.size();
  while (left.size() > 1) {
    double least = 0;
    std::size_t first = 0, second = 0;
    std::vector<Axis> best;
    for (std::size_t i = 0; i < left.size(); ++i)
      for (std::size_t j = i + 1; j < left.size(); ++j) {
        std::vector<Axis> joined = left[i].second;
        for (const Axis& axis : left[j].second)
          if (!find_axis(joined, axis.mode)) joined.push_back(axis);
        std::erase_if(joined, [&](const Axis& axis) {
          if (find_axis(output, axis.mode)) return false;
          for (std::size_t k = 0; k < left.size(); ++k)
            if (k != i && k != j && find_axis(left[k].second, axis.mode)) return false;
          return true;
        });
        const double added = static_cast<double>(volume(joined)) -
                             static_cast<double>(volume(left[i].second)) -
                             static_cast<double>(volume(left[j].second));
        if (first == second || added < least) {
          least = added;
          first = i;
          second = j;
          best = contiguous(std::move(joined));
        }
      }
    if (left.size() == 2) best = output;
    ContractionStep step{left[first].first, left[second].first, {}};
    for (const Axis& axis : best) step.modes.push_back(axis.mode);
    tree.steps.push_back(std::move(step));
    tree.results.push_back(best);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(second));
    left[first] = {next++, std::move(best)};
  }
  tree.operands = std::move(operands);
  tree.output = output;
  return tree;
}

/// gram += the block of the occurrences f and g of one site; with f != g also its transpose.
void add_block(const Point& point, const Occurrence& f, const Occurrence& g, bool mirrored,
               std::vector<double>& gram) {
  const auto outer = static_cast<int>(f.term->reconstruct.output.size());
  int next = outer + 1;
  std::vector<TreeOperand> operands;
  std::array<std::vector<Axis>, 2> removed;
  std::array<std::size_t, 2> base{};
  for (std::size_t side = 0; side < 2; ++side) {
    const Occurrence& at = side == 0 ? f : g;
    std::map<int, int> bonds;
    const std::vector<TreeOperand>& all = at.term->reconstruct.operands;
    for (std::size_t i = 0; i < all.size(); ++i) {
      TreeOperand operand = all[i];
      operand.axes = renumber(all[i], at.term->reconstruct.output, bonds, next);
      if (i == at.operand) {
        base[side] = point.offsets[operand.index] + operand.offset;
        removed[side] = std::move(operand.axes);
      } else {
        operands.push_back(std::move(operand));
      }
    }
  }
  // One entry a pair of positions in f and g that agree in every out and in mode of both.
  std::vector<Axis> entries = removed[0];
  for (const Axis& axis : removed[1])
    if (!find_axis(entries, axis.mode)) entries.push_back(axis);
  std::vector<Axis> computed;
  for (const Axis& axis : entries)
    if (std::ranges::any_of(operands, [&](const TreeOperand& operand) {
          return find_axis(operand.axes, axis.mode) != nullptr;
        }))
      computed.push_back(axis);
  computed = contiguous(std::move(computed));

  std::vector<double> value(volume(computed), 1);
  if (!operands.empty()) {
    const PlannedTree<double> tree(plan_greedily(operands, computed));
    std::vector<const double*> data;
    for (const TreeOperand& operand : operands)
      data.push_back(point.parameters[operand.index].value.data() + operand.offset);
    std::vector<double> inner(tree.inner_size()), scratch(tree.scratch_size());
    tree.evaluate(*point.device, data, 1.0, value.data(), true, inner.data(), scratch.data());
  }
  const double scale = f.term->scale * g.term->scale;
  for (const bool transposed : {false, true}) {
    if (transposed && !mirrored) break;
    StridedLoop loop;
    for (const Axis& axis : entries) {
      const Axis* from = find_axis(computed, axis.mode);
      const Axis* row = find_axis(removed[transposed], axis.mode);
      const Axis* column = find_axis(removed[!transposed], axis.mode);
      loop.add({axis.size, from ? from->stride : 0, 0,
                (row ? row->stride * point.size : 0) + (column ? column->stride : 0)});
    }
    point.device->accumulate(loop, scale, value.data(), static_cast<const double*>(nullptr),
                             gram.data() + base[transposed] * point.size + base[!transposed]);
  }
}

std::vector<double> contract_gram(const Point& point) {
  std::vector<double> gram(point.size * point.size);
  for (const PointSite& site : point.sites) {
    std::vector<Occurrence> occurrences;
    for (const CompiledTerm& term : site.network.terms)
      for (std::size_t i = 0; i < term.reconstruct.operands.size(); ++i)
        if (point.parameters[term.reconstruct.operands[i].index].trainable)
          occurrences.push_back({&term, i});
    for (std::size_t f = 0; f < occurrences.size(); ++f)
      for (std::size_t g = f; g < occurrences.size(); ++g)
        add_block(point, occurrences[f], occurrences[g], f != g, gram);
  }
  return gram;
}

// --- J^T J of a random projection of J

/// dense += dW of a site.
void add_update(const Point& point, const PointSite& site, std::vector<double>& dense,
                std::vector<double>& memory) {
  memory.resize(std::max(memory.size(), site.reconstruction->memory_size()));
  site.reconstruction->add_to(*point.device, point.parameters, dense.data(), memory.data());
}

std::array<double*, 2> magnitudes(Point& point, const PointSite& site, bool gradients) {
  std::array<double*, 2> found{};
  for (std::size_t i = 0; i < site.magnitudes.size(); ++i) {
    Parameter<double>& magnitude = point.parameters[site.magnitudes[i]];
    found[i] = gradients ? magnitude.gradient.data() : magnitude.value.data();
  }
  return found;
}

std::vector<double> project_gram(Point& point, const std::vector<DeclaredSite>& sites) {
  constexpr std::size_t spare_rows = 16;
  const std::size_t rows = point.size + spare_rows;
  std::vector<double> memory, projected(rows * point.size);
  std::vector<std::vector<double>> updates;
  for (PointSite& site : point.sites) {
    site.reconstruction.emplace(site.network, point.parameters);
    const Site& shape = sites[updates.size()].site;
    updates.emplace_back();
    if (!site.normalised) continue;
    updates.back().resize(shape.out * shape.in);
    add_update(point, site, updates.back(), memory);
    std::vector<double> formed = updates.back();
    site.normalised->form(site.frozen.data(), magnitudes(point, site, false), false, formed.data());
  }
  std::vector<double> cotangent, used_up;
  for (std::size_t row = 0; row < rows; ++row) {
    for (Parameter<double>& parameter : point.parameters)
      std::ranges::fill(parameter.gradient.span(), 0.0);
    for (std::size_t i = 0; i < point.sites.size(); ++i) {
      PointSite& site = point.sites[i];
      cotangent.resize(sites[i].site.out * sites[i].site.in);
      RandomStream(seed, "projection/" + sites[i].site.name, row)
          .fill_uniform(std::span<double>(cotangent), -1, 1);
      if (site.normalised) {
        used_up = updates[i];
        site.normalised->reverse(site.frozen.data(), magnitudes(point, site, false),
                                 magnitudes(point, site, true), used_up.data(), cotangent.data());
      }
      memory.resize(std::max(memory.size(), site.reconstruction->memory_size()));
      site.reconstruction->reverse(*point.device, point.parameters, cotangent.data(),
                                   memory.data());
    }
    for (std::size_t i = 0; i < point.parameters.size(); ++i)
      std::ranges::copy(point.parameters[i].gradient.span(),
                        projected.data() + row * point.size + point.offsets[i]);
  }
  std::vector<double> gram(point.size * point.size);
  point.device->gemm(true, false, point.size, point.size, rows, 1.0, projected.data(), point.size,
                     projected.data(), point.size, 0.0, gram.data(), point.size);
  return gram;
}

void count_trainable(const Operand& operand, const Site& site, std::set<std::string>& seen,
                     std::size_t& total) {
  if (const auto* block = std::get_if<Block>(&operand)) {
    for (const Operand& inner : block->product) count_trainable(inner, site, seen, total);
    return;
  }
  const auto& factor = std::get<Factor>(operand);
  if (!factor.trainable || !seen.insert(copy_name(factor, site)).second) return;
  std::size_t size = 1;
  for (const Mode& mode : factor.modes) size *= mode.size;
  total += size;
}

/// The rank of M[rows, columns] through the Gram matrix of its shorter side.
std::size_t matrix_rank(const Device& device, const std::vector<double>& matrix, std::size_t rows,
                        std::size_t columns) {
  const bool wide = rows <= columns;
  const std::size_t size = std::min(rows, columns);
  std::vector<double> gram(size * size);
  device.gemm(!wide, wide, size, size, wide ? columns : rows, 1.0, matrix.data(), columns,
              matrix.data(), columns, 0.0, gram.data(), size);
  return rank_of_gram(std::move(gram), size);
}

}  // namespace

std::size_t trainable_size(const std::vector<DeclaredSite>& sites) {
  std::set<std::string> seen;
  std::size_t total = 0;
  for (const DeclaredSite& declared : sites) {
    for (const Stage& stage : declared.declaration.stages)
      for (const Term& term : stage.network.terms)
        for (const Operand& operand : term.product)
          count_trainable(operand, declared.site, seen, total);
    if (declared.declaration.normalisation)
      for (const Factor& magnitude : declared.declaration.normalisation->magnitudes)
        count_trainable(magnitude, declared.site, seen, total);
  }
  return total;
}

std::size_t tangent_rank(const std::string& method, const std::vector<DeclaredSite>& sites,
                         bool own_frozen, const std::shared_ptr<const Device>& device) {
  Point point = make_point(method, sites, own_frozen, device);
  if (point.size == 0) return 0;
  return rank_of_gram(std::ranges::all_of(point.sites, is_plain) ? contract_gram(point)
                                                                 : project_gram(point, sites),
                      point.size);
}

std::size_t update_rank(const std::string& method, const DeclaredSite& declared,
                        const std::shared_ptr<const Device>& device) {
  Point point = make_point(method, {declared}, true, device);
  PointSite& site = point.sites.front();
  site.reconstruction.emplace(site.network, point.parameters);
  const std::size_t out = declared.site.out, in = declared.site.in;
  std::vector<double> update(out * in), memory;
  add_update(point, site, update, memory);
  if (site.normalised) {
    site.normalised->form(site.frozen.data(), magnitudes(point, site, false), false, update.data());
    for (std::size_t i = 0; i < update.size(); ++i) update[i] -= site.frozen[i];
  }
  // Small random projections have the same rank where it is below their size.
  for (const std::size_t size : {std::size_t{64}, std::size_t{512}}) {
    if (size >= std::min(out, in)) break;
    std::vector<double> rows(size * out), columns(in * size), half(size * in), small(size * size);
    RandomStream(seed, "rows of the rank").fill_normal(std::span<double>(rows), 0, 1);
    RandomStream(seed, "columns of the rank").fill_normal(std::span<double>(columns), 0, 1);
    device->gemm(false, false, size, in, out, 1.0, rows.data(), out, update.data(), in, 0.0,
                 half.data(), in);
    device->gemm(false, false, size, size, in, 1.0, half.data(), in, columns.data(), size, 0.0,
                 small.data(), size);
    const std::size_t rank = matrix_rank(*device, small, size, size);
    if (rank < size) return rank;
  }
  return matrix_rank(*device, update, out, in);
}

}  // namespace rankfold
