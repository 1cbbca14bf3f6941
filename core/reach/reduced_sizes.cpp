#include "core/reach/reduced_sizes.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <numeric>
#include <set>

#include <fmt/core.h>

namespace rankfold {
namespace {

/// Calls `visit(modes, factor or null)` for the factors and the readings of blocks of a product.
template <class Operands, class Visit>
void visit_factors(Operands& product, bool in_block, const Visit& visit) {
  for (auto& operand : product) {
    if (auto* block = std::get_if<Block>(&operand))
      visit_factors(block->product, true, visit);
    else
      visit(std::get<Factor>(operand), in_block);
  }
}

const Network& network_of(const DeclaredSite& declared) {
  return declared.declaration.stages.front().network;
}

std::vector<std::string> side_names(const Network& network) {
  std::vector<std::string> names;
  for (const auto* side : {&network.out, &network.in})
    for (const Mode& mode : *side) names.push_back(mode.name);
  return names;
}

bool contains(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

/// Modes that are read by another border or by selection: their sizes mean something.
std::set<std::string> fixed_names(const Network& network) {
  std::set<std::string> names;
  for (const Selection& selection : network.select) names.insert(selection.mode);
  for (const Term& term : network.terms) {
    for (const Operand& operand : term.product)
      if (const auto* block = std::get_if<Block>(&operand))
        for (const auto* modes : {&block->modes, &block->as})
          for (const Mode& mode : *modes) names.insert(mode.name);
    visit_factors(term.product, false, [&](const Factor& factor, bool in_block) {
      if (!in_block) return;
      for (const Mode& mode : factor.modes) names.insert(mode.name);
    });
  }
  return names;
}

std::size_t volume(const std::vector<Mode>& modes) {
  std::size_t size = 1;
  for (const Mode& mode : modes) size *= mode.size;
  return size;
}

void write_modes(const std::vector<Mode>& modes, std::string& text) {
  for (const Mode& mode : modes) text += mode.name + ':' + std::to_string(mode.size) + ' ';
  text += '|';
}

void write_site(const DeclaredSite& declared, std::size_t position, const FactorCopies& copies,
                bool positions, std::string& text) {
  const Network& network = network_of(declared);
  const auto number = [&](const Factor& factor) {
    text += std::to_string(copies.number(factor, position)) + (factor.trainable ? "t" : "f");
    write_modes(factor.modes, text);
  };
  const auto write_product = [&](auto&& self, const std::vector<Operand>& product) -> void {
    for (const Operand& operand : product) {
      if (const auto* block = std::get_if<Block>(&operand)) {
        text += '(';
        self(self, block->product);
        write_modes(block->modes, text);
        write_modes(block->as, text);
        text += ')';
      } else {
        number(std::get<Factor>(operand));
      }
    }
  };
  write_modes(network.out, text);
  write_modes(network.in, text);
  for (const Term& term : network.terms) {
    text += '+';
    write_product(write_product, term.product);
  }
  for (const Selection& selection : network.select)
    text +=
        fmt::format("@{} {} {}", selection.mode, positions ? selection.begin : 0, selection.count);
  if (const auto& norm = declared.declaration.normalisation) {
    text += fmt::format("#{}", static_cast<int>(norm->kind));
    for (const Factor& magnitude : norm->magnitudes) number(magnitude);
  }
  text += '\n';
}

}  // namespace

std::string structure_of(const std::vector<DeclaredSite>& sites, bool positions) {
  std::string text;
  const FactorCopies copies = number_copies("", sites);
  for (std::size_t i = 0; i < sites.size(); ++i) write_site(sites[i], i, copies, positions, text);
  return text;
}

ReducibleGroup::ReducibleGroup(const std::vector<DeclaredSite>& sites)
    : sites_(sites), copies_(number_copies("", sites)), modes_(sites.size()), alike_(sites.size()) {
  find_modes();
  find_alike();
}

void ReducibleGroup::find_modes() {
  // Modes of different sites are one where a factor that both read has them in one place.
  using SiteMode = std::pair<std::size_t, std::string>;
  std::map<SiteMode, SiteMode> parent;
  const auto root = [&](SiteMode place) {
    while (parent.at(place) != place) place = parent.at(place);
    return place;
  };
  std::map<std::pair<std::size_t, std::size_t>, SiteMode> seen;  // by copy and axis
  std::map<SiteMode, std::size_t> size;
  std::set<SiteMode> fixed;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const Network& network = network_of(sites_[i]);
    const std::vector<std::string> sides = side_names(network);
    const std::set<std::string> fixed_here = fixed_names(network);
    const auto add = [&](const Mode& mode) {
      const SiteMode place{i, mode.name};
      parent.try_emplace(place, place);
      size[place] = mode.size;
      if (!contains(sides, mode.name) || fixed_here.contains(mode.name)) fixed.insert(place);
      return place;
    };
    for (const auto* side : {&network.out, &network.in})
      for (const Mode& mode : *side) add(mode);
    for (const Term& term : network.terms)
      visit_factors(term.product, false, [&](const Factor& factor, bool) {
        const std::size_t copy = copies_.number(factor, i);
        for (std::size_t axis = 0; axis < factor.modes.size(); ++axis) {
          const SiteMode place = add(factor.modes[axis]);
          const auto [first, is_new] = seen.try_emplace({copy, axis}, place);
          if (!is_new) parent.at(root(place)) = root(first->second);
        }
      });
  }
  std::set<SiteMode> fixed_roots;
  for (const SiteMode& place : fixed) fixed_roots.insert(root(place));
  const auto is_free = [&](const SiteMode& place) { return !fixed_roots.contains(root(place)); };

  // What the factors of a site need of a mode: as many values as they have columns beside it.
  std::map<SiteMode, std::size_t> need;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    std::map<std::string, std::size_t> here;
    std::set<std::string> counted;
    for (const Term& term : network_of(sites_[i]).terms)
      visit_factors(term.product, false, [&](const Factor& factor, bool) {
        if (!counted.insert(factor.name).second) return;
        std::size_t columns = 1;
        for (const Mode& mode : factor.modes)
          if (!is_free({i, mode.name})) columns *= mode.size;
        for (const Mode& mode : factor.modes) here[mode.name] += columns;
      });
    for (const auto& [name, columns] : here)
      if (is_free({i, name})) need[root({i, name})] = std::max(need[root({i, name})], columns);
  }
  std::map<SiteMode, std::size_t> numbers;
  for (const auto& [place, columns] : need) {
    if (size.at(place) < 2 * (columns + 1)) continue;
    numbers[place] = sizes_.size();
    sizes_.push_back({size.at(place), columns + 1});
  }
  for (const auto& [place, up] : parent) {
    const auto found = numbers.find(root(place));
    if (found != numbers.end()) modes_[place.first].emplace_back(place.second, found->second);
  }
}

void ReducibleGroup::find_alike() {
  constexpr std::size_t least = 3;
  // Sites are alike where they read the same shared factors and no position of their own.
  std::map<std::string, std::vector<std::size_t>> classes;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    if (!network_of(sites_[i]).select.empty()) return;
    std::string text;
    for (const Term& term : network_of(sites_[i]).terms)
      visit_factors(term.product, false, [&](const Factor& factor, bool) {
        if (factor.owner != Owner::site) text += std::to_string(copies_.number(factor, i)) + " ";
      });
    text += structure_of({sites_[i]}, true);
    classes[text].push_back(i);
  }
  for (const auto& [text, members] : classes) {
    if (members.size() < 2 * least) continue;
    for (const std::size_t i : members) alike_[i] = sizes_.size();
    sizes_.push_back({members.size(), least});
  }
}

std::vector<DeclaredSite> ReducibleGroup::resize(const std::vector<std::size_t>& sizes) const {
  std::vector<DeclaredSite> resized;
  std::vector<std::size_t> taken(sizes.size(), 0);
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    if (alike_[i] && taken[*alike_[i]]++ >= sizes[*alike_[i]]) continue;
    DeclaredSite declared = sites_[i];
    const auto change = [&](std::vector<Mode>& modes) {
      for (Mode& mode : modes)
        for (const auto& [name, index] : modes_[i])
          if (name == mode.name) mode.size = sizes[index];
    };
    Network& network = declared.declaration.stages.front().network;
    change(network.out);
    change(network.in);
    for (Term& term : network.terms)
      visit_factors(term.product, false, [&](Factor& factor, bool) { change(factor.modes); });
    declared.site.out = volume(network.out);
    declared.site.in = volume(network.in);
    if (auto& norm = declared.declaration.normalisation;
        norm && norm->kind != Normalisation::Kind::whole)
      for (std::size_t side = 0; side < norm->magnitudes.size(); ++side)
        norm->magnitudes[side].modes.front().size =
            side == 0 ? declared.site.out : declared.site.in;
    resized.push_back(std::move(declared));
  }
  return resized;
}

std::optional<std::size_t> extend(
    const std::vector<std::size_t>& small, const std::vector<std::size_t>& check,
    const std::vector<std::size_t>& full,
    const std::function<std::size_t(const std::vector<std::size_t>&)>& f) {
  const std::size_t n = small.size();
  // f(x) = sum over subsets S of D_S prod_{i in S} (x_i - small_i), D_S the mixed differences.
  std::map<std::size_t, std::int64_t> differences;
  const auto at = [&](const std::vector<std::size_t>& sizes) {
    return static_cast<std::int64_t>(f(sizes));
  };
  const auto predict = [&](const std::vector<std::size_t>& sizes) {
    std::int64_t sum = 0;
    for (const auto& [subset, difference] : differences) {
      std::int64_t product = difference;
      for (std::size_t i = 0; i < n; ++i)
        if (subset >> i & 1) product *= static_cast<std::int64_t>(sizes[i] - small[i]);
      sum += product;
    }
    return sum;
  };
  const std::int64_t expected = at(check);
  std::size_t settled = 0;
  for (std::size_t i = 0; i < n; ++i)
    if (small[i] == full[i]) settled |= std::size_t{1} << i;
  // Sums of one size each first: most methods are that, and it takes few points.
  for (const std::size_t most : {std::size_t{1}, n}) {
    for (std::size_t subset = 0; subset < std::size_t{1} << n; ++subset) {
      if ((subset & settled) != 0 || differences.contains(subset) ||
          static_cast<std::size_t>(std::popcount(subset)) > most)
        continue;
      std::vector<std::size_t> sizes = small;
      for (std::size_t i = 0; i < n; ++i) sizes[i] += subset >> i & 1;
      const std::int64_t known = predict(sizes);
      differences[subset] = at(sizes) - known;
    }
    if (predict(check) == expected) return static_cast<std::size_t>(predict(full));
  }
  return std::nullopt;
}

}  // namespace rankfold
