#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace rankfold {

/// A cell as it is shown: "88.31 +- 0.42 (1 diverged)", or any text in `value`.
struct SheetCell {
  std::string value;
  std::string spread = {};  ///< half the interval; "?" where it is not known; "" for no such thing
  std::string remark = {};
  bool bold = false;
  std::string below =
      {};                 ///< where the interval reaches less far (or further) below: "-0.80/+0.20"
  std::string mark = {};  ///< a sign behind the value that a note explains
};
using SheetRow = std::vector<SheetCell>;

/// A table to read: a header, rows of as many cells, and lines below it. Rows are made when they
/// are asked for, so that a long table is not held in memory.
struct Sheet {
  struct Column {
    std::string name;
    bool numbers = false;  ///< aligned at the right
  };
  std::vector<Column> columns;
  std::size_t row_count = 0;
  std::function<SheetRow(std::size_t)> row;  ///< of 0 to row_count - 1
  std::vector<std::string> notes;

  void set_rows(std::vector<SheetRow> rows);
};

/// Aligned columns; what is bold has a star.
std::string sheet_text(const Sheet& sheet);
/// A pipe table (GitHub's Markdown); what would be markup is escaped.
std::string sheet_markdown(const Sheet& sheet);
/// A tabular with booktabs' rules, and the notes as comments; names as tex_figure.h has
/// them.
std::string sheet_latex(const Sheet& sheet);

}  // namespace rankfold
