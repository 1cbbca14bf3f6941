#include "analysis/report/report_sections.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <tuple>

#include <fmt/core.h>

#include "analysis/drawings/svg.h"
#include "analysis/figures/figure_lines.h"
#include "analysis/figures/figure_svg.h"
#include "analysis/figures/method_style.h"
#include "analysis/statistics/estimate.h"
#include "analysis/tables/score_groups.h"
#include "analysis/tables/sheet_numbers.h"
#include "core/base/csv.h"
#include "core/base/machine.h"
#include "core/base/text.h"
#include "experiments/runs/score_metric.h"

namespace rankfold {
namespace {

/// A table of texts. Columns whose cells are all empty are left out.
struct Grid {
  struct Column {
    std::string name;
    const char* look = "";          ///< num, long or path
    bool hidden_if_common = false;  ///< where several rows have the same there
  };
  std::vector<Column> columns;
  std::vector<std::vector<std::string>> rows;

  std::string html(const char* caption) const {
    std::vector<std::size_t> shown;
    for (std::size_t i = 0; i < columns.size(); ++i) {
      const auto is_told = [&](const auto& row) { return !row[i].empty(); };
      const auto is_common = [&](const auto& row) { return row[i] == rows[0][i]; };
      const bool hidden =
          columns[i].hidden_if_common && rows.size() > 1 && std::ranges::all_of(rows, is_common);
      if (!hidden && std::ranges::any_of(rows, is_told)) shown.push_back(i);
    }
    const auto look = [&](std::size_t i) {
      const std::string name = columns[i].look;
      return name.empty() ? name : fmt::format(" class=\"{}\"", name);
    };
    std::string text = fmt::format(
        "<div class=\"box\" tabindex=\"0\" role=\"region\" aria-label=\"{}\"><table>\n<thead><tr>",
        caption);
    for (const std::size_t i : shown)
      text += fmt::format("<th scope=\"col\"{}>{}</th>", look(i), escape_xml(columns[i].name));
    text += "</tr></thead>\n<tbody>\n";
    for (const auto& row : rows) {
      text += "<tr>";
      for (const std::size_t i : shown)
        text += fmt::format("<td{}>{}</td>", look(i), escape_xml(row[i]));
      text += "</tr>\n";
    }
    return text + "</tbody></table></div>\n";
  }
};

std::string section(const char* id, const char* title, const std::string& content) {
  return fmt::format("<section aria-labelledby=\"{0}\"><h2 id=\"{0}\">{1}</h2>\n{2}</section>\n",
                     id, title, content);
}

std::string paragraph(const std::string& text) {
  return "<p class=\"soft\">" + escape_xml(text) + "</p>\n";
}

std::string fact(const std::string& name, const std::string& value) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>\n", escape_xml(name), escape_xml(value));
}

std::string runs_text(std::size_t count) {
  return fmt::format("{} run{}", grouped_count(static_cast<std::int64_t>(count)),
                     count == 1 ? "" : "s");
}

/// The scores once more as CSV, in the units of the page.
struct ScoreCsv {
  std::string text;

  void add(const std::vector<std::string>& fields) {
    std::vector<std::string> safe;
    for (const std::string& field : fields) safe.push_back(csv_field(field));
    text += join(safe, ",") + "\n";
  }
  static std::string number(std::optional<double> value, double factor) {
    return value ? fmt::format("{:.10g}", *value * factor) : "";
  }
};

std::string score_text(const Estimate& estimate, const ScoreMetric& metric) {
  std::string text;
  if (estimate.value) text = fixed_text(*estimate.value * metric.factor, 2);
  text += spread_text(estimate, 2, metric.factor).with_sign();
  text += fmt::format("{}({})", text.empty() ? "" : " ", estimate.count + estimate.diverged);
  if (estimate.diverged > 0) text += ", " + diverged_text(estimate.diverged);
  return text;
}

/// The number of runs of each value of a text.
template <class Text>
std::map<std::string, std::size_t> tally(const std::vector<RunRecord>& runs, const Text& text) {
  std::map<std::string, std::size_t> counts;
  for (const RunRecord& run : runs)
    if (const std::string value = text(run); !value.empty()) ++counts[value];
  return counts;
}

std::string names_of(std::map<std::string, std::size_t> counts, bool are_methods = false) {
  std::vector<std::string> names;
  for (const auto& [name, count] : counts) names.push_back(name);
  if (are_methods) std::ranges::sort(names, {}, method_order);
  constexpr std::size_t most = 60;
  const std::size_t more = names.size() > most ? names.size() - most : 0;
  names.resize(names.size() - more);
  return join(names, ", ") + (more > 0 ? fmt::format(" and {} more", more) : "");
}

}  // namespace

std::string summary_section(const RunRecords& records, const std::string& date) {
  const std::vector<RunRecord>& runs = records.runs;
  std::vector<std::string> states;
  auto by_status = tally(runs, [](const RunRecord& run) { return run.status; });
  for (const char* status : {"done", "diverged", "failed", "unfinished", "unreadable"}) {
    if (by_status.contains(status))
      states.push_back(fmt::format(
          "{} {}", grouped_count(static_cast<std::int64_t>(by_status[status])), status));
    by_status.erase(status);
  }
  for (const auto& [status, count] : by_status)
    states.push_back(fmt::format("{} {}", count, status));
  std::string facts =
      records.is_table ? fact("rows", grouped_count(static_cast<std::int64_t>(runs.size())) +
                                          " (a table: it tells no machines, versions or failures)")
                       : fact("runs", runs_text(runs.size()) + ": " + join(states, ", "));
  const auto add = [&](const char* name, std::string ResultRow::*member, bool are_methods) {
    const auto counts = tally(runs, [&](const RunRecord& run) { return run.row.*member; });
    if (!counts.empty()) facts += fact(name, names_of(counts, are_methods));
  };
  add("tasks", &ResultRow::task, false);
  add("models", &ResultRow::model, false);
  add("methods", &ResultRow::method, true);
  facts += fact("made", (date.empty() ? "" : "on " + date + " ") + "by rankfold " + version());
  return "<dl class=\"facts\">\n" + facts + "</dl>\n";
}

std::string score_section(const RunRecords& records) {
  const ScoreGroups groups = group_scores(records.results());
  if (groups.lines.empty()) return "";
  Grid grid;
  grid.columns = {{"model", "", true}, {"method"}, {"rank"}};
  for (const std::string& name : groups.settings) grid.columns.push_back({name});
  for (const auto& [task, metric] : groups.columns)
    grid.columns.push_back(
        {task.empty() ? label_of_metric(metric).first : task + ": " + label_of_metric(metric).first,
         "num"});
  ScoreCsv sheet;
  std::vector<std::string> heads = {"model", "method", "rank"};
  heads.insert(heads.end(), groups.settings.begin(), groups.settings.end());
  for (const char* name : {"task", "metric", "mean", "low", "high", "runs", "diverged"})
    heads.emplace_back(name);
  sheet.add(heads);
  for (const ScoreGroups::Line& line : groups.lines) {
    std::vector<std::string> told = {line.model, line.method, line.rank};
    told.insert(told.end(), line.settings.begin(), line.settings.end());
    std::vector<std::string> row = told;
    for (const ScoreGroups::Column& column : groups.columns) {
      const auto found = line.scores.find(column);
      if (found == line.scores.end()) {
        row.emplace_back();
        continue;
      }
      const Estimate& estimate = found->second;
      const ScoreMetric metric = score_metric(column.metric);
      row.push_back(score_text(estimate, metric));
      const auto bound = [&](double Bounds::*end) {
        return estimate.interval ? std::optional((*estimate.interval).*end) : std::nullopt;
      };
      std::vector<std::string> fields = told;
      for (const std::string& field :
           {column.task, metric.label, ScoreCsv::number(estimate.value, metric.factor),
            ScoreCsv::number(bound(&Bounds::low), metric.factor),
            ScoreCsv::number(bound(&Bounds::high), metric.factor), std::to_string(estimate.count),
            std::to_string(estimate.diverged)})
        fields.push_back(field);
      sheet.add(fields);
    }
    grid.rows.push_back(std::move(row));
  }
  return section("scores", "Scores",
                 paragraph("Mean \u00b1 half of Student's 95% interval over seeds; in brackets the "
                           "number of runs. One run alone has no interval. Runs that diverged "
                           "are in no mean.") +
                     grid.html("Scores") + "<script type=\"application/json\" class=\"values\">" +
                     script_string(sheet.text) + "</script>\n");
}

std::string parameter_section(const RunRecords& records) {
  using Key = std::tuple<std::string, std::pair<int, std::string>, std::pair<double, std::string>,
                         std::string, std::string, std::int64_t, std::int64_t, std::int64_t>;
  std::map<Key, std::size_t> counts;
  std::set<std::string> layers, targets;
  for (const RunRecord& run : records.runs) {
    if (!run.is_result()) continue;
    const auto target = run.settings.find("targets");
    const std::string text = target == run.settings.end() ? "" : target->second;
    ++counts[{run.row.model, method_order(run.row.method), rank_order(run.row.rank), run.row.layers,
              text, run.row.parameters, run.row.trainable.value_or(-1), run.total.value_or(-1)}];
  }
  if (counts.empty()) return "";
  Grid grid{{{"model", "", true},
             {"method"},
             {"rank"},
             {"layers", "", true},
             {"targets", "", true},
             {"adapter", "num"},
             {"trainable", "num"},
             {"model with it", "num"},
             {"trainable, %", "num"},
             {"runs", "num"}},
            {}};
  for (const auto& [key, runs] : counts) {
    const auto& [model, method, rank, of_layers, of_targets, adapter, trainable, total] = key;
    const auto known = [](std::int64_t count) {
      return count < 0 ? std::string() : grouped_count(count);
    };
    const bool has_share = trainable >= 0 && total > 0;
    grid.rows.push_back({model, method.second, rank.second, of_layers, of_targets, known(adapter),
                         known(trainable), known(total),
                         has_share ? fmt::format("{:.3g}", 100.0 * static_cast<double>(trainable) /
                                                               static_cast<double>(total))
                                   : "",
                         grouped_count(static_cast<std::int64_t>(runs))});
  }
  return section("parameters", "Parameters",
                 paragraph("Numbers that are trained: of the adapter, and with the head.") +
                     grid.html("Parameters"));
}

std::string setting_section(const SortedSettings& use) {
  if (use.common.empty() && use.varying.empty()) return "";
  std::string facts;
  for (const CommonSetting& setting : use.common) {
    std::string value = setting.value.empty() ? "(empty)" : setting.value;
    const bool names_method =
        setting.methods.size() == 1 && setting.name.starts_with(setting.methods[0] + ".");
    if (!setting.methods.empty() && !names_method)
      value += " (" + join(setting.methods, ", ") + ")";
    facts += "<div>" + fact(setting.name, value) + "</div>";
  }
  std::string content;
  if (!facts.empty())
    content = paragraph("The same in all runs, or in all runs of the methods in brackets.") +
              "<dl class=\"facts many\">\n" + facts + "</dl>\n";
  if (!use.varying.empty())
    content += "<p>Different between runs, and columns of their table: " +
               escape_xml(join(use.varying, ", ")) + ".</p>\n";
  return section("settings", "Settings", content);
}

std::string machine_section(const RunRecords& records) {
  const auto machines = tally(records.runs, [](const RunRecord& run) { return run.machine; });
  std::map<std::string, std::map<std::string, std::size_t>> versions;
  for (const RunRecord& run : records.runs)
    for (const auto& [name, version] : run.versions) ++versions[name][version];
  if (machines.empty() && versions.empty()) return "";
  Grid grid{{{"what"}, {"found", "long"}, {"runs", "num"}}, {}};
  for (const auto& [machine, runs] : machines)
    grid.rows.push_back({"machine", machine, std::to_string(runs)});
  for (const auto& [name, found] : versions)
    for (const auto& [version, runs] : found)
      grid.rows.push_back({name, version, std::to_string(runs)});
  return section("machines", "Machines and versions", grid.html("Machines and versions"));
}

std::string failure_section(const RunRecords& records) {
  if (records.is_table) return "";
  constexpr std::size_t most = 200;
  Grid grid{{{"status"},
             {"task"},
             {"model"},
             {"method"},
             {"rank"},
             {"seed"},
             {"reason", "long"},
             {"folder", "path"}},
            {}};
  std::size_t count = 0;
  for (const RunRecord& run : records.runs) {
    if (run.status == "done" || ++count > most) continue;
    grid.rows.push_back({run.status, run.row.task, run.row.model, run.row.method, run.row.rank,
                         run.row.seed, run.reason, run.folder});
  }
  if (count == 0)
    return section("failures", "Failures and unfinished runs", "<p>None: every run is done.</p>\n");
  std::string more;
  if (count > most)
    more = paragraph(
        fmt::format("The first {} of {}; the table of runs has them all.", most, runs_text(count)));
  return section("failures", "Failures and unfinished runs", more + grid.html("Failures"));
}

}  // namespace rankfold
