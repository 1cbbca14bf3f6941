#include "experiments/sweep/run_costs.h"

#include <algorithm>

namespace rankfold {
namespace {

std::string key_of(const RunSettings& run, bool with_method) {
  if (!with_method) return settings_text(settings_with(run, {SettingRole::data_cost}));
  RunSettings key = settings_with(run, {SettingRole::data_cost, SettingRole::method_cost});
  key.options = run.options;
  return settings_text(key);
}

}  // namespace

void RunCosts::add(const RunSettings& run, double train_seconds) {
  const double seconds = train_seconds / run.number("epochs");
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
    return found->second.sum / static_cast<double>(found->second.count) * run.number("epochs");
  };
  const auto alike = mean(alike_, true);
  return alike ? alike : mean(same_data_, false);
}

}  // namespace rankfold
