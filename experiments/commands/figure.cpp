#include "analysis/figures/figure.h"

#include <algorithm>

#include <fmt/core.h>

#include "analysis/published/published_rows.h"
#include "core/base/error.h"
#include "core/base/json_value.h"
#include "core/base/text.h"
#include "experiments/commands/command.h"
#include "experiments/commands/result_input.h"
#include "experiments/runs/run_file.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

fs::path spectrum_file(const ResultInput& input) {
  const bool selects = !input.selection.where.empty() || !input.selection.ignored.empty();
  if (input.places.size() > 1 || selects)
    throw UsageError("figure: spectrum takes one --input, without --where and --ignore");
  const fs::path& place = input.places.front();
  std::error_code failure;
  return fs::is_directory(place, failure) ? place / "spectrum.csv" : place;
}

int draw_one(const Arguments& arguments, FigureRequest& request, Context& context) {
  if (arguments.positionals().empty())
    throw UsageError("figure: KIND is missing (known: {})", join(figure_kinds(), ", "));
  request.kind = arguments.positional(0);
  const std::vector<std::string> kinds = figure_kinds();
  if (std::ranges::find(kinds, request.kind) == kinds.end())
    throw unknown_name("kind of figure", request.kind, kinds);
  if (!arguments.has("out")) throw UsageError("figure: option --out is missing");
  const ResultInput input = result_input(arguments, 1);
  if (input.empty() != arguments.has("published"))
    throw UsageError("figure: expected one of --input and --published");
  request.out = arguments.text("out");
  request.inputs = input.places;
  if (request.kind == "spectrum" && !input.empty()) {
    request.inputs = {spectrum_file(input)};
    request.spectrum = read_spectrum(request.inputs[0]);
  } else if (!input.empty()) {
    request.rows =
        read_all_results(input, {request.kind == "error" ? "fits.csv" : "counts.csv"}, context.err);
  }
  const std::string csv = draw_figure(request).string();
  if (context.json)
    context.out << JsonValue({{"out", request.out.string()}, {"csv", csv}}).text();
  else
    context.out << fmt::format("{}\n{}\n", request.out.string(), csv);
  return 0;
}

int draw_all(const Arguments& arguments, FigureRequest& request, Context& context) {
  // KIND may be left out; what stands there is then an input.
  const std::string first = arguments.positional(0);
  const std::vector<std::string> kinds = figure_kinds();
  if (std::ranges::find(kinds, first) != kinds.end())
    throw UsageError("figure: --paper draws every kind: '{}' cannot be chosen", first);
  const ResultInput input = result_input(arguments, first == "all" ? 1 : 0);
  for (const char* option : {"out", "published"}) {
    if (arguments.has(option)) throw UsageError("figure: --{} does not go with --paper", option);
  }
  if (input.empty()) throw UsageError("figure: --paper needs --input");
  const fs::path folder = arguments.text("paper");
  request.rows = read_all_results(input, {"fits.csv", "counts.csv"}, context.err);
  std::error_code failure;
  request.inputs = input.places;
  for (const fs::path& place : input.places) {
    const fs::path spectrum = place / "spectrum.csv";
    if (!request.spectrum.empty() || !fs::exists(spectrum, failure)) continue;
    request.inputs.push_back(spectrum);
    request.spectrum = read_spectrum(spectrum);
  }
  const std::vector<PaperFigure> figures = draw_paper(request, folder);
  JsonValue drawn = JsonValue::array(), left_out = JsonValue::array();
  for (const PaperFigure& figure : figures) {
    if (figure.reason.empty())
      drawn.push_back(figure.kind);
    else
      left_out.push_back({{"kind", figure.kind}, {"reason", figure.reason}});
  }
  const std::string document = (folder / "figures.tex").string();
  if (context.json) {
    context.out << JsonValue({{"out", document}, {"drawn", drawn}, {"left_out", left_out}}).text();
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

int run_figure(const Arguments& arguments, Context& context) {
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
  std::vector<Option> options = result_options(
      "a folder of runs, a table of results, counts or fits (CSV, or Parquet of collect); kind "
      "spectrum: the CSV of `rankfold diagnose --spectrum`");
  const std::vector<Option> own = {
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
       "without KIND"}};
  options.insert(options.end(), own.begin(), own.end());
  return {"figure",
          "draws a figure from results",
          {{"KIND", false}, result_positional()},
          std::move(options),
          "KIND: " + join(figure_kinds(), ", ") + "\nPAPER: " + join(published_names(), ", "),
          run_figure,
          {}};
}

}  // namespace rankfold
