#include "analysis/tables/score_groups.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "analysis/figures/method_style.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

/// What tells the settings of a score apart: all that the results hold, by name.
std::map<std::string, std::string> settings_of(const ResultRow& row) {
  std::map<std::string, std::string> settings = row.settings;
  settings["layers"] = row.layers;
  settings["first rows"] = row.train_rows ? std::to_string(*row.train_rows) : "";
  return settings;
}

std::vector<std::string> varying_settings(const std::vector<const ResultRow*>& rows) {
  std::map<std::string, std::map<std::string, std::set<std::string>>> values;  // by method
  for (const ResultRow* row : rows)
    for (const auto& [name, value] : settings_of(*row)) values[name][row->method].insert(value);
  std::vector<std::string> varying;
  for (const auto& [name, methods] : values) {
    const auto varies = [](const auto& method) { return method.second.size() > 1; };
    if (std::ranges::any_of(methods, varies)) varying.push_back(name);
  }
  return varying;
}

}  // namespace

ScoreGroups group_scores(const std::vector<ResultRow>& rows) {
  std::vector<const ResultRow*> scored;
  std::set<ScoreGroups::Column> columns;
  for (const ResultRow& row : rows) {
    if (!row.score) continue;
    scored.push_back(&row);
    columns.insert({row.task, row.metric});
  }
  ScoreGroups groups;
  groups.columns.assign(columns.begin(), columns.end());
  groups.settings = varying_settings(scored);
  using Key = std::tuple<std::string, std::pair<int, std::string>, std::pair<double, std::string>,
                         std::vector<std::string>>;
  std::map<Key, std::map<ScoreGroups::Column, std::vector<double>>> lines;
  for (const ResultRow* row : scored) {
    auto settings = settings_of(*row);
    std::vector<std::string> telling;
    for (const std::string& name : groups.settings) telling.push_back(settings[name]);
    lines[{row->model, method_order(row->method), rank_order(row->rank), telling}]
         [{row->task, row->metric}]
             .push_back(*row->score);
  }
  for (const auto& [key, scores] : lines) {
    const auto& [model, method, rank, settings] = key;
    ScoreGroups::Line line{model, method.second, rank.second, settings, {}};
    for (const auto& [column, values] : scores)
      line.scores.emplace(column, estimate_mean(values, score_metric(column.metric).range));
    groups.lines.push_back(std::move(line));
  }
  return groups;
}

}  // namespace rankfold
