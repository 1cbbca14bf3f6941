#include "analysis/figure.h"

#include "analysis/figure_plan.h"
#include "analysis/figure_script.h"
#include "analysis/gnuplot.h"
#include "core/error.h"
#include "core/files.h"

namespace rankfold {
namespace {

FigureKind kind_named(const std::string& name) {
  if (name == "parameter-efficiency") return FigureKind::parameter_efficiency;
  if (name == "rank") return FigureKind::rank;
  if (name == "depth") return FigureKind::depth;
  if (name == "error") return FigureKind::error;
  throw unknown_name("figure", name, figure_kinds());
}

ParameterAxis axis_named(const std::string& name) {
  if (name == "parameters") return ParameterAxis::adapter;
  if (name == "trainable") return ParameterAxis::trainable;
  throw unknown_name("axis", name, std::vector<std::string>{"parameters", "trainable"});
}

FigureFormat format_of(const std::filesystem::path& file) {
  const std::string ending = file.extension().string();
  if (ending == ".pdf") return FigureFormat::pdf;
  if (ending == ".png") return FigureFormat::png;
  if (ending == ".svg") return FigureFormat::svg;
  throw UsageError("{}: unknown file ending '{}' of a figure (known: .pdf, .png, .svg)",
                   file.string(), ending);
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), to);
    at += to.size();
  }
}

/// gnuplot writes a font's weight into the name of its family, and no family to fall back on.
void name_fonts(std::string& svg) {
  const std::string families = "font-family=\"DejaVu Sans, Verdana, sans-serif\"";
  replace_all(svg, "font-family=\"DejaVu Sans:Bold\"", families + " font-weight=\"bold\"");
  replace_all(svg, "font-family=\"DejaVu Sans\"", families);
}

/// Where the drawn values go; not over the table that they come from.
std::filesystem::path csv_beside(const FigureRequest& request) {
  std::filesystem::path csv = request.out;
  csv.replace_extension(".csv");
  for (const ResultRow& row : request.rows) {
    const std::filesystem::path source = row.origin.substr(0, row.origin.rfind(':'));
    std::error_code failure;
    if (std::filesystem::equivalent(source, csv, failure)) {
      throw UsageError("{}: the drawn values would overwrite the input {}: choose another name",
                       request.out.string(), csv.string());
    }
  }
  return csv;
}

}  // namespace

std::vector<std::string> figure_kinds() {
  return {"parameter-efficiency", "rank", "depth", "error"};
}

void draw_figure(const FigureRequest& request) {
  const FigureKind kind = kind_named(request.kind);
  const ParameterAxis axis = axis_named(request.x);
  const FigureFormat format = format_of(request.out);
  const std::filesystem::path csv = csv_beside(request);
  const FigurePlan plan = plan_figure(kind, request.rows, axis);
  const std::string name = "figure" + request.out.extension().string();
  std::string figure = run_gnuplot(figure_script(plan, format, name), name);
  if (format == FigureFormat::svg) name_fonts(figure);
  AtomicFile values(csv);
  const std::string text = figure_csv(plan);
  values.write(text.data(), text.size());
  write_atomically(request.out, figure);
  values.commit();
}

}  // namespace rankfold
