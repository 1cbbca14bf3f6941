#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/figures/figure_plan.h"
#include "analysis/figures/spectrum.h"
#include "experiments/runs/results.h"

namespace rankfold {

/// A figure to draw from results; names are those of the command line.
struct FigureRequest {
  std::string kind;  ///< parameter-efficiency, rank, depth, error, cost, ...
  std::vector<ResultRow> rows;
  std::filesystem::path out;     ///< .pdf, .png, .svg or .tex
  std::string x = "parameters";  ///< parameters (of the adapter) or trainable (with the head)
  std::string size = "";         ///< single or double (columns of a paper); "" for what suits
  std::string width = "";        ///< instead of size: 5.5in, 14cm, 140mm, 396pt
  std::string x_range = "";      ///< LOW:HIGH, one of which may be missing
  std::string y_range = "";      ///< the same, in drawn units (percent)
  std::string labels = "";       ///< of ranks: all, front, none; "" for what can be read
  std::string spread = "";       ///< of runs: dots, bars, band; "" for what can be read
  std::string panels = "";       ///< tasks ("" too) or methods
  std::string published = "";    ///< instead of rows: the scores of a paper (published_rows.h)
  std::string overlay = "";      ///< a paper's scores behind the rows
  std::vector<SingularValue> spectrum = {};  ///< instead of rows, for kind spectrum
  /// Files that were read for it, beside those that the rows name: they are never written over.
  std::vector<std::filesystem::path> inputs = {};
};

/// The kinds that draw_figure knows.
std::vector<std::string> figure_kinds();

/// Draws the figure with gnuplot and writes beside it, under the same name with .csv, the values
/// that it shows (figure_plan.h tells what each kind shows); returns that second file. Where its
/// name is that of an input, it ends in .drawn.csv. Both files are written atomically when all is
/// computed, and neither where something fails; the same request gives the same bytes. A .tex file
/// is a picture for \input with the paper's fonts (tex_figure.h). Throws UsageError for an unknown
/// kind, option or paper or file ending and where an input would be written over, Error for rows
/// that cannot be drawn, for texts that no font has, for files of another format in the place of
/// the figure or its values, and where gnuplot is missing or fails.
std::filesystem::path draw_figure(const FigureRequest& request);

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
/// notes of the figures are in the captions. Nothing is written before all is drawn. Throws as
/// draw_figure, and where no kind can be drawn.
std::vector<PaperFigure> draw_paper(const FigureRequest& request,
                                    const std::filesystem::path& folder);

}  // namespace rankfold
