#include "analysis/published/published_rows.h"

#include <algorithm>
#include <array>
#include <set>

#include "analysis/published/published.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// A paper, and the table that stands for it where none is named (none: all of them).
struct Paper {
  const char* name;
  const char* paper;
  const char* main_table;
};
constexpr std::array papers = {Paper{"lotr", "LoTR", ""}, Paper{"loretta", "LoRETTA", "1"},
                               Paper{"dora", "DoRA", "commonsense"},
                               Paper{"tenslora_plus", "TensLoRA+", ""}};

const std::vector<PublishedScore>& scores() {
  static const std::vector<PublishedScore> cells = read_published(published_tables());
  return cells;
}

void take_setting(const std::string& setting, ResultRow& row) {
  if (setting.empty()) return;
  for (const std::string& part : split(setting, ' ')) {
    const std::size_t equals = std::min(part.find('='), part.size());
    const std::string key = part.substr(0, equals);
    const std::string value = equals < part.size() ? part.substr(equals + 1) : "";
    if (key == "rank" || key == "r" || key == "tt-rank") {
      row.rank = normal_rank(value).value_or("");
    } else {
      row.settings[key] = value;
    }
  }
}

ResultRow row_of(const PublishedScore& cell) {
  ResultRow row;
  row.task = cell.task;
  row.model = cell.model.substr(cell.model.find('/') + 1);
  row.method = cell.method == "full-fine-tuning" ? "full" : cell.method;
  row.parameters = cell.parameters.value_or(0);
  row.trainable = cell.parameters;
  row.metric = cell.metric;
  row.score = cell.unit == ScoreUnit::percent ? cell.score / 100 : cell.score;
  row.origin = cell.origin;
  take_setting(cell.setting, row);
  return row;
}

std::string listed(const std::set<std::string>& names, const char* separator) {
  return join(std::vector<std::string>(names.begin(), names.end()), separator);
}

}  // namespace

std::vector<std::string> published_names() {
  std::vector<std::string> names;
  for (const Paper& paper : papers) {
    names.emplace_back(paper.name);
    std::set<std::string> tables;
    for (const PublishedScore& cell : scores()) {
      if (cell.paper == paper.paper) tables.insert(cell.table);
    }
    if (*paper.main_table == '\0') continue;
    for (const std::string& table : tables) names.push_back(std::string(paper.name) + ":" + table);
  }
  return names;
}

PublishedRows published_rows(const std::string& name) {
  const std::vector<std::string> known = published_names();
  if (std::ranges::find(known, name) == known.end()) {
    throw unknown_name("published results", name, known);
  }
  const std::string head = name.substr(0, name.find(':'));
  const Paper& paper =
      *std::ranges::find_if(papers, [&](const Paper& one) { return head == one.name; });
  const std::string table = head == name ? paper.main_table : name.substr(head.size() + 1);
  PublishedRows found;
  std::set<std::string> sources, flags;
  for (const PublishedScore& cell : scores()) {
    if (cell.paper != paper.paper || (!table.empty() && cell.table != table)) continue;
    found.rows.push_back(row_of(cell));
    sources.insert(cell.source);
    flags.insert(cell.flags.begin(), cell.flags.end());
  }
  found.sources = listed(sources, "; ");
  if (!flags.empty()) found.sources += " (reservations: " + listed(flags, ", ") + ")";
  if (head == "lotr") {
    found.linear_parameters = true;
    found.figure_tasks = {"cola", "mrpc", "qnli", "rte", "sst2", "wnli"};
  }
  return found;
}

}  // namespace rankfold
