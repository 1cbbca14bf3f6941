#include "core/base/csv.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

/// Reads one record after the other and counts lines.
class Reader {
 public:
  Reader(const std::filesystem::path& file, std::string_view text) : file_(file), text_(text) {
    if (text_.starts_with("\xef\xbb\xbf")) next_ = 3;
  }

  bool at_end() const { return next_ == text_.size(); }

  CsvTable::Row record() {
    CsvTable::Row row{line_, {}};
    for (;;) {
      row.fields.push_back(peek() == '"' ? quoted_field() : plain_field());
      if (at_end()) return row;
      const char separator = text_[next_++];
      if (separator == ',') continue;
      if (separator == '\r' && peek() == '\n') ++next_;
      ++line_;
      return row;
    }
  }

 private:
  char peek() const { return at_end() ? '\0' : text_[next_]; }

  std::string plain_field() {
    const std::size_t end = std::min(text_.find_first_of(",\r\n", next_), text_.size());
    const std::string_view field = text_.substr(next_, end - next_);
    if (field.find('"') != std::string_view::npos) {
      throw Error("{}:{}: a quote inside the unquoted field {}: expected the whole field in quotes",
                  file_.string(), line_, printable(field, 60));
    }
    next_ = end;
    return std::string(field);
  }

  std::string quoted_field() {
    const std::size_t first_line = line_;
    std::string field;
    for (++next_; !at_end(); ++next_) {
      const char c = text_[next_];
      if (c == '\n') ++line_;
      if (c != '"') {
        field += c;
      } else if (++next_, peek() == '"' && !at_end()) {
        field += '"';
      } else if (at_end() || std::string_view(",\r\n").find(peek()) != std::string_view::npos) {
        return field;
      } else {
        throw Error("{}:{}: found '{}' after a closing quote: expected a comma or the line's end",
                    file_.string(), line_, peek());
      }
    }
    throw Error("{}:{}: the quote that opens here is never closed", file_.string(), first_line);
  }

  const std::filesystem::path& file_;
  std::string_view text_;
  std::size_t next_ = 0;
  std::size_t line_ = 1;
};

void check_header(const CsvTable& table) {
  const std::string& first = table.columns.front();
  for (const auto& [separator, name] : {std::pair(';', "semicolons"), {'\t', "tabs"}})
    if (table.columns.size() == 1 && first.find(separator) != std::string::npos)
      throw Error("{}:1: the header has {} between its fields, expected commas",
                  table.file.string(), name);
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    const std::string& name = table.columns[i];
    if (name.empty() && i > 0) {
      throw Error("{}: column {} of the header has no name", table.file.string(), i + 1);
    }
    if (std::count(table.columns.begin(), table.columns.end(), name) > 1) {
      throw Error("{}: the header names column '{}' twice", table.file.string(), printable(name));
    }
  }
}

}  // namespace

bool CsvTable::has(std::string_view column) const {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

std::size_t CsvTable::position(std::string_view column) const {
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found != columns.end()) return static_cast<std::size_t>(found - columns.begin());
  const std::string nearest = nearest_name(column, columns);
  throw Error("{}:1: column '{}' is missing{} (found: {})", file.string(), column,
              nearest.empty() ? "" : fmt::format("; is '{}' meant for it?", printable(nearest)),
              printable(join(columns, ", "), 400));
}

CsvTable read_csv(const std::filesystem::path& file) {
  return parse_csv(file, read_text(file));
}

CsvTable parse_csv(const std::filesystem::path& file, std::string_view text) {
  CsvTable table;
  table.file = file;
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff"))
    throw Error("{}: is UTF-16, expected UTF-8", file.string());
  Reader reader(file, text);
  while (!reader.at_end()) {
    CsvTable::Row row = reader.record();
    if (row.fields.size() == 1 && row.fields[0].empty()) continue;
    if (table.columns.empty()) {
      table.columns = std::move(row.fields);
      check_header(table);
      continue;
    }
    if (row.fields.size() != table.columns.size()) {
      throw Error("{}:{}: found {} fields, expected {} as in the header", file.string(), row.line,
                  row.fields.size(), table.columns.size());
    }
    table.rows.push_back(std::move(row));
  }
  if (table.columns.empty()) throw Error("{}: the file is empty: expected a header", file.string());
  return table;
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"') quoted += '"';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace rankfold
