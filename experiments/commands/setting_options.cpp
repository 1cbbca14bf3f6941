#include "experiments/commands/setting_options.h"

#include <algorithm>

namespace rankfold {

std::vector<Option> setting_options(bool keep_required, const std::vector<std::string>& names) {
  std::vector<Option> options;
  for (const SettingSpec& spec : run_settings()) {
    if (!names.empty() && std::ranges::find(names, spec.name) == names.end()) continue;
    options.push_back({spec.name, spec.value, spec.fallback, spec.meaning,
                       keep_required && spec.required, false, false, spec.alone});
  }
  return options;
}

Option set_option() {
  return {"set", "KEY=VALUE", "", "the method's own keys; `rankfold methods NAME` lists them",
          false, true};
}

RunSettings given_settings(const Arguments& arguments) {
  RunSettings settings;
  for (const SettingSpec& spec : run_settings())
    if (arguments.has(spec.name)) settings.values[spec.name] = arguments.text(spec.name);
  settings.options = arguments.pairs("set");
  return settings;
}

}  // namespace rankfold
