#include "core/network/stack.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

constexpr std::array<std::string_view, 12> matrix_names = {
    "q",    "k",       "v",          "o",          "gate",          "up",
    "down", "in_proj", "position_k", "position_q", "embedding_map", "pooler"};

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char character : text) {
    if (character == separator)
      parts.emplace_back();
    else if (character != ' ')
      parts.back() += character;
  }
  return parts;
}

std::optional<std::size_t> parse_index(std::string_view text) {
  std::size_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return {};
  return value;
}

std::vector<Site> sites_like(const std::vector<std::string>& patterns,
                             const std::vector<std::size_t>& layers,
                             const SiteCatalogue& catalogue) {
  std::set<std::size_t> chosen;
  for (const std::string& pattern : patterns) {
    if (!is_module_pattern(pattern))
      throw UsageError(
          "--targets: '{}' stands beside patterns of module names; expected names or patterns",
          printable(pattern, 80));
    bool found = false;
    for (std::size_t i = 0; i < catalogue.sites.size(); ++i) {
      const Site& site = catalogue.sites[i];
      if (!site.part_of.empty() || !std::ranges::binary_search(layers, site.layer) ||
          !fits_pattern(pattern, site.name))
        continue;
      chosen.insert(i);
      found = true;
    }
    if (found) continue;
    const auto module = std::ranges::find(catalogue.sites, "", &Site::part_of);
    throw UsageError("--targets: '{}' fits no module of {} in these layers; they are named {}",
                     printable(pattern, 80), catalogue.model,
                     module == catalogue.sites.end() ? "nothing" : module->name);
  }
  std::vector<Site> sites;
  for (const std::size_t index : chosen) sites.push_back(catalogue.sites[index]);
  return sites;
}

}  // namespace

bool is_module_pattern(std::string_view targets) {
  return targets.find_first_of(".*?") != std::string_view::npos;
}

std::string_view to_string(MatrixType type) {
  return matrix_names[static_cast<std::size_t>(type)];
}

std::optional<MatrixType> find_matrix_type(std::string_view name) {
  const auto found = std::ranges::find(matrix_names, name);
  if (found == std::end(matrix_names)) return {};
  return static_cast<MatrixType>(found - std::begin(matrix_names));
}

Stack::Stack(std::vector<Site> unordered) : sites(std::move(unordered)) {
  std::stable_sort(sites.begin(), sites.end(), [](const Site& left, const Site& right) {
    return std::pair(left.layer, left.matrix) < std::pair(right.layer, right.matrix);
  });
  std::set<std::string_view> names;
  std::set<std::size_t> distinct_layers;
  std::set<MatrixType> distinct_matrices;
  for (const Site& site : sites) {
    if (!names.insert(site.name).second) throw Error("stack: two sites are named '{}'", site.name);
    distinct_layers.insert(site.layer);
    distinct_matrices.insert(site.matrix);
  }
  for (const Site& site : sites)
    if (!site.part_of.empty() && names.contains(site.part_of))
      throw Error("stack: '{}' is a part of '{}', expected one of them", site.name, site.part_of);
  layers.assign(distinct_layers.begin(), distinct_layers.end());
  matrices.assign(distinct_matrices.begin(), distinct_matrices.end());
}

std::size_t Stack::layer_position(const Site& site) const {
  return static_cast<std::size_t>(std::ranges::lower_bound(layers, site.layer) - layers.begin());
}

std::size_t Stack::matrix_position(const Site& site) const {
  return static_cast<std::size_t>(std::ranges::find(matrices, site.matrix) - matrices.begin());
}

std::vector<MatrixType> parse_targets(const std::string& targets, const SiteCatalogue& catalogue) {
  if (targets == "adapters") {
    if (catalogue.adapter_places.empty())
      throw UsageError("--targets adapters: {} has no places for adapters", catalogue.model);
    return catalogue.adapter_places;
  }
  std::set<MatrixType> present, of_all, modules;
  for (const Site& site : catalogue.sites) {
    present.insert(site.matrix);
    if (!site.part_of.empty()) continue;
    modules.insert(site.matrix);
    if (!site.beside_all) of_all.insert(site.matrix);
  }
  if (targets == "all") return {of_all.begin(), of_all.end()};
  if (targets == "all-linear" || targets == everything) return {modules.begin(), modules.end()};
  std::vector<std::string> known{"adapters", "all", "all-linear"};
  for (const MatrixType type : present) known.emplace_back(to_string(type));
  std::set<MatrixType> chosen;
  for (const std::string& part : split_at(targets, ',')) {
    if (part == "all" || part == "all-linear" || part == "adapters" || part == everything)
      throw UsageError("--targets {}: '{}' stands for several matrices, expected it alone",
                       printable(targets, 80), part);
    const auto found = std::ranges::find(matrix_names, part);
    const auto type = static_cast<MatrixType>(found - matrix_names.begin());
    if (found == matrix_names.end() || !present.contains(type))
      throw unknown_name(fmt::format("target of {}", catalogue.model), part, known);
    if (!chosen.insert(type).second)
      throw UsageError("--targets {}: '{}' stands twice", printable(targets, 80), part);
  }
  return {chosen.begin(), chosen.end()};
}

std::vector<std::size_t> parse_layers(const std::string& layers, std::size_t layer_count) {
  const auto wrong = [&](const std::string& why) {
    return UsageError("--layers {}: {}; expected all, first:N, last:N or a list such as 0,2,5-7",
                      printable(layers, 80), why);
  };
  std::size_t begin = 0, end = layer_count;
  if (layers == "all") {
  } else if (layers.starts_with("first:") || layers.starts_with("last:")) {
    const bool first = layers.starts_with("first:");
    const auto count = parse_index(std::string_view(layers).substr(first ? 6 : 5));
    if (!count || *count == 0) throw wrong("not a positive number");
    if (*count > layer_count) throw wrong(fmt::format("the model has {} layers", layer_count));
    (first ? end : begin) = first ? *count : layer_count - *count;
  } else {
    std::set<std::size_t> chosen;
    for (const std::string& part : split_at(layers, ',')) {
      const std::size_t dash = part.find('-');
      const auto low = parse_index(std::string_view(part).substr(0, dash));
      const auto high =
          dash == std::string::npos ? low : parse_index(std::string_view(part).substr(dash + 1));
      if (!low || !high || *low > *high)
        throw wrong(fmt::format("'{}' is no layer or range", printable(part, 80)));
      if (*high >= layer_count)
        throw wrong(fmt::format("layer {} of a model with layers 0 to {}", *high, layer_count - 1));
      for (std::size_t layer = *low; layer <= *high; ++layer) chosen.insert(layer);
    }
    return {chosen.begin(), chosen.end()};
  }
  std::vector<std::size_t> chosen;
  for (std::size_t layer = begin; layer < end; ++layer) chosen.push_back(layer);
  return chosen;
}

Stack select_stack(const SiteCatalogue& catalogue, const std::string& targets,
                   const std::string& layers) {
  const std::vector<std::size_t> chosen = parse_layers(layers, catalogue.layers);
  if (is_module_pattern(targets))
    return Stack(sites_like(split_at(targets, ','), chosen, catalogue));
  const std::vector<MatrixType> matrices = parse_targets(targets, catalogue);
  std::vector<Site> sites;
  std::set<std::string> names;
  for (const Site& site : catalogue.sites)
    if (std::ranges::find(matrices, site.matrix) != matrices.end() &&
        std::ranges::binary_search(chosen, site.layer))
      names.insert(sites.emplace_back(site).name);
  for (const Site& site : sites)
    if (names.contains(site.part_of))
      throw UsageError("--targets {}: {} is a part of in_proj, expected one of them",
                       printable(targets, 80), to_string(site.matrix));
  return Stack(std::move(sites));
}

Stack adapted_stack(const SiteCatalogue& catalogue, const std::string& targets,
                    const std::string& layers) {
  return targets == everything ? Stack() : select_stack(catalogue, targets, layers);
}

}  // namespace rankfold
