#include "analysis/report/report.h"

#include <cstdlib>
#include <ctime>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/result_input.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view page_beginnings[] = {"<!DOCTYPE html", "<!doctype html", "<html"};

/// Not over what it is made from; a device or pipe may have any name.
void check_out(const fs::path& out) {
  std::error_code failure;
  const fs::file_status status = fs::status(out, failure);
  if (fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status)) return;
  const std::string ending = out.extension().string();
  if (ending == ".html" || ending == ".htm") return;
  throw UsageError("report: --out {}: unknown file ending '{}' of a page (known: .html, .htm)",
                   printable(out.string(), 300), printable(ending, 40));
}

/// In UTC; the day of SOURCE_DATE_EPOCH where that is set, so that a page can be made again.
std::string today() {
  std::time_t now = std::time(nullptr);
  if (const char* given = std::getenv("SOURCE_DATE_EPOCH"))
    if (const auto seconds = parse_number<long long>(given)) now = *seconds;
  std::tm day{};
  if (::gmtime_r(&now, &day) == nullptr) return "";
  return fmt::format("{:04}-{:02}-{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday);
}

/// Those of status unreadable, by name.
std::size_t tell_unreadable(const RunRecords& records, std::ostream& err) {
  constexpr std::size_t most = 10;
  std::size_t count = 0;
  for (const RunRecord& run : records.runs) {
    if (run.status == "unreadable" && ++count <= most)
      err << printable(fs::path(run.row.origin).parent_path().string(), 400) << '/' << run.reason
          << "; left out of figures and scores\n";
  }
  if (count > most) err << fmt::format("and {} more unreadable runs\n", count - most);
  return count;
}

int run_report(const Arguments& arguments, Context& context) {
  if (!arguments.has("out")) throw UsageError("report: option --out is missing");
  const fs::path out = arguments.text("out");
  const ResultInput input = result_input(arguments, 0);
  if (input.empty())
    throw UsageError("report: INPUT is missing; expected a folder of runs or a table of results");
  check_out(out);
  expect_not_an_input(out, input.places);
  expect_replaceable(out, "page in HTML", page_beginnings);
  ReportRequest request;
  request.title = arguments.text("title");
  request.date = today();
  request.records = in_display_order(read_run_records(input.places, input.selection));
  tell_notes(request.records.notes, context.err);
  std::error_code failure;
  for (const fs::path& place : input.places)
    if (request.spectrum.empty() && fs::exists(place / "spectrum.csv", failure))
      request.spectrum = read_spectrum(place / "spectrum.csv");
  const std::size_t unreadable = tell_unreadable(request.records, context.err);
  const ReportPage page = make_report(request);
  write_atomically(out, page.html);
  if (!context.json) {
    context.out << out.string() << '\n';
    return 0;
  }
  JsonValue left_out = JsonValue::array();
  for (const auto& [kind, reason] : page.left_out)
    left_out.push_back({{"kind", kind}, {"reason", reason}});
  const JsonValue document = {{"out", out.string()},
                              {"bytes", page.html.size()},
                              {"runs", request.records.runs.size()},
                              {"unreadable", unreadable},
                              {"figures", page.figures},
                              {"left_out", left_out}};
  context.out << document.text();
  return 0;
}

}  // namespace

Command report_command() {
  std::vector<Option> options = result_options("see below");
  options.push_back({"out", "FILE", "", "the page: .html; it needs no other file and no network"});
  options.push_back(
      {"title", "TEXT", "", "its heading; default: Report of the first INPUT's name"});
  return {"report",
          "makes one HTML page of all runs: figures, scores, a table of runs, failures",
          {result_positional()},
          std::move(options),
          "INPUT: a folder of runs (every run.json below it), a table of results, counts or fits "
          "(CSV, or Parquet\nof collect), or the folder of a sweep of counts or fits",
          run_report,
          {}};
}

}  // namespace rankfold
