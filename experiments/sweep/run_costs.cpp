#include "experiments/sweep/run_costs.h"

#include <algorithm>

namespace rankfold {
namespace {

/// What the seconds of a run grow with: its steps where it has a number of them, else its epochs.
double length_of(const RunSettings& run) {
  const double steps = run.number("steps");
  return steps > 0 ? steps : run.number("epochs");
}

std::string key_of(const RunSettings& run, bool with_method) {
  RunSettings key = with_method
                        ? settings_with(run, {SettingRole::data_cost, SettingRole::method_cost})
                        : settings_with(run, {SettingRole::data_cost});
  if (with_method) key.options = run.options;
  if (run.number("steps") > 0) key.values["steps"] = "given";
  return settings_text(key);
}

}  // namespace

void RunCosts::add(const RunSettings& run, double train_seconds) {
  const double seconds = train_seconds / length_of(run);
  for (Mean* mean : {&alike_[key_of(run, true)], &same_data_[key_of(run, false)]}) {
    mean->sum += seconds;
    ++mean->count;
  }
}

std::optional<double> RunCosts::seconds(const RunSettings& run) const {
  const auto mean = [&](const std::map<std::string, Mean>& means,
                        bool with_method) -> std::optional<double> {
    const auto found = means.find(key_of(run, with_method));
    if (found == means.end()) return std::nullopt;
    return found->second.sum / static_cast<double>(found->second.count) * length_of(run);
  };
  const auto alike = mean(alike_, true);
  return alike ? alike : mean(same_data_, false);
}

}  // namespace rankfold
