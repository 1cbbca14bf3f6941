#include "analysis/figure.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "experiments/commands/command.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

int run(const Arguments& arguments, Context& context) {
  FigureRequest request;
  request.kind = arguments.positional(0);
  const std::vector<std::string> kinds = figure_kinds();
  if (std::ranges::find(kinds, request.kind) == kinds.end())
    throw unknown_name("kind of figure", request.kind, kinds);
  request.out = arguments.text("out");
  request.x = arguments.text("x", request.x);
  fs::path input = arguments.text("input");
  std::error_code failure;
  // What a sweep of kind fit or count leaves in its folder.
  const char* table = request.kind == "error" ? "fits.csv" : "counts.csv";
  if (fs::exists(input / table, failure) && !fs::exists(input / "sweep.json", failure))
    input /= table;
  request.rows = read_results(input);
  draw_figure(request);
  const std::string csv = fs::path(request.out).replace_extension(".csv").string();
  if (context.json)
    context.out << nlohmann::ordered_json({{"out", request.out.string()}, {"csv", csv}})
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
  else
    context.out << fmt::format("{}\n{}\n", request.out.string(), csv);
  return 0;
}

}  // namespace

Command figure_command() {
  return {
      "figure",
      "draws a figure from results",
      {{"KIND"}},
      {{"input", "FILE|DIR", "", "a CSV of results, counts or fits, or a folder of runs", true},
       {"out", "FILE", "", "the figure: .pdf, .png or .svg; a .csv of its values beside it", true},
       {"x", "AXIS", "parameters", "parameters (of the adapter) or trainable (with the head)"}},
      "KIND: " + join(figure_kinds(), ", "),
      run,
      {}};
}

}  // namespace rankfold
