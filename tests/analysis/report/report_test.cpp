#include "analysis/report/report.h"
#include "analysis/figures/figure.h"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/drawings/svg.h"
#include "analysis/figures/figure.h"
#include "analysis/report/report_runs.h"
#include "analysis/report/report_settings.h"
#include "analysis/run_files.h"
#include "core/base/sha256.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// The parts that the page lacks: a failing test shall not print the page.
std::vector<std::string> missing(const std::string& html, const std::vector<std::string>& parts) {
  std::vector<std::string> lacking;
  for (const std::string& part : parts)
    if (html.find(part) == html.npos) lacking.push_back(part);
  return lacking;
}
std::vector<std::string> present(const std::string& html, const std::vector<std::string>& parts) {
  std::vector<std::string> there;
  for (const std::string& part : parts)
    if (html.find(part) != html.npos) there.push_back(part);
  return there;
}

class Report : public testing::Test {
 protected:
  Report() { write_runs(folder_.path / "results"); }
  ReportPage make() const {
    return make_report({in_display_order(read_run_records(folder_.path / "results"))});
  }
  /// The document behind the table of runs.
  static json runs_of(const std::string& html) {
    const std::string begin = "id=\"run-data\">";
    const std::size_t at = html.find(begin) + begin.size();
    return json::parse(html.substr(at, html.find("</script>", at) - at));
  }
  static json column(const json& runs, const std::string& name) {
    for (const json& one : runs["columns"])
      if (one["name"] == name) return one;
    return nullptr;
  }
  const TemporaryFolder folder_;
};

TEST_F(Report, HoldsFiguresScoresRunsParametersSettingsAndMachines) {
  const ReportPage page = make();
  EXPECT_THAT(page.figures, ElementsAre("parameter-efficiency", "rank", "cost"));
  EXPECT_EQ(page.figures.size() + page.left_out.size(), figure_kinds().size());
  // The mean of 52.1, 52.2 and 52.3 +- 4.3027 * 0.1 / sqrt(3).
  EXPECT_THAT(missing(page.html, {"<h1>Report of results</h1>", "12 runs: 12 done",
                                  "id=\"figure-rank\"", "a machine", "None: every run is done",
                                  "<td class=\"num\">52.20 ± 0.25 (3)</td>",
                                  "<dt>lora.init</dt><dd>published</dd>"}),
              ElementsAre());
}

TEST_F(Report, EndsIntervalsWithTheMetricsRange) {
  for (const auto& [seed, score] : {std::pair(1, 0.90), std::pair(2, 0.98)})
    write_run(folder_.path / fmt::format("results/high-{}", seed),
              run_document("sst2", "lotr", 64, seed, score));
  EXPECT_THAT(missing(make().html, {"<td class=\"num\">94.00 -50.82/+6.00 (2)</td>"}),
              ElementsAre());
}

TEST_F(Report, IsTheSameForTheSameRuns) {
  const std::string first = make().html;
  EXPECT_EQ(make().html, first);
  std::filesystem::rename(folder_.path / "results", folder_.path / "moved");
  std::filesystem::create_directories(folder_.path / "elsewhere");
  std::filesystem::rename(folder_.path / "moved", folder_.path / "elsewhere/results");
  EXPECT_EQ(
      make_report({in_display_order(read_run_records(folder_.path / "elsewhere/results/"))}).html,
      first);
}

TEST_F(Report, TellsTheDayItWasMade) {
  const std::string html =
      make_report({.records = in_display_order(read_run_records(folder_.path / "results")),
                   .date = "2026-11-30"})
          .html;
  EXPECT_THAT(missing(html, {"<dt>made</dt><dd>on 2026-11-30 by rankfold "}), ElementsAre());
}

TEST_F(Report, ShowsScoresInOneUnitEverywhere) {
  const std::string html = make().html;
  const json runs = runs_of(html);
  EXPECT_EQ(column(runs, "score")["cells"][0], 52.1);
  EXPECT_EQ(column(runs, "metric")["words"], json({"accuracy, %"}));
  // The sheet that the page saves: mean, low and high.
  EXPECT_THAT(missing(html, {"tiny,lora,2,sst2,\\\"accuracy, %\\\",52.2,51.95"}), ElementsAre());
}

TEST_F(Report, KeepsThePanelsOfATaskTogether) {
  json run = run_document("rte", "lora", 2, 4, 0.5);
  write_run(folder_.path / "results/other", run);
  const std::string html = make().html;
  const std::size_t figure = html.find("id=\"figure-cost\"");
  const std::size_t first = html.find("<div class=\"together\">", figure);
  const std::size_t second = html.find("<div class=\"together\">", first + 1);
  ASSERT_NE(second, std::string::npos);
  const std::string of_first = html.substr(first, second - first);
  EXPECT_THAT(missing(of_first, {"rte: speed", "rte: memory"}), ElementsAre());
  EXPECT_THAT(present(of_first, {"sst2: speed"}), ElementsAre());
}

TEST_F(Report, TellsWhatVariesForEachRunAndWhatIsCommonOnce) {
  json run = run_document("sst2", "lora", 2, 4, 0.5);
  run["settings"]["lr"] = 0.5;
  write_run(folder_.path / "results/other", run);
  const json runs = runs_of(make().html);
  EXPECT_EQ(runs["runs"], 13);
  EXPECT_EQ(column(runs, "batch"), nullptr);
  EXPECT_EQ(column(runs, "lr")["words"], json({"1e-3", "0.5"}));
  EXPECT_EQ(column(runs, "parameters")["cells"][0], 2000);
  EXPECT_EQ(column(runs, "score")["cells"].size(), 13u);
}

TEST_F(Report, NamesTheRunsThatFailed) {
  json run = run_document("sst2", "lora", 2, 4, 0.5);
  run["status"] = "failed";
  run["error"] = "no memory";
  write_run(folder_.path / "results/bad", run);
  write_atomically(folder_.path / "results/worse/run.json", "{");
  const std::string html = make().html;
  EXPECT_THAT(missing(html, {"14 runs: 12 done, 1 failed, 1 unreadable",
                             "<td class=\"long\">no memory</td>",
                             "<td class=\"long\">run.json: is not valid JSON"}),
              ElementsAre());
}

TEST_F(Report, ShowsMarkupAsTextWhereverItStands) {
  const std::string markup = "</script><!--<b id=\"x\">\u2028&amp;";
  json run = run_document(markup, markup, 2, 4, 0.5);
  run["machine"] = run["versions"]["rankfold"] = run["settings"]["batch"] = markup;
  write_run(folder_.path / "results/<b id=y>", run);
  run["status"] = run["error"] = markup;
  write_run(folder_.path / "results/\xff", run);
  const std::string html =
      make_report({in_display_order(read_run_records(folder_.path / "results")), "<b id=z>\xff"})
          .html;
  EXPECT_THAT(missing(html, {"<h1>&lt;b id=z&gt;\uFFFD</h1>"}), ElementsAre());
  EXPECT_THAT(present(html, {"<b id=", "<!--", "\xff"}), ElementsAre());
  const std::size_t at = html.find("id=\"run-data\">");
  EXPECT_EQ(html.substr(at, html.find("</script>", at) - at).find("\u2028"), std::string::npos);
  const json runs = runs_of(html);
  EXPECT_THAT(column(runs, "method")["words"], testing::Contains(markup));
  EXPECT_THAT(column(runs, "folder")["words"], testing::Contains("<b id=y>"));
}

TEST_F(Report, AllowsItsOwnStyleAndScriptAlone) {
  const std::string html = make().html;
  const auto between = [&](const std::string& begin, const std::string& end) {
    const std::size_t at = html.find(begin) + begin.size();
    return html.substr(at, html.find(end, at) - at);
  };
  const std::string policy = between("Content-Security-Policy\" content=\"", "\"");
  for (const std::string& own :
       {between("<style>", "</style>"), between("\n<script>", "</script>")}) {
    ASSERT_GT(own.size(), 1000u);
    const auto digest = sha256(own);
    const std::string bytes(digest.begin(), digest.end());
    EXPECT_THAT(policy, HasSubstr("'sha256-" + base64(bytes) + "'"));
  }
  EXPECT_THAT(policy, AllOf(testing::StartsWith("default-src 'none'; "), Not(HasSubstr("unsafe"))));
  EXPECT_THAT(present(html, {"http:", "https:", " style=", "onclick"}), ElementsAre());
}

TEST_F(Report, OfATableLeavesOutWhatATableDoesNotTell) {
  write_atomically(folder_.path / "results.csv",
                   "task,model,method,rank,seed,parameters,metric,score\n"
                   "\"a, \"\"b\"\"\",m,lora,8,1,8000,accuracy,0.75\n");
  const std::string html =
      make_report({in_display_order(read_run_records(folder_.path / "results.csv"))}).html;
  EXPECT_THAT(missing(html, {"a table: it tells no machines", "a, &quot;b&quot;", "75.00 (1)"}),
              ElementsAre());
  EXPECT_THAT(present(html, {"id=\"machines\"", "id=\"failures\""}), ElementsAre());
}

TEST_F(Report, OfFitsDrawsTheirErrorsAndCallsThemNoScores) {
  std::string csv = "task,model,method,rank,seed,parameters,metric,score\n";
  for (const char* rank : {"2", "4"})
    csv += std::string("fit,u,lora,") + rank + ",0," + rank + "000,relative_error,0." + rank + "\n";
  write_atomically(folder_.path / "fits/fits.csv", csv);
  EXPECT_THAT(make_report({in_display_order(read_run_records(folder_.path / "fits"))}).figures,
              ElementsAre("rank", "error"));
}

TEST(SortSettings, FindsWhatIsCommonToAllRunsOrToThoseOfAMethod) {
  const auto run = [](const std::string& method, std::map<std::string, std::string> settings) {
    RunRecord record;
    record.row.method = method;
    record.settings = std::move(settings);
    return record;
  };
  const SortedSettings use =
      sort_settings({run("lora", {{"all", "1"}, {"alpha", "8"}, {"lr", "1"}}),
                     run("lora", {{"all", "1"}, {"alpha", "8"}, {"some", "1"}}),
                     run("none", {{"all", "1"}, {"lr", "1"}, {"seed", "3"}})});
  ASSERT_EQ(use.common.size(), 2u);
  EXPECT_EQ(use.common[0].name, "all");
  EXPECT_THAT(use.common[0].methods, ElementsAre());
  EXPECT_EQ(use.common[1].name, "alpha");
  EXPECT_THAT(use.common[1].methods, ElementsAre("lora"));
  EXPECT_THAT(use.varying, ElementsAre("lr", "some"));
}

TEST(ScriptString, CannotEndItsScript) {
  EXPECT_EQ(script_string("a\"b"), R"("a\"b")");
  EXPECT_EQ(script_string("</script><!--"), R"("\u003c/script>\u003c!--")");
  EXPECT_EQ(script_string("\u2028\u2029\u2027é"), "\"\\u2028\\u2029\u2027é\"");
  EXPECT_EQ(script_string("\xff\n"), "\"\uFFFD\\n\"");
}

}  // namespace
}  // namespace rankfold
