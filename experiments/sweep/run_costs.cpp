#include "experiments/sweep/run_costs.h"

#include <algorithm>
#include <array>
#include <string_view>

#include "experiments/sweep/sweep.h"

namespace rankfold {
namespace {

constexpr auto names_of_data = std::to_array<std::string_view>(
    {"model", "data", "task", "batch", "max-length", "max-train", "precision", "threads"});
constexpr auto names_of_method = std::to_array<std::string_view>(
    {"method", "rank", "targets", "layers", "train", "dropout", "cache-features"});

std::string key_of(const RunSettings& run, bool with_method) {
  RunSettings key;
  for (const auto& [name, value] : run.values)
    if ((std::ranges::find(names_of_data, name) != names_of_data.end()) ||
        (with_method && (std::ranges::find(names_of_method, name) != names_of_method.end())))
      key.values.emplace(name, value);
  if (with_method) key.options = run.options;
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
