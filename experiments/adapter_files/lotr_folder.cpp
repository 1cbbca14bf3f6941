#include "experiments/adapter_files/lotr_folder.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_field.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Shape = std::vector<std::size_t>;

double read_scale(const fs::path& folder) {
  const fs::path file = folder / adapter_config_name;
  const OrderedJsonDocument document(file, {}, JsonWording::is);
  const ForeignKey keys[] = {{"layout", ForeignKey::Meaning::read},
                             {"scale", ForeignKey::Meaning::read}};
  expect_known_keys(document.root().value(), file, "", {keys});
  const char* expected = "LoTRLinear's, a number above 0";
  const OrderedJsonField field = document.root().member("scale", expected);
  const double scale = field.number(expected);
  if (!(scale > 0)) field.refuse(expected);
  return scale;
}

void expect_shape(const SafetensorsFile& file, const std::string& key, const Shape& expected) {
  const Shape& found = file.at(key).shape;
  if (found != expected)
    throw Error("{}: tensor '{}' has shape ({}), expected ({})", file.path().string(),
                printable(key, 200), fmt::join(found, ", "), fmt::join(expected, ", "));
}

}  // namespace

LotrFolder::LotrFolder(const fs::path& folder)
    : scale_(read_scale(folder)), file_(open_foreign_tensors(folder)) {
  for (const TensorEntry& entry : file_.entries()) {
    const std::size_t dot = entry.name.find(".lotr.");
    if (dot == std::string::npos) {
      head_[entry.name] = entry.name;
      continue;
    }
    const std::string factor = entry.name.substr(dot + std::string_view(".lotr.").size());
    if (factor != "lhs" && factor != "mid" && factor != "rhs")
      throw Error("{}: tensor '{}' is none of lhs, mid, rhs", file_.path().string(),
                  printable(entry.name, 200));
    modules_[entry.name.substr(0, dot)][factor] = entry.name;
  }
  if (modules_.empty()) throw Error("{}: holds no tensor MODULE.lotr.lhs", file_.path().string());
}

std::optional<std::size_t> LotrFolder::labels() const {
  return head_labels(file_, head_);
}

AdapterDescription LotrFolder::describe(const SiteCatalogue& catalogue) {
  const std::string file = file_.path().string();
  AdapterDescription description;
  description.method = "lotr";
  description.settings.alpha = scale_;
  description.settings.options = {{"stack", "one"}, {"rslora", "false"}};
  sites_.clear();
  std::size_t rank = 0;
  for (const auto& [module, keys] : modules_) {
    const Site& site = find_site(catalogue, module, file);
    if (!sites_.emplace(site.name, module).second)
      throw Error("{}: modules '{}' and '{}' are one weight of the model", file,
                  sites_.at(site.name), module);
    for (const char* factor : {"lhs", "mid", "rhs"})
      if (!keys.contains(factor))
        throw Error("{}: has no tensor '{}.lotr.{}'", file, printable(module, 200), factor);
    const Shape& lhs = file_.at(keys.at("lhs")).shape;
    if (rank == 0 && !lhs.empty()) rank = lhs.front();
    expect_shape(file_, keys.at("lhs"), {rank, site.out});
    expect_shape(file_, keys.at("mid"), {rank, rank});
    expect_shape(file_, keys.at("rhs"), {site.in, rank});
    const auto& first = modules_.begin()->second;
    for (const char* factor : {"lhs", "rhs"})
      if (!std::ranges::equal(file_.bytes(file_.at(keys.at(factor))),
                              file_.bytes(file_.at(first.at(factor)))))
        throw Error("{}: tensors '{}' and '{}' differ, but all modules share {}", file,
                    printable(first.at(factor), 200), printable(keys.at(factor), 200), factor);
    description.sites.push_back({site.name});
  }
  description.rank = std::to_string(rank);
  return description;
}

void LotrFolder::fill(Adapter<float>& adapter) const {
  for (Parameter<float>& parameter : adapter.parameters()) {
    std::string module = modules_.begin()->first;
    for (const auto& [site, own] : sites_)
      if (parameter.name == parameter.factor + "." + site) module = own;
    read_numbers(file_, modules_.at(module).at(parameter.factor), "factor " + parameter.name,
                 parameter.shape, parameter.value.span());
  }
}

bool LotrFolder::fill_head(std::vector<TrainedTensor> head) const {
  return fill_foreign_head(file_, head_, head);
}

}  // namespace rankfold
