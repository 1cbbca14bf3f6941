#include "analysis/figure.h"

#include <algorithm>
#include <array>
#include <utility>

#include "analysis/figure_plan.h"
#include "analysis/figure_script.h"
#include "analysis/gnuplot.h"
#include "analysis/published_rows.h"
#include "analysis/tex_figure.h"
#include "core/error.h"
#include "core/files.h"
#include "core/text.h"

namespace rankfold {
namespace {

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

FigureSize size_named(const std::string& name, const FigurePlan& plan) {
  if (name.empty()) return natural_size(plan);
  if (name == "single") return FigureSize::single_column;
  if (name == "double") return FigureSize::double_column;
  throw unknown_name("size", name, std::vector<std::string>{"single", "double"});
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

/// Where the drawn values go; not over the table that they come from.
std::filesystem::path csv_beside(const FigureRequest& request, const std::filesystem::path& out) {
  std::filesystem::path csv = out;
  csv.replace_extension(".csv");
  std::string checked;
  for (const ResultRow& row : request.rows) {
    const std::string source = row.origin.substr(0, row.origin.rfind(':'));
    if (source == checked) continue;
    checked = source;
    std::error_code failure;
    if (std::filesystem::equivalent(source, csv, failure)) {
      throw UsageError("{}: the drawn values would overwrite the input {}: choose another name",
                       out.string(), csv.string());
    }
  }
  return csv;
}

bool takes_published(FigureKind kind) {
  return kind == FigureKind::parameter_efficiency || kind == FigureKind::rank;
}

FigurePlan make_plan(const FigureRequest& request, FigureKind kind) {
  FigureOptions options;
  options.axis = axis_named(request.x);
  if (kind == FigureKind::spectrum) {
    if (request.spectrum.empty()) {
      throw Error("no singular values: `rankfold diagnose --spectrum spectrum.csv` writes them");
    }
    return plan_spectrum(request.spectrum);
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

std::string draw(const FigurePlan& plan, FigureSize size, FigureFormat format,
                 const std::string& ending) {
  const std::string name = "figure" + ending;
  std::string figure = run_gnuplot(figure_script(plan, size, format, name), name);
  if (format == FigureFormat::svg) name_fonts(figure);
  if (format == FigureFormat::tex) figure = finish_tex_figure(figure);
  return figure;
}

/// Neither file where one of them cannot be written.
void write(const FigurePlan& plan, const std::string& figure, const std::filesystem::path& out,
           const std::filesystem::path& csv) {
  AtomicFile values(csv);
  const std::string text = figure_csv(plan);
  values.write(text.data(), text.size());
  write_atomically(out, figure);
  values.commit();
}

}  // namespace

std::vector<std::string> figure_kinds() {
  std::vector<std::string> names;
  for (const Kind& kind : kinds) names.emplace_back(kind.name);
  return names;
}

void draw_figure(const FigureRequest& request) {
  const FigureKind kind = kind_named(request.kind);
  const FigureFormat format = format_of(request.out);
  if (!request.overlay.empty() && !takes_published(kind))
    throw UsageError("published scores cannot be laid over kind {}", request.kind);
  axis_named(request.x);
  size_named(request.size, {});
  const std::filesystem::path csv = csv_beside(request, request.out);
  const FigurePlan plan = make_plan(request, kind);
  const std::string figure =
      draw(plan, size_named(request.size, plan), format, request.out.extension().string());
  write(plan, figure, request.out, csv);
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
  std::string document =
      "% Figures drawn by rankfold; \\input this file, or copy what is wanted.\n"
      "% Needs \\usepackage{tikz} and \\usetikzlibrary{plotmarks}. Each <kind>.pdf holds the same\n"
      "% figure for \\includegraphics. From another folder: \\def\\figurefolder{that/folder/} "
      "first.\n"
      "\\providecommand{\\figurefolder}{}\n";
  for (PlannedFigure& planned : plan_figures(request)) {
    figures.push_back({planned.kind, planned.reason});
    if (!planned.reason.empty()) continue;
    FigurePlan& plan = planned.plan;
    const std::string note = std::exchange(plan.note, "");
    const FigureSize size = natural_size(plan);
    for (const auto& [format, ending] :
         {std::pair(FigureFormat::pdf, ".pdf"), std::pair(FigureFormat::tex, ".tex")}) {
      const std::filesystem::path out = folder / (planned.kind + ending);
      write(plan, draw(plan, size, format, ending), out, csv_beside(request, out));
    }
    const char* star = size == FigureSize::double_column ? "*" : "";
    document += fmt::format(
        "\n\\begin{{figure{0}}}\n  \\centering\n  \\input{{\\figurefolder {1}.tex}}\n"
        "  \\caption{{{2}. {3}}}\n  \\label{{fig:{1}}}\n\\end{{figure{0}}}\n",
        star, planned.kind, planned.title, tex_text(note));
  }
  const auto drawn = [](const PaperFigure& figure) { return figure.reason.empty(); };
  if (std::ranges::none_of(figures, drawn)) {
    throw Error("no kind of figure can be drawn; {}: {}", figures[0].kind, figures[0].reason);
  }
  for (const PaperFigure& figure : figures) {
    if (drawn(figure)) continue;
    document += fmt::format("\n% {} left out: {}\n", figure.kind, printable(figure.reason));
  }
  write_atomically(folder / "figures.tex", document);
  return figures;
}

}  // namespace rankfold
