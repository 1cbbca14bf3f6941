#include "experiments/adapter_files/lorta_folder.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/foreign_keys.h"
#include "core/base/json_field.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::array all_matrices{MatrixType::q, MatrixType::k, MatrixType::v, MatrixType::o};
constexpr std::array factor_names{"A", "B", "C_h", "C_l", "C_m"};

/// "A" of "....lora_A", ".lora_A.default" or ".lora_A.weight"; "" of other tensors.
std::string factor_of(const std::string& key) {
  for (const std::string& part : split(key, '.'))
    for (const std::string name : factor_names)
      if (part == "lora_" + name) return name;
  return "";
}

}  // namespace

LortaFolder::LortaFolder(const fs::path& folder) : file_(open_foreign_tensors(folder)) {
  const fs::path path = folder / adapter_config_name;
  const OrderedJsonDocument document(path, {}, JsonWording::is);
  constexpr auto read = ForeignKey::Meaning::read;
  const ForeignKey keys[] = {
      {"layout", read}, {"alpha", read}, {"rslora", read}, {"targets", read}, {"head-axis", read}};
  expect_known_keys(document.root().value(), path, "", {keys});
  for (const auto& [key, field] : document.root().members()) {
    if (key == "alpha") {
      const char* expected = "a number above 0";
      alpha_ = field.number(expected);
      if (!(alpha_ > 0)) field.refuse(expected);
    } else if (key == "rslora") {
      rslora_ = field.boolean();
    } else if (key == "targets") {
      targets_ = field.string("text such as \"q,v\"");
    } else if (key == "head-axis") {
      const char* expected = "\"input\" or \"output\"";
      head_axis_ = field.string(expected);
      if (head_axis_ != "input" && head_axis_ != "output") field.refuse(expected);
    }
  }
  document.root().member("alpha", "LortaConfig's lora_alpha");
  for (const TensorEntry& entry : file_.entries()) {
    const std::string factor = factor_of(entry.name);
    if (factor.empty())
      head_[entry.name] = entry.name;
    else if (!factors_.emplace(factor, entry.name).second)
      throw Error("{}: tensors '{}' and '{}' are both lora_{}, expected one", file_.path().string(),
                  printable(factors_.at(factor), 200), printable(entry.name, 200), factor);
  }
  for (const char* factor : factor_names)
    if (!factors_.contains(factor))
      throw Error("{}: has no tensor lora_{}", file_.path().string(), factor);
}

std::optional<std::size_t> LortaFolder::labels() const {
  return head_labels(file_, head_);
}

AdapterDescription LortaFolder::describe(const SiteCatalogue& catalogue) {
  AdapterDescription description;
  description.method = "lorta";
  description.targets = targets_;
  description.settings.alpha = alpha_;
  description.settings.options = {{"head-axis", head_axis_},
                                  {"rslora", rslora_ ? "true" : "false"}};
  const std::vector<std::size_t>& shape = file_.at(factors_.at("A")).shape;
  if (shape.size() != 2)
    throw Error("{}: tensor '{}' has shape ({}), expected (hidden, rank)", file_.path().string(),
                printable(factors_.at("A"), 200), fmt::join(shape, ", "));
  description.rank = std::to_string(shape.back());
  for (const MatrixType type : parse_targets(targets_, catalogue))
    if (std::ranges::find(all_matrices, type) == all_matrices.end())
      throw Error("{}: targets name {}, expected some of q, k, v, o", file_.path().string(),
                  to_string(type));
  return description;
}

void LortaFolder::fill(Adapter<float>& adapter) const {
  for (Parameter<float>& parameter : adapter.parameters()) {
    const std::string& key = factors_.at(parameter.factor);
    const bool selects = parameter.factor == "C_m";
    std::vector<std::size_t> expected = parameter.shape;
    if (selects) expected.front() = all_matrices.size();
    const std::vector<std::size_t>& shape = file_.at(key).shape;
    if (shape != expected)
      throw Error("{}: tensor '{}' has shape ({}), expected ({})", file_.path().string(),
                  printable(key, 200), fmt::join(shape, ", "), fmt::join(expected, ", "));
    if (!selects) {
      read_numbers(file_, key, "factor " + parameter.name, shape, parameter.value.span());
      continue;
    }
    const std::size_t rank = expected.back();
    std::vector<float> rows(all_matrices.size() * rank);
    read_numbers(file_, key, "factor " + parameter.name, shape, rows);
    float* target = parameter.value.data();
    for (const MatrixType type : adapter.stack().matrices) {
      const auto row =
          static_cast<std::size_t>(std::ranges::find(all_matrices, type) - all_matrices.begin());
      target = std::copy_n(rows.begin() + static_cast<std::ptrdiff_t>(row * rank), rank, target);
    }
  }
}

bool LortaFolder::fill_head(std::vector<TrainedTensor> head) const {
  return fill_foreign_head(file_, head_, head);
}

}  // namespace rankfold
