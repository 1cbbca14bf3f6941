#include <algorithm>
#include <array>
#include <map>

#include "core/network/tensor_tree.h"
#include "core/reach/tangent_point.h"

namespace rankfold {
namespace {

/// A trainable factor where it stands in a term.
struct Occurrence {
  const CompiledTerm* term = nullptr;
  std::size_t operand = 0;
};

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
void add_block(const TangentPoint& point, const Occurrence& f, const Occurrence& g, bool mirrored,
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
    const TensorTree<double> tree(plan_greedily(operands, computed));
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

}  // namespace

bool is_plain(const TangentSite& site) {
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

std::vector<double> contract_gram(const TangentPoint& point) {
  std::vector<double> gram(point.size * point.size);
  for (const TangentSite& site : point.sites) {
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

}  // namespace rankfold
