#include "experiments/runs/run_identity.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <unordered_map>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/runs/run_names.h"
#include "experiments/runs/setting_rules.h"
#include "experiments/runs/setting_spec.h"

namespace rankfold {
namespace {

/// A diverged run has no scores; its metric is that of the other runs of its task.
void name_metrics_of_diverged(const std::vector<RunView>& runs) {
  std::map<std::string, std::vector<std::string>> measured;
  for (const RunView& run : runs)
    if (!run.row->metric.empty()) measured[run.row->task].push_back(run.row->metric);
  for (const RunView& run : runs) {
    if (!run.is_result || !run.row->score || !run.row->metric.empty()) continue;
    run.row->metric = main_metric(run.row->task, measured[run.row->task]);
    if (run.row->metric.empty()) run.row->metric = "score";
  }
}

/// Every run of a method has every setting that one of them has; runs of ours have the defaults of
/// what older versions did not write.
void fill_in(const std::vector<RunView>& runs) {
  std::map<std::string, std::set<std::string>> of_method;
  std::set<std::string> of_all;
  for (const RunView& run : runs)
    for (const auto& [name, value] : run.row->settings) {
      if (!run.is_result) continue;
      of_method[run.row->method].insert(name);
      of_all.insert(name);
    }
  for (const RunView& run : runs) {
    ResultRow& row = *run.row;
    if (!run.is_result) continue;
    if (run.is_run_file()) {
      for (const SettingSpec& known : run_settings())
        if (!known.fallback.empty() && of_all.contains(known.name))
          row.settings.try_emplace(known.name, setting_form(known.name, known.fallback));
      if (row.layers.empty()) row.layers = "all";
    }
    for (const std::string& name : of_method[row.method]) row.settings.try_emplace(name, "");
  }
}

/// What tells a run from all others, without the setting `left_out`.
std::string identity_of(const ResultRow& row, bool with_seed, const std::string& left_out = "") {
  std::string key;
  const auto add = [&](std::string_view text) {
    key += text;
    key += '\0';
  };
  for (const RowSetting& own : row_settings())
    if (with_seed || own.name != "seed") add(row_setting(row, own));
  add(row.metric);
  for (const auto& [name, value] : row.settings) {
    if (value.empty() || name == left_out) continue;
    add(name);
    add(value);
  }
  return key;
}

/// Columns of other programs may be measures that is_bookkeeping does not know.
void note_unknown_settings(const std::vector<RunView>& runs, std::vector<std::string>& notes) {
  std::set<std::string> unknown;
  for (const RunView& run : runs) {
    if (run.is_run_file() || !run.is_result || !run.row->score) continue;
    for (const auto& [name, value] : run.row->settings)
      if (find_setting(name) == nullptr && name.find('.') == std::string::npos)
        unknown.insert(name);
  }
  for (const std::string& name : unknown) {
    std::unordered_map<std::string, std::string> values;
    const bool tells_apart = std::ranges::any_of(runs, [&](const RunView& run) {
      const auto found = run.row->settings.find(name);
      const std::string value = found == run.row->settings.end() ? "" : found->second;
      return values.emplace(identity_of(*run.row, false, name), value).first->second != value;
    });
    if (tells_apart)
      notes.push_back(fmt::format(
          "'{}' is taken for a setting and tells runs apart; --ignore {} where it is none",
          printable(name, 80), printable(name, 80)));
  }
}

bool is_same_score(const std::optional<double>& a, const std::optional<double>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  if (!std::isfinite(*a) || !std::isfinite(*b)) return std::isfinite(*a) == std::isfinite(*b);
  // What float32 and text of some digits leave of one number.
  return std::abs(*a - *b) <= 1e-6 * std::max(1.0, std::abs(*a));
}

/// What differs between two results of one run, "" for nothing.
std::string difference(const ResultRow& a, const ResultRow& b) {
  const auto shown = [](const std::optional<double>& score) {
    return score ? fmt::format("{:.6g}", *score) : std::string("none");
  };
  if (!is_same_score(a.score, b.score))
    return fmt::format("score {} and {}", shown(a.score), shown(b.score));
  if (a.parameters != b.parameters)
    return fmt::format("{} and {} parameters", a.parameters, b.parameters);
  if (a.trainable && b.trainable && *a.trainable != *b.trainable)
    return fmt::format("{} and {} trainable parameters", *a.trainable, *b.trainable);
  return "";
}

std::string shown_run(const ResultRow& row) {
  std::string text;
  for (const auto& [name, value] : {std::pair("task", row.task),
                                    {"model", row.model},
                                    {"method", row.method},
                                    {"rank", row.rank},
                                    {"seed", row.seed}})
    if (!value.empty()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, value);
  return printable(text, 200);
}

}  // namespace

std::vector<std::size_t> settle_runs(const std::vector<RunView>& runs,
                                     const RunSelection& selection,
                                     std::vector<std::string>& notes) {
  for (const RunView& run : runs) run.row->seed = setting_form("seed", run.row->seed);
  name_folders(runs, notes);
  name_metrics_of_diverged(runs);
  ignore_settings(runs, selection.ignored);
  fill_in(runs);
  const std::vector<RunClause> clauses = run_clauses(selection.where);
  for (const RunClause& clause : clauses) expect_answers(clause, runs);

  std::vector<std::size_t> kept;
  std::vector<RunView> counted;
  std::unordered_map<std::string, const ResultRow*> known;
  std::size_t copies = 0;
  std::string copy;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (!std::ranges::all_of(clauses,
                             [&](const RunClause& clause) { return satisfies(runs[i], clause); }))
      continue;
    const ResultRow& row = *runs[i].row;
    if (runs[i].is_result) {
      const auto [same, is_new] = known.emplace(identity_of(row, true), &row);
      if (!is_new) {
        const std::string differs = difference(*same->second, row);
        if (!differs.empty())
          throw Error("{}: is the same run as {} ({}) with another result: {}; expected each once",
                      row.origin, same->second->origin, shown_run(row), differs);
        if (++copies == 1)
          copy = fmt::format("{}: is the same run as {}, with the same result; counted once",
                             row.origin, same->second->origin);
        continue;
      }
      counted.push_back(runs[i]);
    }
    kept.push_back(i);
  }
  if (copies > 1)
    copy += fmt::format(" (and {} more such run{})", copies - 1, copies == 2 ? "" : "s");
  if (copies > 0) notes.push_back(copy);
  if (kept.empty() && !runs.empty())
    throw UsageError("--where: no run has all of these values together");
  note_unknown_settings(counted, notes);
  return kept;
}

void settle_results(Results& results, const RunSelection& selection) {
  std::vector<RunView> views;
  for (ResultRow& row : results.rows) views.push_back({&row, nullptr, true});
  std::vector<ResultRow> kept;
  for (const std::size_t position : settle_runs(views, selection, results.notes))
    kept.push_back(std::move(results.rows[position]));
  results.rows = std::move(kept);
}

}  // namespace rankfold
