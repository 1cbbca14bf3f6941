#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/figure_plan.h"
#include "analysis/results.h"
#include "analysis/spectrum.h"

namespace rankfold {

/// A figure to draw from results; names are those of the command line.
struct FigureRequest {
  std::string kind;  ///< parameter-efficiency, rank, depth, error, cost, ...
  std::vector<ResultRow> rows;
  std::filesystem::path out;     ///< .pdf, .png, .svg or .tex
  std::string x = "parameters";  ///< parameters (of the adapter) or trainable (with the head)
  std::string size = "";         ///< single or double (columns of a paper); "" for what suits
  std::string published = "";    ///< instead of rows: the scores of a paper (published_rows.h)
  std::string overlay = "";      ///< a paper's scores behind the rows
  std::vector<SingularValue> spectrum = {};  ///< instead of rows, for kind spectrum
};

/// The kinds that draw_figure knows.
std::vector<std::string> figure_kinds();

/// Draws the figure with gnuplot and writes beside it, under the same name with .csv, the values
/// that it shows (figure_plan.h tells what each kind shows). Both files are written atomically, and
/// neither where something fails; the same request gives the same bytes. A .tex file is a picture
/// for \input with the paper's fonts (tex_figure.h). Throws UsageError for an unknown kind, axis,
/// size, paper or file ending, Error for rows that cannot be drawn and where gnuplot is missing or
/// fails.
void draw_figure(const FigureRequest& request);

/// What a kind would show, or why the request's rows do not allow it.
struct PlannedFigure {
  std::string kind, title;
  std::string reason;  ///< "" where there is a plan
  FigurePlan plan;
};

/// Every kind of the request's rows (its kind and out are not read), in the order of figure_kinds.
/// A kind whose lines would be points alone is left out, parameter-efficiency excepted. Throws
/// UsageError for an unknown axis or paper.
std::vector<PlannedFigure> plan_figures(const FigureRequest& request);

/// A kind that draw_paper drew, or why it did not.
struct PaperFigure {
  std::string kind, reason;
};

/// Draws every kind that plan_figures can plan into `folder`, as <kind>.pdf, <kind>.tex and
/// <kind>.csv, and writes figures.tex, which takes the .tex pictures into floats with captions; the
/// notes of the figures are in the captions. Throws as draw_figure, and where no kind can be drawn.
std::vector<PaperFigure> draw_paper(const FigureRequest& request,
                                    const std::filesystem::path& folder);

}  // namespace rankfold
