#include "analysis/sheet.h"

#include <algorithm>

#include <fmt/core.h>

#include "analysis/tex_figure.h"
#include "core/text.h"

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

std::string plain(const SheetCell& cell) {
  std::string text = cell.value + (cell.bold ? "*" : "");
  if (!cell.spread.empty()) text += " \u00b1 " + cell.spread;
  if (!cell.remark.empty()) text += " (" + cell.remark + ")";
  return printable(text);
}

std::string marked_down(const SheetCell& cell) {
  std::string text = escape_markdown(cell.value);
  if (cell.bold) text = "**" + text + "**";
  if (!cell.spread.empty()) text += " \u00b1 " + escape_markdown(cell.spread);
  if (!cell.remark.empty()) text += " (" + escape_markdown(cell.remark) + ")";
  return text;
}

std::string typeset(const SheetCell& cell) {
  std::string text = tex_text(cell.value);
  if (cell.bold) text = "\\textbf{" + text + "}";
  if (!cell.spread.empty()) text += " {\\footnotesize$\\pm$" + tex_text(cell.spread) + "}";
  if (!cell.remark.empty()) text += " {\\footnotesize(" + tex_text(cell.remark) + ")}";
  return text;
}

}  // namespace

std::string sheet_text(const Sheet& sheet) {
  std::vector<std::vector<std::string>> rows(1);
  for (const Sheet::Column& column : sheet.columns) rows.front().push_back(printable(column.name));
  for (const auto& row : sheet.rows) {
    rows.emplace_back();
    for (const SheetCell& cell : row) rows.back().push_back(plain(cell));
  }
  std::vector<std::size_t> widths(sheet.columns.size());
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], character_count(row[i]));
  std::string text;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - character_count(row[i]), ' ');
      line +=
          (i == 0 ? "" : "  ") + (sheet.columns[i].numbers ? padding + row[i] : row[i] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
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
  for (const auto& row : sheet.rows) {
    text += '|';
    for (const SheetCell& cell : row) text += " " + marked_down(cell) + " |";
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
  for (const auto& row : sheet.rows) {
    for (std::size_t i = 0; i < row.size(); ++i) text += (i == 0 ? "" : " & ") + typeset(row[i]);
    text += " \\\\\n";
  }
  text += "\\bottomrule\n\\end{tabular}\n";
  for (const std::string& note : sheet.notes) text += "% " + printable(note) + '\n';
  return text;
}

}  // namespace rankfold
