#include "experiments/commands/bench_methods.h"

#include <memory>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/progress.h"
#include "core/base/text.h"
#include "experiments/commands/setting_options.h"

namespace rankfold {

std::vector<std::string> read_methods(const Arguments& arguments, const std::string& command) {
  std::vector<std::string> methods;
  for (const std::string& names : arguments.texts("method"))
    for (const std::string& name : split(names, ',')) methods.emplace_back(trim(name));
  if (arguments.text("rank").empty() && methods.empty())
    throw UsageError("{}: --rank is missing; expected the rank of the methods", command);
  if (arguments.has("rank")) check_setting("rank", arguments.text("rank"));
  return methods;
}

std::function<void(std::size_t, std::size_t)> method_progress() {
  return [bar = std::shared_ptr<Progress>()](std::size_t done, std::size_t total) mutable {
    if (!standard_error_is_terminal()) return;
    if (!bar) bar = std::make_shared<Progress>("methods", total, true);
    bar->update(done);
    if (done == total) bar->finish();
  };
}

void tell_skipped(const std::vector<SkippedMethod>& skipped, std::ostream& err) {
  for (const auto& [method, reason] : skipped)
    err << fmt::format("{} is left out: {}\n", method, printable(reason));
}

JsonValue to_json(const std::vector<SkippedMethod>& skipped) {
  auto list = JsonValue::array();
  for (const auto& [method, reason] : skipped)
    list.push_back({{"method", method}, {"reason", reason}});
  return list;
}

}  // namespace rankfold
