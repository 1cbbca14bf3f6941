#include "analysis/figure.h"

#include <algorithm>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "analysis/published_rows.h"
#include "analysis/run_file.h"
#include "core/error.h"
#include "core/json_text.h"
#include "core/text.h"
#include "experiments/commands/command.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

int draw_one(const Arguments& arguments, FigureRequest& request, Context& context) {
  if (arguments.positionals().empty())
    throw UsageError("figure: KIND is missing (known: {})", join(figure_kinds(), ", "));
  request.kind = arguments.positional(0);
  const std::vector<std::string> kinds = figure_kinds();
  if (std::ranges::find(kinds, request.kind) == kinds.end())
    throw unknown_name("kind of figure", request.kind, kinds);
  if (!arguments.has("out")) throw UsageError("figure: option --out is missing");
  if (arguments.has("input") == arguments.has("published"))
    throw UsageError("figure: expected one of --input and --published");
  request.out = arguments.text("out");
  const fs::path input = arguments.text("input");
  std::error_code failure;
  if (request.kind == "spectrum" && arguments.has("input")) {
    request.inputs = {fs::is_directory(input, failure) ? input / "spectrum.csv" : input};
    request.spectrum = read_spectrum(request.inputs[0]);
  } else if (arguments.has("input")) {
    request.rows =
        read_results(table_of(input, {request.kind == "error" ? "fits.csv" : "counts.csv"}));
  }
  const std::string csv = draw_figure(request).string();
  if (context.json)
    context.out << json_text({{"out", request.out.string()}, {"csv", csv}});
  else
    context.out << fmt::format("{}\n{}\n", request.out.string(), csv);
  return 0;
}

int draw_all(const Arguments& arguments, FigureRequest& request, Context& context) {
  if (!arguments.positionals().empty() && arguments.positional(0) != "all")
    throw UsageError("figure: --paper draws every kind: '{}' cannot be chosen",
                     printable(arguments.positional(0), 80));
  for (const char* option : {"out", "published"}) {
    if (arguments.has(option)) throw UsageError("figure: --{} does not go with --paper", option);
  }
  if (!arguments.has("input")) throw UsageError("figure: --paper needs --input");
  const fs::path input = arguments.text("input"), folder = arguments.text("paper");
  std::error_code failure;
  request.rows = read_results(table_of(input, {"fits.csv", "counts.csv"}));
  if (fs::exists(input / "spectrum.csv", failure)) {
    request.inputs = {input / "spectrum.csv"};
    request.spectrum = read_spectrum(request.inputs[0]);
  }
  const std::vector<PaperFigure> figures = draw_paper(request, folder);
  json drawn = json::array(), left_out = json::array();
  for (const PaperFigure& figure : figures) {
    if (figure.reason.empty())
      drawn.push_back(figure.kind);
    else
      left_out.push_back({{"kind", figure.kind}, {"reason", figure.reason}});
  }
  const std::string document = (folder / "figures.tex").string();
  if (context.json) {
    context.out << json_text({{"out", document}, {"drawn", drawn}, {"left_out", left_out}});
    return 0;
  }
  for (const PaperFigure& figure : figures) {
    context.out << (figure.reason.empty()
                        ? fmt::format("{}\n", (folder / (figure.kind + ".pdf")).string())
                        : fmt::format("{} left out: {}\n", figure.kind, figure.reason));
  }
  context.out << document << '\n';
  return 0;
}

int run(const Arguments& arguments, Context& context) {
  FigureRequest request;
  request.x = arguments.text("x", request.x);
  request.size = arguments.text("size");
  request.width = arguments.text("width");
  request.x_range = arguments.text("x-range");
  request.y_range = arguments.text("y-range");
  request.labels = arguments.text("labels");
  request.spread = arguments.text("spread");
  request.panels = arguments.text("panels");
  request.published = arguments.text("published");
  request.overlay = arguments.text("overlay");
  if (!request.published.empty() && !request.overlay.empty())
    throw UsageError(
        "figure: --overlay lays published scores over one's own: give it with --input");
  return arguments.has("paper") ? draw_all(arguments, request, context)
                                : draw_one(arguments, request, context);
}

}  // namespace

Command figure_command() {
  return {
      "figure",
      "draws a figure from results",
      {{"KIND", false}},
      {{"input", "FILE|DIR", "",
        "a CSV of results, counts or fits, or a folder of runs; kind spectrum: the CSV of "
        "`rankfold diagnose --spectrum`"},
       {"out", "FILE", "",
        "the figure: .pdf, .png, .svg or .tex (for \\input); a .csv of its values beside it"},
       {"x", "AXIS", "parameters", "parameters (of the adapter) or trainable (with the head)"},
       {"size", "SIZE", "",
        "single (3.25 in wide) or double (6.75 in): columns of a paper; default: double for "
        "several panels"},
       {"width", "LENGTH", "", "instead of --size: 5.5in, 14cm, 140mm, 396pt"},
       {"x-range", "LOW:HIGH", "", "of the horizontal axis; LOW or HIGH may be missing"},
       {"y-range", "LOW:HIGH", "",
        "of the vertical axis, as it is labelled (90:95 for accuracies in percent)"},
       {"labels", "WHICH", "",
        "ranks at the points: all that find a place, those on the front, none; default: those "
        "that can be read"},
       {"spread", "HOW", "",
        "of the runs of a point: band or bars (95% interval), dots (each run); default: what "
        "can be read"},
       {"panels", "WHAT", "tasks", "tasks, or methods: one for each, the others grey behind it"},
       {"published", "PAPER", "", "instead of --input: the scores that a paper prints"},
       {"overlay", "PAPER", "", "a paper's scores, grey, behind one's own"},
       {"paper", "DIR", "",
        "draws every kind that --input allows into DIR, with a figures.tex that includes them; "
        "without KIND"}},
      "KIND: " + join(figure_kinds(), ", ") + "\nPAPER: " + join(published_names(), ", "),
      run,
      {}};
}

}  // namespace rankfold
