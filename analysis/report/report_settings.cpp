#include "analysis/report/report_settings.h"

#include <algorithm>
#include <set>

#include "analysis/figures/method_style.h"

namespace rankfold {
namespace {

const std::set<std::string> of_every_run = {"task", "model", "method", "rank", "seed", "out"};

struct Use {
  std::set<std::string> values;
  std::map<std::string, std::size_t> runs;  ///< by method
};

}  // namespace

SortedSettings sort_settings(const std::vector<RunRecord>& runs) {
  std::map<std::string, Use> uses;
  std::map<std::string, std::size_t> of_method;
  for (const RunRecord& run : runs) {
    if (run.settings.empty()) continue;
    ++of_method[run.row.method];
    for (const auto& [name, value] : run.settings) {
      if (of_every_run.contains(name)) continue;
      uses[name].values.insert(value);
      ++uses[name].runs[run.row.method];
    }
  }
  SortedSettings sorted;
  for (const auto& [name, use] : uses) {
    const bool whole = std::ranges::all_of(
        use.runs, [&](const auto& method) { return of_method.at(method.first) == method.second; });
    if (use.values.size() > 1 || !whole) {
      sorted.varying.push_back(name);
      continue;
    }
    CommonSetting common{name, *use.values.begin(), {}};
    for (const auto& [method, count] : use.runs) common.methods.push_back(method);
    std::ranges::sort(common.methods, {}, method_order);
    if (use.runs.size() == of_method.size()) common.methods.clear();
    sorted.common.push_back(std::move(common));
  }
  return sorted;
}

}  // namespace rankfold
