#include "experiments/runs/run_selection.h"

#include <algorithm>
#include <optional>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/setting_rules.h"
#include "experiments/runs/setting_spec.h"

namespace rankfold {
namespace {

std::optional<std::string> told(const RunView& run, const std::string& key) {
  if (key == "metric") return run.row->metric;
  if (auto own = row_setting(*run.row, key)) return own;
  if (run.settings == nullptr) return std::nullopt;
  const auto found = run.settings->find(key);
  if (found == run.settings->end()) return std::nullopt;
  return setting_form(key, found->second);
}

std::vector<std::string> told_keys(const std::vector<RunView>& runs) {
  std::set<std::string> keys = {"metric"};
  for (const RowSetting& own : row_settings()) keys.insert(own.name);
  for (const RunView& run : runs) {
    for (const auto& [name, value] : run.row->settings) keys.insert(name);
    if (run.settings == nullptr) continue;
    for (const auto& [name, value] : *run.settings) keys.insert(name);
  }
  return {keys.begin(), keys.end()};
}

std::string value_form(const std::string& key, const std::string& text) {
  if (key == "rank") return normal_rank(setting_form(key, text)).value_or(text);
  if (key == "task" || key == "model" || key == "method" || key == "metric") return text;
  if (key == "max-train" && text == "all") return "0";
  return setting_form(key, text);
}

}  // namespace

std::vector<RunClause> run_clauses(const std::vector<std::string>& where) {
  std::vector<RunClause> clauses;
  for (const std::string& text : where) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      throw UsageError("--where: found '{}', expected key=value", printable(text, 80));
    const std::string key = setting_name(text.substr(0, equals)), value = text.substr(equals + 1);
    auto clause = std::ranges::find(clauses, key, &RunClause::key);
    if (clause == clauses.end()) clause = clauses.insert(clause, {key, {}});
    const SettingSpec* spec = find_setting(key);
    const bool is_list = spec != nullptr && spec->is_list();
    clause->values.insert(value_form(key, value));
    if (spec != nullptr && spec->kind == SettingKind::phrase) continue;
    for (const std::string& part : split(value, is_list ? ';' : ','))
      clause->values.insert(value_form(key, std::string(trim(part))));
  }
  return clauses;
}

bool satisfies(const RunView& run, const RunClause& clause) {
  const auto value = told(run, clause.key);
  if (!run.is_result && (!value || value->empty())) return true;  // may be one of them
  return value && clause.values.contains(*value);
}

void expect_answers(const RunClause& clause, const std::vector<RunView>& runs) {
  std::set<std::string> found;
  bool is_key = false;
  for (const RunView& run : runs)
    if (const auto value = told(run, clause.key)) {
      is_key = true;
      found.insert(*value);
    }
  if (!is_key) throw unknown_name("key of --where", clause.key, told_keys(runs));
  if (std::ranges::any_of(clause.values,
                          [&](const std::string& value) { return found.contains(value); }))
    return;
  std::vector<std::string> shown;
  for (const std::string& value : found) shown.push_back(value.empty() ? "none" : value);
  throw UsageError(
      "--where {}={}: no run has it (found: {})", clause.key,
      printable(join(std::vector<std::string>(clause.values.begin(), clause.values.end()), ","),
                80),
      printable(join(shown, ", "), 300));
}

void ignore_settings(const std::vector<RunView>& runs, const std::vector<std::string>& ignored) {
  for (const std::string& given : ignored) {
    const std::string name = setting_name(given);
    std::set<std::string> names;
    for (const RunView& run : runs)
      for (const auto& [known, value] : run.row->settings) names.insert(known);
    const std::vector<std::string> known(names.begin(), names.end());
    if (!names.contains(name)) throw unknown_name("setting of --ignore", name, known);
    for (const RunView& run : runs) run.row->settings.erase(name);
  }
}

}  // namespace rankfold
