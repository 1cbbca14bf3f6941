#include "experiments/commands/setting_options.h"

#include <algorithm>

#include "core/adapter/rank_budget.h"
#include "core/base/error.h"
#include "core/base/machine.h"
#include "experiments/sweep/counting.h"

namespace rankfold {

std::vector<Option> setting_options(bool keep_required, const std::vector<std::string>& names) {
  std::vector<Option> options;
  for (const SettingSpec& spec : run_settings()) {
    if (!names.empty() && std::ranges::find(names, spec.name) == names.end()) continue;
    options.push_back({spec.name, spec.value, spec.fallback, spec.meaning,
                       keep_required && spec.required && !spec.found_elsewhere, false, false, spec.alone});
    if (!spec.other_name.empty())
      options.push_back({spec.other_name, spec.value, "", "the same as --" + spec.name});
  }
  return options;
}

Option set_option() {
  return {"set", "KEY=VALUE", "", "the method's own keys; `rankfold methods NAME` lists them",
          false, true};
}

std::size_t thread_count(const Arguments& arguments) {
  if (!arguments.has("threads")) return static_cast<std::size_t>(cpu_count());
  check_setting("threads", arguments.text("threads"));
  return arguments.count("threads", 0);
}

RunSettings given_settings(const Arguments& arguments) {
  RunSettings settings;
  for (const SettingSpec& spec : run_settings()) {
    if (arguments.has(spec.name)) settings.values[spec.name] = arguments.text(spec.name);
    if (spec.other_name.empty() || !arguments.has(spec.other_name)) continue;
    if (arguments.has(spec.name))
      throw UsageError("--{} and --{} are one setting: found both", spec.name, spec.other_name);
    settings.values[spec.name] = arguments.text(spec.other_name);
  }
  settings.options = arguments.pairs("set");
  return settings;
}

Option budget_option() {
  return {"budget", "N", "",
          "in place of --rank: the largest whose adapter has at most N parameters"};
}

RunSettings settings_within_budget(const Arguments& arguments, const Method& method,
                                   const ModelShape& shape, OverBudget without_rank) {
  RunSettings settings = given_settings(arguments);
  if (!arguments.has("budget")) return settings;
  if (arguments.has("rank"))
    throw UsageError("--rank and --budget exclude each other: the budget chooses the rank");
  const std::size_t budget = arguments.count("budget", 1);
  const Stack stack = chosen_stack(shape, method, settings);
  const BudgetedRank chosen = choose_rank(method, method_request(settings), stack, budget);
  if (!chosen.fits && (method.has_rank || without_rank == OverBudget::refused))
    throw UsageError("--budget is {}; {} on {} has {} parameters{}", budget, method.name,
                     shape.name, chosen.parameters,
                     method.has_rank ? " at rank " + chosen.rank + ", its smallest" : "");
  if (method.has_rank) settings.values["rank"] = chosen.rank;
  return settings;
}

}  // namespace rankfold
