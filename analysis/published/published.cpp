#include "analysis/published/published.h"

#include <cmath>
#include <map>

#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

class Fields {
 public:
  Fields(const CsvTable& table, const CsvTable::Row& row) : table_(table), row_(row) {}

  const std::string& text(const char* column) const { return row_.fields[table_.position(column)]; }
  const std::string& required(const char* column) const {
    if (text(column).empty()) throw Error("{}: no {}", origin(), column);
    return text(column);
  }
  Error wrong(const char* column, const char* expected) const {
    return Error("{}: {} '{}', expected {}", origin(), column, printable(text(column), 80),
                 expected);
  }
  std::string origin() const { return table_.file.string() + ":" + std::to_string(row_.line); }

 private:
  const CsvTable& table_;
  const CsvTable::Row& row_;
};

ScoreUnit unit_of(const Fields& fields) {
  const std::string& text = fields.required("unit");
  if (text == "fraction") return ScoreUnit::fraction;
  if (text == "percent") return ScoreUnit::percent;
  if (text == "points") return ScoreUnit::points;
  throw fields.wrong("unit", "fraction, percent or points");
}

double score_of(const Fields& fields, ScoreUnit unit) {
  const auto score = parse_number<double>(fields.required("score"));
  if (!score || !std::isfinite(*score)) throw fields.wrong("score", "a finite number");
  if (unit == ScoreUnit::fraction && std::abs(*score) > 1) {
    throw fields.wrong("score", "a fraction from -1 to 1");
  }
  if (unit == ScoreUnit::percent && std::abs(*score) > 100) {
    throw fields.wrong("score", "a percentage from -100 to 100");
  }
  return *score;
}

PublishedScore published_score(const Fields& fields) {
  PublishedScore cell;
  cell.paper = fields.required("paper");
  cell.table = fields.required("table");
  cell.task = fields.required("task");
  cell.model = fields.required("model");
  cell.method = fields.required("method");
  cell.setting = fields.text("setting");
  cell.metric = fields.required("metric");
  cell.unit = unit_of(fields);
  cell.score = score_of(fields, cell.unit);
  cell.source = fields.required("source");
  cell.origin = fields.origin();
  if (!fields.text("parameters").empty()) {
    const auto parameters = parse_number<long long>(fields.text("parameters"));
    if (!parameters || *parameters <= 0) throw fields.wrong("parameters", "a positive count");
    cell.parameters = *parameters;
  }
  if (!fields.text("deviation").empty()) {
    cell.deviation = parse_number<double>(fields.text("deviation"));
    if (!cell.deviation || !(*cell.deviation >= 0)) {
      throw fields.wrong("deviation", "a number of 0 or more");
    }
  }
  if (!fields.text("flag").empty()) cell.flags = split(fields.text("flag"), ';');
  return cell;
}

}  // namespace

std::vector<PublishedScore> read_published(std::span<const PublishedTable> tables) {
  std::vector<PublishedScore> cells;
  std::map<std::vector<std::string>, std::string> seen;
  for (const auto& [name, text] : tables) {
    const CsvTable table = parse_csv(name, text);
    for (const CsvTable::Row& row : table.rows) {
      const PublishedScore& cell = cells.emplace_back(published_score(Fields(table, row)));
      const auto [first, is_new] =
          seen.emplace(std::vector{cell.paper, cell.table, cell.task, cell.model, cell.method,
                                   cell.setting, cell.metric},
                       cell.origin);
      if (!is_new) throw Error("{}: the same cell as {}", cell.origin, first->second);
    }
  }
  return cells;
}

}  // namespace rankfold
