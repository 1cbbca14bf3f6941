#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/json_text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/text_table.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

/// The first of each type: what every layer has, and what the model has once.
std::vector<Site> first_sites(const SiteCatalogue& catalogue) {
  std::vector<Site> sites;
  for (const Site& site : catalogue.sites)
    if (std::ranges::find(sites, site.matrix, &Site::matrix) == sites.end()) sites.push_back(site);
  return sites;
}

json to_json(const ModelShape& shape) {
  const SiteCatalogue places = catalogue(shape);
  json document = {{"name", shape.name},
                   {"family", shape.family},
                   {"layers", shape.layers},
                   {"hidden", shape.hidden},
                   {"intermediate", shape.intermediate},
                   {"heads", shape.heads},
                   {"key_value_heads", shape.key_value_heads},
                   {"vocabulary", shape.vocabulary},
                   {"positions", shape.positions}};
  document["parameters"] = shape.parameters;
  document["matrices"] = json::array();
  for (const Site& site : first_sites(places)) {
    json matrix = {{"target", to_string(site.matrix)},
                   {"out", site.out},
                   {"in", site.in},
                   {"heads", site.heads},
                   {"module", site.name}};
    if (!site.part_of.empty()) matrix["part_of"] = site.part_of;
    document["matrices"].push_back(std::move(matrix));
  }
  document["adapters"] = json::array();
  for (const MatrixType place : places.adapter_places)
    document["adapters"].push_back(to_string(place));
  return document;
}

void print_model(const ModelShape& shape, std::ostream& out) {
  const SiteCatalogue places = catalogue(shape);
  out << fmt::format("{} ({})\n\n", shape.name, shape.family);
  std::vector<std::vector<std::string>> sizes = {
      {"  layers", std::to_string(shape.layers)},
      {"  hidden", std::to_string(shape.hidden)},
      {"  intermediate", std::to_string(shape.intermediate)},
      {"  heads", std::to_string(shape.heads)},
      {"  key/value heads", std::to_string(shape.key_value_heads)},
      {"  vocabulary", std::to_string(shape.vocabulary)},
      {"  positions", std::to_string(shape.positions)}};
  sizes.push_back({"  parameters", fmt::format("{} without a head", shape.parameters)});
  write_table(out, sizes);
  out << '\n';
  std::vector<std::vector<std::string>> rows = {{"target", "out", "in", "first module"}};
  for (const Site& site : first_sites(places))
    rows.push_back({std::string(to_string(site.matrix)), std::to_string(site.out),
                    std::to_string(site.in), site.name});
  write_table(out, rows, {1, 2});
  if (places.layers != shape.layers)
    out << fmt::format("\nall {} layers share the weights of {}\n", shape.layers, places.layers);
}

int run_models(const Arguments& arguments, Context& context) {
  const std::string name = arguments.positional(0);
  std::vector<ModelShape> chosen = built_in_shapes();
  if (!name.empty()) chosen = {find_shape(name)};
  if (context.json) {
    json document = {{"models", json::array()}};
    for (const ModelShape& shape : chosen) document["models"].push_back(to_json(shape));
    context.out << json_text(document);
  } else if (!name.empty()) {
    print_model(chosen.front(), context.out);
  } else {
    std::vector<std::vector<std::string>> rows = {
        {"model", "family", "layers", "hidden", "heads", "parameters"}};
    for (const ModelShape& shape : chosen)
      rows.push_back({shape.name, shape.family, std::to_string(shape.layers),
                      std::to_string(shape.hidden), std::to_string(shape.heads),
                      std::to_string(shape.parameters)});
    write_table(context.out, rows, {2, 3, 4, 5});
  }
  return 0;
}

}  // namespace

Command models_command() {
  return {"models",
          "lists the built-in model shapes",
          {{"NAME|DIR", false}},
          {},
          "A shape counts parameters; to train, a model's folder is needed. Parameters are counted "
          "without a head.",
          run_models,
          {}};
}

}  // namespace rankfold
