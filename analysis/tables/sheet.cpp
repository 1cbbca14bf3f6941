#include "analysis/tables/sheet.h"

#include <algorithm>
#include <utility>

#include "analysis/figures/tex_figure.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

std::string escape_markdown(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (std::string_view("\\`*_{}[]<>#|~").find(c) != std::string_view::npos) escaped += '\\';
    escaped += c == '\n' || c == '\r' ? ' ' : c;
  }
  return escaped;
}

/// " +- 0.42" or " -0.80/+0.20".
std::string plain_spread(const SheetCell& cell) {
  if (cell.spread.empty()) return "";
  return cell.below.empty() ? " \u00b1 " + cell.spread : " -" + cell.below + "/+" + cell.spread;
}

std::string plain(const SheetCell& cell) {
  std::string text = cell.value + (cell.bold ? "*" : "") + cell.mark + plain_spread(cell);
  if (!cell.remark.empty()) text += " (" + cell.remark + ")";
  return printable(text);
}

std::string marked_down(const SheetCell& cell) {
  std::string text = escape_markdown(cell.value);
  if (cell.bold) text = "**" + text + "**";
  text += cell.mark + plain_spread(cell);
  if (!cell.remark.empty()) text += " (" + escape_markdown(cell.remark) + ")";
  return text;
}

std::string typeset(const SheetCell& cell) {
  std::string text = tex_text(cell.value);
  if (cell.bold) text = "\\textbf{" + text + "}";
  if (!cell.mark.empty()) text += "\\textsuperscript{" + tex_text(cell.mark) + "}";
  if (!cell.below.empty())
    text += " {\\footnotesize$_{-" + cell.below + "}^{+" + cell.spread + "}$}";
  else if (!cell.spread.empty())
    text += " {\\footnotesize$\\pm$" + tex_text(cell.spread) + "}";
  if (!cell.remark.empty()) text += " {\\footnotesize(" + tex_text(cell.remark) + ")}";
  return text;
}

}  // namespace

void Sheet::set_rows(std::vector<SheetRow> rows) {
  row_count = rows.size();
  row = [kept = std::move(rows)](std::size_t at) { return kept[at]; };
}

std::string sheet_text(const Sheet& sheet) {
  // Every cell is made once, and kept as its text alone.
  std::string cells;
  std::vector<std::size_t> ends;
  std::vector<std::size_t> widths(sheet.columns.size());
  const auto keep = [&](std::size_t column, const std::string& text) {
    widths[column] = std::max(widths[column], character_count(text));
    cells += text;
    ends.push_back(cells.size());
  };
  for (std::size_t i = 0; i < sheet.columns.size(); ++i) keep(i, printable(sheet.columns[i].name));
  for (std::size_t at = 0; at < sheet.row_count; ++at) {
    const SheetRow row = sheet.row(at);
    for (std::size_t i = 0; i < row.size(); ++i) keep(i, plain(row[i]));
  }
  std::string text;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < ends.size(); ++at) {
    const std::size_t column = at % sheet.columns.size();
    const std::string cell = cells.substr(begin, ends[at] - begin);
    begin = ends[at];
    const std::string padding(widths[column] - character_count(cell), ' ');
    if (column > 0) text += "  ";
    text += sheet.columns[column].numbers ? padding + cell : cell + padding;
    if (column + 1 < sheet.columns.size()) continue;
    text.erase(text.find_last_not_of(' ') + 1);
    text += '\n';
  }
  if (!sheet.notes.empty()) text += '\n';
  for (const std::string& note : sheet.notes) text += printable(note) + '\n';
  return text;
}

std::string sheet_markdown(const Sheet& sheet) {
  std::string text = "|", rule = "|";
  for (const Sheet::Column& column : sheet.columns) {
    text += " " + escape_markdown(column.name) + " |";
    rule += column.numbers ? " ---: |" : " --- |";
  }
  text += '\n' + rule + '\n';
  for (std::size_t at = 0; at < sheet.row_count; ++at) {
    text += '|';
    for (const SheetCell& cell : sheet.row(at)) text += " " + marked_down(cell) + " |";
    text += '\n';
  }
  for (const std::string& note : sheet.notes) text += '\n' + escape_markdown(note) + '\n';
  return text;
}

std::string sheet_latex(const Sheet& sheet) {
  std::string text = "\\begin{tabular}{";
  for (const Sheet::Column& column : sheet.columns) text += column.numbers ? 'r' : 'l';
  text += "}\n\\toprule\n";
  for (std::size_t i = 0; i < sheet.columns.size(); ++i)
    text += (i == 0 ? "" : " & ") + tex_text(sheet.columns[i].name);
  text += " \\\\\n\\midrule\n";
  for (std::size_t at = 0; at < sheet.row_count; ++at) {
    const SheetRow row = sheet.row(at);
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : " & ") + typeset(row[i]);
    text += " \\\\\n";
  }
  text += "\\bottomrule\n\\end{tabular}\n";
  for (const std::string& note : sheet.notes) text += "% " + printable(note) + '\n';
  return text;
}

}  // namespace rankfold
