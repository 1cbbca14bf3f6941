#include <algorithm>

#include <nlohmann/json.hpp>

#include "analysis/tables/peft_result.h"
#include "analysis/tables/score_sheets.h"
#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_text.h"
#include "core/base/text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/result_input.h"

namespace rankfold {
namespace {

using json = nlohmann::ordered_json;

void expect_choice(const std::string& option, const std::string& given,
                   const std::vector<std::string>& choices) {
  if (std::ranges::find(choices, given) == choices.end())
    throw UsageError("--{} is '{}', expected one of {}", option, printable(given, 80),
                     join(choices, ", "));
}

const std::vector<std::string> shows = {"scores", "methods", "tests"};
const std::vector<std::string> formats = {"text", "markdown", "csv", "latex", "peft"};

ScoreSheet make_method_sheet(const Arguments& arguments, const ScoreTable& table, int decimals) {
  std::optional<double> budget;
  if (arguments.has("budget")) budget = static_cast<double>(arguments.count("budget", 1));
  const double share = arguments.number("share", 0.99);
  if (!(share > 0 && share <= 1))
    throw UsageError("--share is {}; expected more than 0, at most 1", arguments.text("share"));
  ScoreSheet sheet = method_sheet(measure_curves(table, budget, share), decimals);
  sheet.sheet.notes = {
      "on front: sizes that no other method's, nor the untouched model (none), reaches with fewer "
      "parameters and as good a score",
      "area: under the score against log10 of the parameters, over the sizes measured: a mean "
      "score",
      fmt::format("reaches full: the parameters (and rank) at which the mean score reaches {:g} % "
                  "of full fine-tuning's, between measured sizes on the log axis",
                  100 * share)};
  if (budget)
    sheet.sheet.notes.push_back(fmt::format(
        "at budget: the score at {} parameters, between measured sizes on the log axis \u00b1 its "
        "standard error",
        arguments.text("budget")));
  return sheet;
}

std::string written(const ScoreSheet& sheet, const std::string& format) {
  if (format == "markdown") return sheet_markdown(sheet.sheet);
  if (format == "latex") return sheet_latex(sheet.sheet);
  if (format == "csv") return records_as_csv(sheet);
  return sheet_text(sheet.sheet);
}

int write_peft(const Arguments& arguments, Context& context) {
  if (!arguments.has("out"))
    throw UsageError("--format peft writes a file for every run; --out DIR is missing");
  const ResultInput input = result_input(arguments, 0);
  const bool selects = !input.selection.where.empty() || !input.selection.ignored.empty();
  if (input.places.size() != 1 || selects)
    throw UsageError("--format peft takes one folder of runs, whole: without --where and --ignore");
  const auto documents = peft_results(input.places.front());
  AtomicFolder folder(arguments.text("out"));
  for (const auto& [name, text] : documents) write_atomically(folder.path() / name, text);
  folder.commit();
  if (context.json)
    context.out << json_text({{"out", arguments.text("out")}, {"runs", documents.size()}});
  else
    context.out << fmt::format("{}: {} run{}\n", arguments.text("out"), documents.size(),
                               documents.size() == 1 ? "" : "s");
  return 0;
}

int run_table(const Arguments& arguments, Context& context) {
  const std::string show = arguments.text("show", "scores"),
                    format = arguments.text("format", "text");
  expect_choice("show", show, shows);
  expect_choice("format", format, formats);
  for (const auto& [option, wanted] :
       {std::pair("against", "tests"), std::pair("budget", "methods"),
        std::pair("share", "methods")})
    if (arguments.has(option) && show != wanted)
      throw UsageError("--{} goes with --show {}", option, wanted);
  const ResultInput input = result_input(arguments, 0);
  if (input.empty())
    throw UsageError("table: INPUT is missing; expected a table of results or a folder of runs");
  if (format == "peft") return write_peft(arguments, context);
  const auto decimals = static_cast<int>(std::min<std::size_t>(arguments.count("decimals", 2), 10));
  if (arguments.has("out")) expect_not_an_input(arguments.text("out"), input.places);
  const ScoreTable table =
      make_score_table(read_all_results(input, {"fits.csv", "counts.csv"}, context.err));
  std::vector<LineComparison> comparisons;
  if (show == "tests") comparisons = compare_lines(table, arguments.text("against"));
  const ScoreSheet sheet = show == "tests"    ? comparison_sheet(comparisons, table, decimals)
                           : show == "scores" ? score_sheet(table, decimals)
                                              : make_method_sheet(arguments, table, decimals);
  const std::string text = context.json
                               ? json_text({{"show", show}, {"rows", records_as_json(sheet)}})
                               : written(sheet, format);
  if (arguments.has("out"))
    write_atomically(arguments.text("out"), text);
  else
    context.out << text;
  return 0;
}

}  // namespace

Command table_command() {
  std::vector<Option> options =
      result_options("a folder of runs, a CSV of results, or a Parquet file of collect");
  const std::vector<Option> own = {
      {"show", "WHAT", "scores",
       "scores: a line for each method, rank and setting, a column for each task; methods: how "
       "each method's score grows with its parameters; tests: every two lines compared"},
      {"format", "NAME", "text",
       "text, markdown, csv (unrounded), latex (booktabs) or peft (the JSON files of PEFT's "
       "method comparison, one for every run)"},
      {"out", "FILE|DIR", "", "writes there instead of standard output; with peft a new folder"},
      {"decimals", "N", "2", "of scores"},
      {"against", "METHOD", "", "tests: only comparisons with this method's lines"},
      {"budget", "N", "", "methods: also the score at so many parameters"},
      {"share", "X", "0.99", "methods: of full fine-tuning's score, to be reached"}};
  options.insert(options.end(), own.begin(), own.end());
  return {
      "table",
      "prints scores by method and task, with intervals and tests",
      {result_positional()},
      std::move(options),
      "An interval needs two runs that differ in the seed alone. Runs that diverged are counted "
      "and "
      "take no\npart in means.",
      run_table,
      {}};
}

}  // namespace rankfold
