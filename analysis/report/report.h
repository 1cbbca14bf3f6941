#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "analysis/figures/spectrum.h"
#include "experiments/runs/run_record.h"

namespace rankfold {

struct ReportRequest {
  RunRecords records;
  std::string title = "";                    ///< "" for one with the name of the results
  std::string date = "";                     ///< "2026-11-30": when the page was made
  std::vector<SingularValue> spectrum = {};  ///< of an update, where the results have them
};

struct ReportPage {
  std::string html;
  std::vector<std::string> figures;                           ///< kinds that are drawn
  std::vector<std::pair<std::string, std::string>> left_out;  ///< kinds and why they are not
};

/// The runs by task, model, method as method_order has them, rank and folder, as the page shows
/// them; those of one table alone stay as they stand there.
RunRecords in_display_order(RunRecords records);

/// One HTML page about all runs, which needs nothing else: figures as SVG (figure_svg.h), scores by
/// method and task, a table of runs that can be sorted and filtered, parameters by method and rank,
/// settings, machines and versions, and what failed. The same records, title and date give the same
/// bytes.
///
/// All that comes from files is shown as text. A Content-Security-Policy allows the page's own
/// style sheet and script by their SHA-256, and nothing else: no other script, no network.
ReportPage make_report(const ReportRequest& request);

/// The style sheet and the script, which the program holds (analysis/report/report_page.css and
/// .js).
std::string_view report_style();
std::string_view report_script();

}  // namespace rankfold
