#include "analysis/report/report.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include <fmt/core.h>

#include "analysis/drawings/svg.h"
#include "analysis/figures/figure.h"
#include "analysis/figures/figure_svg.h"
#include "analysis/figures/method_style.h"
#include "analysis/report/report_runs.h"
#include "analysis/report/report_sections.h"
#include "core/base/sha256.h"

namespace rankfold {
namespace {

std::string policy_hash(std::string_view content) {
  const auto digest = sha256(content);
  return "'sha256-" +
         base64(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size())) +
         "'";
}

std::string default_title(const std::filesystem::path& source) {
  const std::filesystem::path name = std::filesystem::absolute(source).lexically_normal();
  return "Report of " + (name.has_filename() ? name : name.parent_path()).filename().string();
}

/// A page tells places inside the results, wherever these lie.
std::string without_folder(const std::string& reason, const RunRecords& records) {
  const std::string folder = records.source.parent_path() / "";
  const std::string prefix = records.is_table ? folder : (records.source / "").string();
  return !prefix.empty() && reason.starts_with(prefix) ? reason.substr(prefix.size()) : reason;
}

/// Settings that have one value tell no lines apart: without them there is less to compare. The
/// learning rate is an axis.
void drop_common_settings(std::vector<ResultRow>& rows) {
  std::map<std::string, std::set<std::string>> values;
  for (const ResultRow& row : rows)
    for (const auto& [name, value] : row.settings) values[name].insert(value);
  for (ResultRow& row : rows)
    std::erase_if(row.settings, [&](const auto& setting) {
      return setting.first != "lr" && values[setting.first].size() == 1;
    });
}

std::string figure_section(const ReportRequest& request, SvgFigures& drawer, ReportPage& page) {
  FigureRequest figures;
  figures.rows = request.records.results();
  drop_common_settings(figures.rows);
  figures.spectrum = request.spectrum;
  std::string drawn, left_out;
  for (const PlannedFigure& planned : plan_figures(figures)) {
    if (planned.reason.empty()) {
      page.figures.push_back(planned.kind);
      drawn += drawer.draw(planned.plan, planned.title, "figure-" + planned.kind);
      continue;
    }
    page.left_out.emplace_back(planned.kind, planned.reason);
    left_out += fmt::format("<li>{}: {}</li>\n", escape_xml(planned.kind),
                            escape_xml(without_folder(planned.reason, request.records)));
  }
  if (!left_out.empty())
    left_out =
        "<details><summary>Figures that these results do not give</summary>\n<ul "
        "class=\"plain\">\n" +
        left_out + "</ul></details>\n";
  return "<section aria-labelledby=\"figures\"><h2 id=\"figures\">Figures</h2>\n"
         "<p class=\"soft\">Point at a marker, tap it, or go to a picture with Tab and through its "
         "points with the arrow keys to read its values. A name in the legend hides and shows its "
         "line.</p>\n" +
         drawn + left_out + "</section>\n";
}

std::string run_section(const RunRecords& records, const SortedSettings& use) {
  return "<section aria-labelledby=\"all-runs\"><h2 id=\"all-runs\">Runs</h2>\n"
         "<noscript><p>This table needs JavaScript.</p></noscript>\n"
         "<div class=\"controls\" id=\"run-controls\"></div>\n"
         "<div class=\"box\" tabindex=\"0\" role=\"region\" aria-label=\"Runs\">"
         "<table id=\"runs\"><thead></thead><tbody></tbody></table></div>\n"
         "<div class=\"controls pages\"><button type=\"button\" id=\"run-previous\">Previous"
         "</button><button type=\"button\" id=\"run-next\">Next</button>"
         "<span id=\"run-count\" role=\"status\"></span></div>\n"
         "<script type=\"application/json\" id=\"run-data\">" +
         runs_document(records.runs, use.varying) + "</script>\n</section>\n";
}

struct Part {
  const char *id, *name;
  std::string html;
};

std::string navigation(const std::vector<Part>& parts) {
  std::string links;
  for (const Part& part : parts)
    if (!part.html.empty())
      links += fmt::format("<li><a href=\"#{}\">{}</a></li>", part.id, part.name);
  return "<nav aria-label=\"Parts of this page\"><ul>" + links + "</ul></nav>\n";
}

}  // namespace

RunRecords in_display_order(RunRecords records) {
  if (records.is_table && records.inputs == 1) return records;
  std::ranges::stable_sort(records.runs, {}, [](const RunRecord& run) {
    return std::tuple(run.row.task, run.row.model, method_order(run.row.method),
                      rank_position(run.row.rank).value_or(0), run.folder);
  });
  return records;
}

ReportPage make_report(const ReportRequest& request) {
  ReportPage page;
  const RunRecords& records = request.records;
  const SortedSettings use = sort_settings(records.runs);
  SvgFigures drawer;
  const std::vector<Part> parts = {{"figures", "Figures", figure_section(request, drawer, page)},
                                   {"scores", "Scores", score_section(records)},
                                   {"all-runs", "Runs", run_section(records, use)},
                                   {"parameters", "Parameters", parameter_section(records)},
                                   {"settings", "Settings", setting_section(use)},
                                   {"machines", "Machines", machine_section(records)},
                                   {"failures", "Failures", failure_section(records)}};
  const std::string style = std::string(report_style()) + drawer.colour_rules();
  const std::string title =
      escape_xml(request.title.empty() ? default_title(records.source) : request.title);
  page.html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src {}; "
      "script-src {}; img-src data:; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<header><h1>{}</h1>\n",
      policy_hash(style), policy_hash(report_script()), title, style, title);
  page.html +=
      summary_section(records, request.date) + "</header>\n" + navigation(parts) + "<main>\n";
  for (const Part& part : parts) page.html += part.html;
  page.html += "</main>\n<script>";
  page.html += report_script();
  page.html += "</script>\n</body>\n</html>\n";
  return page;
}

}  // namespace rankfold
