#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "analysis/results.h"

namespace rankfold {

/// A figure to draw from results; names are those of the command line.
struct FigureRequest {
  std::string kind;  ///< parameter-efficiency, rank, depth, error
  std::vector<ResultRow> rows;
  std::filesystem::path out;     ///< .pdf, .png or .svg
  std::string x = "parameters";  ///< parameters (of the adapter) or trainable (with the head)
};

/// The kinds that draw_figure knows.
std::vector<std::string> figure_kinds();

/// Draws the figure with gnuplot and writes beside it, under the same name with .csv, the values
/// that it shows (figure_plan.h tells what each kind shows). Both files are written atomically, and
/// neither where something fails; the same request gives the same bytes. Throws UsageError for an
/// unknown kind, axis or file ending, Error for rows that cannot be drawn and where gnuplot is
/// missing or fails.
void draw_figure(const FigureRequest& request);

}  // namespace rankfold
