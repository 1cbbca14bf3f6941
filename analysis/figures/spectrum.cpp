#include "analysis/figures/spectrum.h"

#include <cmath>

#include "core/base/csv.h"
#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

std::vector<SingularValue> read_spectrum(const std::filesystem::path& file) {
  const CsvTable table = read_csv(file);
  std::vector<SingularValue> values;
  for (const char* column : {"site", "layer", "matrix", "index", "value"}) table.position(column);
  for (const CsvTable::Row& row : table.rows) {
    const auto text = [&](const char* column) { return row.fields[table.position(column)]; };
    const auto refuse = [&](const char* column, const char* expected) {
      return Error("{}:{}: column '{}': found '{}', expected {}", file.string(), row.line, column,
                   printable(text(column), 80), expected);
    };
    const auto layer = parse_number<unsigned long>(text("layer"));
    const auto index = parse_number<unsigned long>(text("index"));
    const auto value = parse_number<double>(text("value"));
    if (text("matrix").empty()) throw refuse("matrix", "a name");
    if (!layer) throw refuse("layer", "a whole number, 0 or more");
    if (!index || *index == 0) throw refuse("index", "a whole number, 1 or more");
    if (!value || !std::isfinite(*value) || *value < 0)
      throw refuse("value", "a number, 0 or more");
    values.push_back({text("site"), *layer, text("matrix"), *index, *value});
  }
  return values;
}

std::string spectrum_csv(const std::vector<SingularValue>& values) {
  std::string csv = "site,layer,matrix,index,value\n";
  for (const SingularValue& value : values) {
    csv += fmt::format("{},{},{},{},{:.9g}\n", csv_field(value.site), value.layer,
                       csv_field(value.matrix), value.index, value.value);
  }
  return csv;
}

}  // namespace rankfold
