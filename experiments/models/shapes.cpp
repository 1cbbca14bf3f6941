#include "experiments/models/shapes.h"

#include <algorithm>
#include <set>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/text.h"
#include "core/network/model_parts.h"
#include "decompositions/loretta.h"
#include "experiments/models/config_keys.h"
#include "experiments/models/families/family.h"

namespace rankfold {
namespace {

std::vector<ModelShape> make_built_in_shapes() {
  std::vector<ModelShape> shapes;
  for (const Family* family : families())
    for (ModelShape& shape : family->presets()) {
      shape.family = family->name;
      shape.parameters = family->parameters(shape);
      shapes.push_back(std::move(shape));
    }
  const auto order = preset_order();
  const auto place = [&](const ModelShape& shape) {
    return std::ranges::find(order, shape.name) - order.begin();
  };
  std::ranges::stable_sort(shapes, {}, place);
  return shapes;
}

}  // namespace

const std::vector<ModelShape>& built_in_shapes() {
  static const std::vector<ModelShape> shapes = make_built_in_shapes();
  return shapes;
}

ModelShape find_shape(const std::string& name_or_folder) {
  std::vector<std::string> names;
  for (const ModelShape& shape : built_in_shapes()) {
    if (shape.name == name_or_folder) return shape;
    names.push_back(shape.name);
  }
  std::error_code failure;
  if (!name_or_folder.empty() && std::filesystem::exists(name_or_folder, failure))
    return read_shape(name_or_folder);
  throw unknown_name("model (neither a built-in shape nor a folder)", name_or_folder, names);
}

ModelShape read_shape(const std::filesystem::path& folder) {
  std::error_code failure;
  if (!std::filesystem::is_directory(folder, failure))
    throw Error("{}: is not a folder; expected a model folder with config.json",
                printable(folder.string()));
  const ConfigFile config(folder / "config.json");
  const std::string name = config.text("model_type");
  const Family* family = find_family(name);
  if (!family) {
    std::vector<std::string> known;
    for (const Family* each : families()) known.emplace_back(each->name);
    throw Error("{}: {}", printable(config.path().string()),
                unknown_name("model_type", name, known).what());
  }
  expect_known_config(config, family->keys);
  ModelShape shape = read_shape(config, *family);
  const std::filesystem::path absolute = std::filesystem::weakly_canonical(folder, failure);
  shape.name = failure ? folder.string() : absolute.filename().string();
  return shape;
}

ModelShape read_shape(const ConfigFile& config, const Family& family) {
  ModelShape shape = family.read(config);
  shape.family = family.name;
  shape.parameters = family.parameters(shape);
  return shape;
}

namespace {

bool has_bias(const ModelShape& shape, MatrixType matrix) {
  switch (matrix) {
    case MatrixType::o:
      return shape.attention_output_bias;
    case MatrixType::gate:
    case MatrixType::up:
    case MatrixType::down:
      return shape.mlp_bias;
    case MatrixType::position_k:
      return family_of(shape).modules.position_k_bias;
    case MatrixType::position_q:
    case MatrixType::embedding_map:
    case MatrixType::pooler:
      return true;
    default:
      return shape.attention_bias;
  }
}

Site::BiasRows bias_rows(const ModelShape& shape, const Site& site) {
  using enum Site::BiasRows;
  if (!has_bias(shape, site.matrix)) return none;
  const bool is_fused = site.matrix == MatrixType::in_proj || !site.part_of.empty();
  const auto& biases = family_of(shape).modules.part_biases;
  const auto missing = [](const char* bias) { return bias == nullptr; };
  if (!is_fused || std::ranges::all_of(biases, missing)) return all;
  if (site.matrix == MatrixType::in_proj) return std::ranges::any_of(biases, missing) ? some : all;
  return biases[static_cast<std::size_t>(site.matrix)] ? all : none;
}

}  // namespace

SiteCatalogue catalogue(const ModelShape& shape) {
  const Family& family = family_of(shape);
  const FamilyModules& modules = family.modules;
  SiteCatalogue result;
  result.model = shape.name;
  result.layers = shape.distinct_layers;
  result.adapter_places = family.adapter_places;
  const std::size_t hidden = shape.hidden, attention = shape.heads * shape.head_size;
  const std::size_t key_value = shape.key_value_heads * shape.head_size;
  for (std::size_t layer = 0; layer < shape.distinct_layers; ++layer) {
    const std::string prefix = fmt::format(fmt::runtime(modules.layer), layer);
    const auto add = [&](MatrixType type, const char* module, std::size_t out, std::size_t in,
                         std::size_t heads) {
      if (module != nullptr) result.sites.push_back({prefix + module, type, layer, out, in, heads});
    };
    if (modules.in_proj) {
      const std::string whole = prefix + modules.in_proj;
      const auto add_part = [&](MatrixType type, std::size_t out, std::size_t heads) {
        result.sites.push_back(
            {fmt::format("{}.{}", whole, to_string(type)), type, layer, out, hidden, heads, whole});
      };
      add_part(MatrixType::q, attention, shape.heads);
      add_part(MatrixType::k, key_value, shape.key_value_heads);
      add_part(MatrixType::v, key_value, shape.key_value_heads);
    }
    add(MatrixType::q, modules.q, attention, hidden, shape.heads);
    add(MatrixType::k, modules.k, key_value, hidden, shape.key_value_heads);
    add(MatrixType::v, modules.v, key_value, hidden, shape.key_value_heads);
    add(MatrixType::o, modules.o, hidden, attention, shape.heads);
    add(MatrixType::gate, modules.gate, shape.intermediate, hidden, 1);
    add(MatrixType::up, modules.up, shape.intermediate, hidden, 1);
    add(MatrixType::down, modules.down, hidden, shape.intermediate, 1);
    add(MatrixType::in_proj, modules.in_proj, attention + 2 * key_value, hidden, shape.heads);
    const auto add_map = [&](MatrixType type, const char* module) {
      result.sites.push_back(
          {prefix + module, type, layer, attention, hidden, shape.heads, "", true});
    };
    if (shape.position_keys) add_map(MatrixType::position_k, modules.position_k);
    if (shape.position_queries) add_map(MatrixType::position_q, modules.position_q);
  }
  const auto add_single = [&](MatrixType type, const char* module, std::size_t layer,
                              std::size_t in) {
    if (module) result.sites.push_back({module, type, layer, hidden, in, 1, "", true});
  };
  add_single(MatrixType::embedding_map, modules.embedding_map, 0, shape.embedding);
  add_single(MatrixType::pooler, modules.pooler, shape.distinct_layers - 1, hidden);
  const bool apart = std::ranges::any_of(modules.part_biases, [](const char* of) { return of; });
  for (Site& site : result.sites) {
    site.bias = bias_rows(shape, site);
    site.bias_apart = apart && (site.matrix == MatrixType::in_proj || !site.part_of.empty());
  }
  const auto add_virtual = [&](std::string name, MatrixType type, std::size_t layer,
                               std::size_t width, std::size_t heads) {
    result.virtual_sites.push_back({std::move(name), type, layer, width, 0, heads});
    result.virtual_sites.back().bias = Site::BiasRows::none;
  };
  add_virtual("virtual_tokens", MatrixType::virtual_tokens, 0, shape.embedding, 1);
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const std::size_t heads = shape.key_value_heads;
    add_virtual(fmt::format("prefix.{}.k", layer), MatrixType::prefix_k, layer, key_value, heads);
    add_virtual(fmt::format("prefix.{}.v", layer), MatrixType::prefix_v, layer, key_value, heads);
  }
  if (shape.relative_rows > 0)
    result.prefix_obstacle =
        "its attention reads relative positions, which keys before the tokens have not; expected "
        "method prompt";
  return result;
}

namespace {

/// q, k or v of a shape whose in_proj has them as parts.
StoredMatrix stored_part(const ModelShape& shape, MatrixType part) {
  const std::size_t d = shape.head_size, queries = shape.heads * d,
                    keys = shape.key_value_heads * d;
  const auto before = static_cast<std::size_t>(part);
  StoredMatrix stored;
  stored.rows = queries + 2 * keys;
  if (family_of(shape).modules.by_head) {
    stored.first_row = before * d;
    stored.run = d;
    stored.step = 3 * d;
    return stored;
  }
  stored.first_row = before == 0 ? 0 : queries + (before - 1) * keys;
  stored.run = stored.step = before == 0 ? queries : keys;
  return stored;
}

}  // namespace

StoredMatrix stored_matrix(const ModelShape& shape, const Site& site) {
  StoredMatrix stored{site.name, site.out, 0, site.out, site.out};
  if (!site.part_of.empty()) {
    stored = stored_part(shape, site.matrix);
    stored.module = site.part_of;
  }
  stored.transposed = family_of(shape).modules.transposed;
  return stored;
}

StoredBias stored_bias(const ModelShape& shape, const Site& site, std::size_t row) {
  if (!has_bias(shape, site.matrix)) return {};
  const FamilyModules& modules = family_of(shape).modules;
  const StoredMatrix stored = stored_matrix(shape, site);
  const bool is_fused = site.matrix == MatrixType::in_proj || !site.part_of.empty();
  if (!is_fused || std::ranges::all_of(modules.part_biases, [](const char* of) { return !of; }))
    return {stored.module + ".bias", stored.rows, stored.row(row)};
  const std::size_t whole = stored.row(row);
  for (const MatrixType type : {MatrixType::q, MatrixType::k, MatrixType::v}) {
    const StoredMatrix part = stored_part(shape, type);
    const std::size_t size =
        (type == MatrixType::q ? shape.heads : shape.key_value_heads) * shape.head_size;
    if (whole < part.first_row) continue;
    const std::size_t behind = whole - part.first_row,
                      place = behind / part.step * part.run + behind % part.step;
    if (behind % part.step >= part.run || place >= size) continue;
    const char* bias = modules.part_biases[static_cast<std::size_t>(type)];
    if (!bias) return {};
    return {fmt::format(fmt::runtime(modules.layer), site.layer) + bias, size, place};
  }
  return {};
}

std::size_t norm_parameters(const ModelShape& shape) {
  return family_of(shape).norm_parameters(shape);
}

std::size_t norm_shift_parameters(const ModelShape& shape) {
  return family_of(shape).norms_shift ? norm_parameters(shape) / 2 : 0;
}

std::size_t parameters_below_head(const ModelShape& shape) {
  return shape.parameters + (family_of(shape).dense_apart ? shape.hidden * (shape.hidden + 1) : 0);
}

std::size_t output_parameters(const ModelShape& shape, std::size_t labels) {
  return labels * (shape.hidden + (family_of(shape).output_bias ? 1 : 0));
}

std::size_t head_parameters(const ModelShape& shape, std::size_t labels) {
  return output_parameters(shape, labels) +
         (family_of(shape).trains_dense ? shape.hidden * (shape.hidden + 1) : 0);
}

std::size_t tensor_train_head_parameters(const ModelShape& shape, std::size_t rank) {
  if (!family_of(shape).dense_before_output)
    throw UsageError("--train tt-head: {} has no dense layer before its output layer", shape.name);
  const std::vector<std::size_t> modes = loretta_shape({}, shape.hidden, shape.hidden);
  if (modes.size() == 1) return modes.front() + shape.hidden;
  std::size_t count = rank * (modes.front() + modes.back());
  for (std::size_t i = 1; i + 1 < modes.size(); ++i) count += rank * rank * modes[i];
  return count + shape.hidden;
}

std::size_t trained_part_parameters(const ModelShape& shape, const std::string& parts,
                                    std::size_t labels, std::size_t rank) {
  if (trim(parts).empty()) return 0;
  std::vector<std::string> known;
  for (const ModelPart& part : model_parts) known.emplace_back(part.name);
  std::set<std::string> chosen;
  for (const std::string& part : split(parts, ',')) {
    const std::string name(trim(part));
    if (std::ranges::find(known, name) == known.end())
      throw unknown_name("part of --train", name, known);
    if (!chosen.insert(name).second)
      throw UsageError("--train {}: '{}' stands twice", printable(parts), name);
  }
  if (chosen.contains("head") && (chosen.contains("tt-head") || chosen.contains("output")))
    throw UsageError("--train {}: head is the whole head; expected it without tt-head and output",
                     printable(parts));
  if (chosen.contains("norms") && chosen.contains("norm-shifts"))
    throw UsageError("--train {}: norms hold their shifts; expected it without norm-shifts",
                     printable(parts));
  std::size_t count = 0;
  if (chosen.contains("norm-shifts")) count += norm_shift_parameters(shape);
  if (chosen.contains("norms")) count += norm_parameters(shape);
  if (chosen.contains("head")) count += head_parameters(shape, labels);
  if (chosen.contains("output")) count += output_parameters(shape, labels);
  if (chosen.contains("tt-head")) {
    if (rank == 0)
      throw UsageError("--train tt-head: found no rank, expected a method with a rank");
    count += tensor_train_head_parameters(shape, rank);
  }
  return count;
}

}  // namespace rankfold
