#include "analysis/figures/line_split.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/core.h>

namespace rankfold {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/// The number at `at` and where it ends: 8 of "8x8", 0.005 of "0.005", 5e-4 of "5e-4".
std::pair<double, std::size_t> number_at(const std::string& text, std::size_t at) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data() + at, text.data() + text.size(), value);
  if (error != std::errc()) return {INFINITY, at + 1};
  return {value, static_cast<std::size_t>(end - text.data())};
}

/// "last:2" before "last:10", "lr=0.005" before "lr=0.02": numbers compare as such.
bool natural_less(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const auto [number_a, end_a] = number_at(a, i);
      const auto [number_b, end_b] = number_at(b, j);
      if (number_a != number_b) return number_a < number_b;
      i = end_a;
      j = end_b;
    } else if (a[i] != b[j]) {
      return a[i] < b[j];
    } else {
      ++i, ++j;
    }
  }
  if ((i < a.size()) != (j < b.size())) return j < b.size();
  return a < b;
}

std::string shown(const std::string& key, const std::string& value) {
  if (value.empty()) return "";
  if (key == "layers" || key == "targets") return value;
  if (key == "rank") return "rank " + value;
  if (key == "rows trained on") return value + " rows";
  return key + "=" + value;
}

std::string rows_trained_on(const ResultRow& row) {
  return row.train_rows ? std::to_string(*row.train_rows) : "all";
}

std::string family_of(const std::string& layers) {
  if (layers.starts_with("first:")) return "first";
  if (layers.starts_with("last:")) return "last";
  return layers.empty() || layers == "all" ? "" : "chosen";
}

}  // namespace

LineSplit::LineSplit(FigureKind kind, const std::vector<ResultRow>& rows) : kind_(kind) {
  using Group = std::vector<std::string>;
  std::map<std::pair<Group, std::string>, std::set<std::string>> values;
  for (const ResultRow& row : rows) {
    for (const auto& [key, value] : attributes(row)) {
      Group group = {row.method, row.task, row.model};
      const bool always = key == "layers" || key == "targets" || key == "rank";
      // Tasks have rates of their own; a mean over tasks is of runs on as many rows each.
      if (key == "rows trained on")
        group = {row.method, row.model};
      else if (!always)
        group.insert(group.end(), {row.rank, row.layers});
      values[{group, key}].insert(value);
    }
    const std::string family = family_of(row.layers);
    if (!family.empty()) families_[row.method].insert(family);
    if (const auto depth = adapted_layer_count(row)) depths_[row.method].insert(*depth);
  }
  for (const auto& [group_and_key, found] : values) {
    const auto& [group, key] = group_and_key;
    if (found.size() > 1) varying_[group.front()].insert(key);
  }
  // Methods that were trained on different rows are no fair comparison: their lines say so.
  std::map<Group, std::set<std::string>> trained;
  for (const ResultRow& row : rows) trained[{row.task, row.model}].insert(rows_trained_on(row));
  for (const ResultRow& row : rows) {
    if (trained[{row.task, row.model}].size() > 1) varying_[row.method].insert("rows trained on");
  }
  // What a score means: never of one name where it differs, between tasks and methods too.
  for (const char* key : {"score-on", "split", "precision"}) {
    std::set<std::string> found;
    for (const ResultRow& row : rows)
      if (const auto value = row.settings.find(key); value != row.settings.end())
        found.insert(value->second);
    if (found.size() < 2) continue;
    for (const ResultRow& row : rows) varying_[row.method].insert(key);
  }
  for (const ResultRow& row : rows) {
    std::vector<std::string>& names = names_[row.method];
    for (const std::string& family : families_of(row)) {
      names.push_back(name(row, family, false).legend);
    }
  }
  for (auto& [method, names] : names_) {
    std::sort(names.begin(), names.end(), natural_less);
    names.erase(std::unique(names.begin(), names.end()), names.end());
  }
}

bool LineSplit::ranks_at_lines() const {
  return kind_ == FigureKind::depth || kind_ == FigureKind::learning_rate;
}

LineSplit::Attributes LineSplit::attributes(const ResultRow& row) const {
  Attributes found;
  if (ranks_at_lines() || kind_ == FigureKind::convergence || kind_ == FigureKind::forwards)
    found.emplace_back("rank", row.rank);
  if (kind_ != FigureKind::depth) found.emplace_back("layers", row.layers);
  found.emplace_back("rows trained on", rows_trained_on(row));
  for (const auto& setting : row.settings) {
    const bool has_axis = kind_ == FigureKind::learning_rate || kind_ == FigureKind::cost;
    if (setting.first != "lr" || !has_axis) found.push_back(setting);
  }
  return found;
}

std::vector<std::string> LineSplit::families_of(const ResultRow& row) const {
  const auto families = families_.find(row.method);
  if (kind_ != FigureKind::depth || families == families_.end() || families->second.size() < 2) {
    return {""};
  }
  const std::string family = family_of(row.layers);
  if (!family.empty()) return {family};
  return {families->second.begin(), families->second.end()};
}

LineName LineSplit::name(const ResultRow& row, const std::string& family, bool reference) const {
  LineName line{row.method, 0, row.method, "", row.method};
  const auto varying = varying_.find(row.method);
  for (const auto& [key, value] : attributes(row)) {
    if (varying == varying_.end() || !varying->second.contains(key)) continue;
    if (key == "rank" && ranks_at_lines()) {
      if (!reference) line.rank = value;
      continue;
    }
    const std::string text = shown(key, value);
    if (text.empty()) continue;
    line.legend += ", " + text;
    if (key != "layers") line.csv_name += ", " + text;
  }
  if (!family.empty()) line.legend += ", " + family + " layers";
  if (const auto names = names_.find(row.method); names != names_.end() && !reference) {
    const auto place = std::find(names->second.begin(), names->second.end(), line.legend);
    line.variant = static_cast<int>(place - names->second.begin());
  }
  return line;
}

std::vector<LineName> LineSplit::lines_of(const ResultRow& row) const {
  std::vector<LineName> lines;
  for (const std::string& family : families_of(row)) lines.push_back(name(row, family, false));
  return lines;
}

LineName LineSplit::reference_name(const ResultRow& row) const {
  return name(row, "", true);
}

bool LineSplit::has_depths(const std::string& method) const {
  const auto depths = depths_.find(method);
  return depths != depths_.end() && depths->second.size() > 1;
}

bool LineSplit::lines_differ_in_rank() const {
  return ranks_at_lines() && std::any_of(varying_.begin(), varying_.end(), [](const auto& method) {
           return method.second.contains("rank");
         });
}

}  // namespace rankfold
