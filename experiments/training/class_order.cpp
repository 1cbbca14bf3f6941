#include "experiments/training/class_order.h"

#include <algorithm>
#include <set>

#include "core/base/json_field.h"
#include "core/base/text.h"
#include "experiments/models/config_file.h"

namespace rankfold {

ClassOrder class_order(const Task& task, const std::vector<std::string>& classes) {
  ClassOrder order;
  if (classes.size() != task.classes.size() ||
      std::ranges::equal(classes, task.classes, {}, normalise_text, normalise_text))
    return order;
  const std::string named =
      fmt::format("the model's classes are {}: its outputs ", printable(join(classes, ", "), 200));
  for (const std::string& name : task.classes) {
    const auto found = std::ranges::find(classes, normalise_text(name), normalise_text);
    order.outputs.push_back(static_cast<std::size_t>(found - classes.begin()));
  }
  const std::set<std::size_t> distinct(order.outputs.begin(), order.outputs.end());
  const bool is_named = distinct.size() == classes.size() && !distinct.contains(classes.size());
  if (is_named) {
    order.note = named + "are read by name";
    return order;
  }
  order.note =
      fmt::format("{}stand for {} by their order", named, printable(join(task.classes, ", "), 200));
  order.outputs.clear();
  return order;
}

std::vector<std::string> model_classes(const std::filesystem::path& model) {
  const ConfigFile config(model / "config.json");
  const JsonField names(config.values(), config.path());
  std::vector<std::string> classes;
  const auto given = names.find("id2label");
  for (std::size_t k = 0; given && k < given->members().size(); ++k) {
    const auto name = given->find(std::to_string(k));
    if (!name || !name->is_string() || name->string() == fmt::format("LABEL_{}", k)) return {};
    classes.push_back(name->string());
  }
  return classes;
}

}  // namespace rankfold
