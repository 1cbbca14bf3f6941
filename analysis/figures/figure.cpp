#include "analysis/figures/figure.h"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

#include "analysis/figures/figure_fonts.h"
#include "analysis/figures/figure_look.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/figure_script.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/figures/tex_figure.h"
#include "analysis/published/published_rows.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

struct Kind {
  const char* name;
  FigureKind kind;
  const char* title;  ///< of its caption in a paper
};
constexpr std::array kinds = {
    Kind{"parameter-efficiency", FigureKind::parameter_efficiency, "Score against parameters"},
    Kind{"rank", FigureKind::rank, "Parameters and score against the rank"},
    Kind{"depth", FigureKind::depth, "Parameters and score against the number of adapted layers"},
    Kind{"error", FigureKind::error, "Relative error of fits against parameters"},
    Kind{"cost", FigureKind::cost, "Speed and memory of training against parameters"},
    Kind{"learning-rate", FigureKind::learning_rate, "Score against the learning rate"},
    Kind{"convergence", FigureKind::convergence, "Training loss against steps and time"},
    Kind{"forwards", FigureKind::forwards, "Score against forward passes"},
    Kind{"spectrum", FigureKind::spectrum, "Singular values of the updates by layer"}};

FigureKind kind_named(const std::string& name) {
  const auto found = std::ranges::find_if(kinds, [&](const Kind& one) { return name == one.name; });
  if (found == kinds.end()) throw unknown_name("kind of figure", name, figure_kinds());
  return found->kind;
}

ParameterAxis axis_named(const std::string& name) {
  if (name == "parameters") return ParameterAxis::adapter;
  if (name == "trainable") return ParameterAxis::trainable;
  throw unknown_name("axis", name, std::vector<std::string>{"parameters", "trainable"});
}

double width_of(const FigureRequest& request, const FigurePlan& plan) {
  if (!request.width.empty()) {
    if (!request.size.empty()) throw UsageError("--size and --width: expected one of them");
    return width_in_points(request.width);
  }
  if (request.size.empty()) return natural_width(plan);
  if (request.size == "single") return column_width;
  if (request.size == "double") return page_width;
  throw unknown_name("size", request.size, std::vector<std::string>{"single", "double"});
}

FigureLook look_of(const FigureRequest& request) {
  return {label_choice(request.labels), spread_named(request.spread),
          range_of("x-range", request.x_range), range_of("y-range", request.y_range),
          methods_have_panels(request.panels)};
}

FigureFormat format_of(const std::filesystem::path& file) {
  const std::string ending = file.extension().string();
  if (ending == ".pdf") return FigureFormat::pdf;
  if (ending == ".png") return FigureFormat::png;
  if (ending == ".svg") return FigureFormat::svg;
  if (ending == ".tex") return FigureFormat::tex;
  throw UsageError("{}: unknown file ending '{}' of a figure (known: .pdf, .png, .svg, .tex)",
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

std::vector<fs::path> inputs_of(const FigureRequest& request) {
  std::vector<fs::path> inputs = request.inputs;
  std::string last;
  for (const ResultRow& row : request.rows) {
    const std::size_t colon = row.origin.rfind(':');
    const bool has_line =
        colon != std::string::npos && colon + 1 < row.origin.size() &&
        row.origin.find_first_not_of("0123456789", colon + 1) == std::string::npos;
    const std::string source = has_line ? row.origin.substr(0, colon) : row.origin;
    if (source.empty() || source == last) continue;
    inputs.emplace_back(source);
    last = source;
  }
  return inputs;
}

/// A finished file and where it goes.
struct DrawnFile {
  fs::path file;
  std::string bytes;
};

void expect_place(const fs::path& file, std::span<const fs::path> inputs) {
  using Beginnings = std::vector<std::string_view>;
  static const std::map<std::string, std::pair<const char*, Beginnings>> formats = {
      {".pdf", {"PDF file", {"%PDF-"}}},
      {".png", {"PNG file", {"\x89PNG"}}},
      {".svg", {"SVG file", {"<?xml", "<svg", "\xef\xbb\xbf<"}}},
      {".tex",
       {"figure of rankfold", {"% Needs \\usepackage{tikz}", "% Figures drawn by rankfold"}}},
      {".csv", {"CSV of drawn values", {csv_beginning}}}};
  const auto& [kind, beginnings] = formats.at(file.extension().string());
  expect_not_an_input(file, inputs);
  expect_replaceable(file, kind, beginnings);
}

bool is_input(const fs::path& file, std::span<const fs::path> inputs) {
  try {
    expect_not_an_input(file, inputs);
    return false;
  } catch (const UsageError&) {
    return true;
  }
}

/// Where the drawn values go; not over the table that they come from.
fs::path csv_beside(const fs::path& out, std::span<const fs::path> inputs) {
  fs::path csv = out;
  csv.replace_extension(".csv");
  if (is_input(csv, inputs)) csv.replace_extension(".drawn.csv");
  return csv;
}

bool takes_published(FigureKind kind) {
  return kind == FigureKind::parameter_efficiency || kind == FigureKind::rank;
}

FigurePlan make_plan(const FigureRequest& request, FigureKind kind) {
  FigureOptions options;
  options.axis = axis_named(request.x);
  options.look = look_of(request);
  if (kind == FigureKind::spectrum) {
    if (request.spectrum.empty()) {
      throw Error("no singular values: `rankfold diagnose --spectrum spectrum.csv` writes them");
    }
    return plan_spectrum(request.spectrum, options.look);
  }
  if (!request.published.empty()) {
    PublishedRows published = published_rows(request.published);
    options.sources = published.sources;
    if (!takes_published(kind)) {
      throw Error("published results tell scores, ranks and parameters: they have no {}",
                  request.kind);
    }
    if (kind == FigureKind::parameter_efficiency) {
      options.linear_parameters = published.linear_parameters;
      const auto& shown = published.figure_tasks;
      std::erase_if(published.rows, [&](const ResultRow& row) {
        return !shown.empty() && std::ranges::find(shown, row.task) == shown.end();
      });
    }
    return plan_figure(kind, published.rows, options);
  }
  if (!request.overlay.empty() && takes_published(kind)) {
    PublishedRows published = published_rows(request.overlay);
    options.overlay = std::move(published.rows);
    options.overlay_sources = published.sources;
  }
  return plan_figure(kind, request.rows, options);
}

/// Throws Error unless some line has two points.
void require_lines(const FigurePlan& plan) {
  for (const FigurePanel& panel : plan.panels) {
    for (const FigureLine& line : panel.lines) {
      if (line.points.size() > 1) return;
    }
  }
  throw Error("no line has two points along '{}'", plan.panels[0].x_label);
}

std::string draw(const FigurePlan& plan, double width, FigureFormat format,
                 const std::string& ending) {
  if (format == FigureFormat::tex) expect_tex_letters(drawn_texts(plan));
  if (format == FigureFormat::pdf || format == FigureFormat::png)
    expect_fonts_for(drawn_texts(plan), FontCoverage::of_machine());
  const std::string name = "figure" + ending;
  std::string figure = run_gnuplot(figure_script(plan, width, format, name), name);
  if (format == FigureFormat::svg) name_fonts(figure);
  if (format == FigureFormat::tex) figure = finish_tex_figure(figure);
  return figure;
}

/// No file where one of them cannot be written.
void write(const std::vector<DrawnFile>& drawn) {
  std::vector<std::unique_ptr<AtomicFile>> files;
  for (const DrawnFile& one : drawn) {
    files.push_back(std::make_unique<AtomicFile>(one.file));
    files.back()->write(one.bytes.data(), one.bytes.size());
  }
  for (const auto& file : files) file->commit();
}

}  // namespace

std::vector<std::string> figure_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kinds) names.emplace_back(kind.name);
  return names;
}

fs::path draw_figure(const FigureRequest& request) {
  const FigureKind kind = kind_named(request.kind);
  const FigureFormat format = format_of(request.out);
  if (!request.overlay.empty() && !takes_published(kind))
    throw UsageError("published scores cannot be laid over kind {}", request.kind);
  axis_named(request.x);
  look_of(request);
  width_of(request, {});
  const std::vector<fs::path> inputs = inputs_of(request);
  const fs::path csv = csv_beside(request.out, inputs);
  for (const fs::path& file : {request.out, csv}) expect_place(file, inputs);
  const FigurePlan plan = make_plan(request, kind);
  const std::string ending = request.out.extension().string();
  write({{csv, figure_csv(plan)},
         {request.out, draw(plan, width_of(request, plan), format, ending)}});
  return csv;
}

std::vector<PlannedFigure> plan_figures(const FigureRequest& request) {
  std::vector<PlannedFigure> figures;
  for (const Kind& kind : kinds) {
    figures.push_back({kind.name, kind.title, "", {}});
    try {
      FigurePlan plan = make_plan(request, kind.kind);
      if (kind.kind != FigureKind::parameter_efficiency) require_lines(plan);
      figures.back().plan = std::move(plan);
    } catch (const UsageError&) {
      throw;
    } catch (const Error& reason) {
      figures.back().reason = reason.what();
    }
  }
  return figures;
}

std::vector<PaperFigure> draw_paper(const FigureRequest& request,
                                    const std::filesystem::path& folder) {
  std::vector<PaperFigure> figures;
  const std::vector<fs::path> inputs = inputs_of(request);
  std::vector<DrawnFile> drawn;
  std::string left_out;
  std::string document =
      "% Figures drawn by rankfold; \\input this file, or copy what is wanted.\n"
      "% Needs \\usepackage{tikz} and \\usetikzlibrary{plotmarks}. Each <kind>.pdf holds the same\n"
      "% figure for \\includegraphics. From another folder: \\def\\figurefolder{that/folder/} "
      "first.\n"
      "\\providecommand{\\figurefolder}{}\n";
  for (PlannedFigure& planned : plan_figures(request)) {
    figures.push_back({planned.kind, planned.reason});
    if (!planned.reason.empty()) {
      left_out += (left_out.empty() ? "" : ", ") + planned.kind;
      continue;
    }
    FigurePlan& plan = planned.plan;
    const double width = width_of(request, plan);
    expect_tex_letters({plan.note});
    const std::string note = std::exchange(plan.note, "");
    const fs::path stem = folder / planned.kind;
    const fs::path csv = csv_beside(stem.string() + ".csv", inputs);
    drawn.push_back({csv, figure_csv(plan)});
    for (const auto& [format, ending] :
         {std::pair(FigureFormat::pdf, ".pdf"), std::pair(FigureFormat::tex, ".tex")}) {
      drawn.push_back({stem.string() + ending, ""});
      expect_place(drawn.back().file, inputs);
      drawn.back().bytes = draw(plan, width, format, ending);
    }
    const char* star = width > column_width ? "*" : "";
    document += fmt::format(
        "\n\\begin{{figure{0}}}\n  \\centering\n  \\input{{\\figurefolder {1}.tex}}\n"
        "  \\caption{{{2}. {3}}}\n  \\label{{fig:{1}}}\n\\end{{figure{0}}}\n",
        star, planned.kind, planned.title, tex_text(note));
  }
  if (drawn.empty()) {
    throw Error("no kind of figure can be drawn; {}: {}", figures[0].kind, figures[0].reason);
  }
  // Reasons name files of this machine: they are for who draws, not for the paper.
  if (!left_out.empty()) document += fmt::format("\n% Left out: {}.\n", left_out);
  drawn.push_back({folder / "figures.tex", document});
  for (const DrawnFile& one : drawn) expect_place(one.file, inputs);
  write(drawn);
  return figures;
}

}  // namespace rankfold
