#include "analysis/logs/log_tree.h"

#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "analysis/logs/utf8_text.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::string shown(const fs::path& path) {
  return printable(path.string(), 300);
}

/// The folders between a root and a file.
std::vector<std::string> folders_between(const fs::path& root, const fs::path& file) {
  std::string_view text = file.native();
  text.remove_prefix(std::min(root.native().size(), text.size()));
  std::vector<std::string> folders;
  for (std::string& part : split(text, '/'))
    if (!part.empty()) folders.push_back(std::move(part));
  if (!folders.empty()) folders.pop_back();
  return folders;
}

/// A folder's name as UTF-8, without the %XX that sweeps write for characters other than letters,
/// digits and ._,+:-.
std::string unescaped(const std::string& name) {
  const std::string_view digits = "0123456789ABCDEF";
  const auto is_plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("_,+:-").find(c) != std::string_view::npos;
  };
  std::string text;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '%' && i + 2 < name.size()) {
      const std::size_t high = digits.find(name[i + 1]), low = digits.find(name[i + 2]);
      if (high < 16 && low < 16 && !is_plain(static_cast<char>(16 * high + low))) {
        text += static_cast<char>(16 * high + low);
        i += 2;
        continue;
      }
    }
    text += name[i];
  }
  return utf8_text(text);
}

/// Columns and the texts that files have for them, before their types are known.
class Texts {
 public:
  Texts(const std::vector<std::string>& names, bool any_depth)
      : names_(names), any_depth_(any_depth) {}

  /// A file whose values are missing in all columns.
  void add_nothing() {
    bare_.emplace_back();
    named_rows_.emplace_back();
    files_.emplace_back();
  }

  void add(const fs::path& root, const fs::path& file) {
    std::vector<std::string> bare;
    std::map<std::size_t, std::string> row;
    const std::vector<std::string> folders = folders_between(root, file);
    if (folders.empty())
      throw Error(
          "{}: lies directly in {}; expected folders between them, whose names become columns",
          shown(file), shown(root));
    for (const std::string& folder : folders) {
      const std::size_t equals = folder.find('=');
      if (equals == 0 || equals == std::string::npos) {
        bare.push_back(unescaped(folder));
        continue;
      }
      const std::string name = unescaped(folder.substr(0, equals));
      if (name == "tag" || name == "step" || name == "value")
        throw Error("{}: '{}' is the name of a column that event files fill", shown(file), name);
      const auto [found, is_new] = named_.emplace(name, columns_.size());
      if (is_new) columns_.push_back({name, {}});
      if (!row.emplace(found->second, unescaped(folder.substr(equals + 1))).second)
        throw Error("{}: '{}' is given twice in its path", shown(file), printable(name, 80));
    }
    if (first_.empty()) {
      depth_ = bare.size();
      first_ = file;
    } else if (bare.size() != depth_ && !any_depth_) {
      throw Error(
          "{}: lies below {}, and {} below {}; expected as many (those written name=value may "
          "differ), or --depth {} or any",
          shown(file), counted_folders(bare.size()), shown(first_), depth_, depth_);
    } else if (bare.size() > depth_) {
      depth_ = bare.size();
      first_ = file;
    }
    files_.push_back(file);
    bare_.push_back(std::move(bare));
    named_rows_.push_back(std::move(row));
  }

  LogTree tree() const;

 private:
  static std::string counted_folders(std::size_t count) {
    return fmt::format("{} folder{} without a name", count, count == 1 ? "" : "s");
  }

  struct Named {
    std::string name;
    std::vector<std::string> unused;
  };
  std::vector<std::string> names_;
  bool any_depth_;
  std::vector<Named> columns_;
  std::map<std::string, std::size_t> named_;
  std::size_t depth_ = 0;
  fs::path first_;
  std::vector<fs::path> files_;
  std::vector<std::vector<std::string>> bare_;
  std::vector<std::map<std::size_t, std::string>> named_rows_;
};

/// Fills a column, and every file's place in it, from the files' texts (none: nullptr).
void infer(LogColumn& column, const std::vector<const std::string*>& texts,
           std::vector<LogFile>& files) {
  using Value = std::variant<std::int64_t, double, std::string>;
  std::map<std::string, Value> values;
  for (const std::string* text : texts)
    if (text != nullptr && !text->empty()) values.emplace(*text, folder_value(*text));
  const bool whole =
      std::ranges::all_of(values, [](const auto& v) { return v.second.index() == 0; });
  const bool number =
      std::ranges::all_of(values, [](const auto& v) { return v.second.index() <= 1; });
  const auto as_number = [](const Value& value) {
    return value.index() == 0 ? static_cast<double>(std::get<0>(value)) : std::get<1>(value);
  };
  const auto place_all = [&](auto& sorted, const auto& read, const auto& is_missing) {
    for (const auto& [text, value] : values)
      if (!is_missing(value)) sorted.push_back(read(text, value));
    std::ranges::sort(sorted);
    sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
    std::map<std::string, std::uint32_t> places;
    for (const auto& [text, value] : values) {
      const auto missing = static_cast<std::uint32_t>(sorted.size());
      places[text] =
          is_missing(value)
              ? missing
              : static_cast<std::uint32_t>(std::ranges::lower_bound(sorted, read(text, value)) -
                                           sorted.begin());
    }
    for (std::size_t i = 0; i < files.size(); ++i) {
      const bool given = texts[i] != nullptr && !texts[i]->empty();
      const std::uint32_t place =
          given ? places.at(*texts[i]) : static_cast<std::uint32_t>(sorted.size());
      const bool is_kept = !files[i].path.empty();
      column.optional = column.optional || (is_kept && place == sorted.size());
      files[i].places.push_back(place);
    }
  };
  const auto never = [](const Value&) { return false; };
  if (whole) {
    column.type = ColumnType::int64;
    place_all(
        column.integers, [](const std::string&, const Value& value) { return std::get<0>(value); },
        never);
  } else if (number) {
    column.type = ColumnType::float64;
    place_all(
        column.numbers, [&](const std::string&, const Value& value) { return as_number(value); },
        [&](const Value& value) { return std::isnan(as_number(value)); });
  } else {
    place_all(
        column.texts, [](const std::string& text, const Value&) { return text; }, never);
  }
}

LogTree Texts::tree() const {
  if (names_.size() > depth_)
    throw UsageError("--name has {} names ({}); {} lies below {}", names_.size(),
                     printable(join(names_, " "), 200), shown(first_), counted_folders(depth_));
  LogTree tree;
  for (const fs::path& file : files_) tree.files.push_back({file, {}});
  std::set<std::string> taken;
  const auto add_column = [&](const std::string& name,
                              const std::vector<const std::string*>& texts) {
    if (!taken.insert(name).second)
      throw Error("two columns are named '{}'; expected --name with other names",
                  printable(name, 80));
    LogColumn column;
    column.name = name;
    infer(column, texts, tree.files);
    tree.columns.push_back(std::move(column));
  };
  for (std::size_t position = 0; position < depth_; ++position) {
    std::vector<const std::string*> texts;
    for (const auto& row : bare_) texts.push_back(position < row.size() ? &row[position] : nullptr);
    add_column(position < names_.size() ? names_[position] : std::to_string(position), texts);
  }
  for (std::size_t number = 0; number < columns_.size(); ++number) {
    std::vector<const std::string*> texts;
    for (const auto& row : named_rows_) {
      const auto found = row.find(number);
      texts.push_back(found == row.end() ? nullptr : &found->second);
    }
    add_column(columns_[number].name, texts);
  }
  return tree;
}

}  // namespace

FoundLogs find_logs(const std::vector<fs::path>& roots) {
  FoundLogs logs;
  std::map<std::pair<dev_t, ino_t>, std::pair<std::size_t, fs::path>> seen;  // root, file
  for (std::size_t i = 0; i < roots.size(); ++i) {
    const fs::path& root = roots[i];
    std::error_code failure;
    if (!fs::is_directory(root, failure))
      throw Error("{}: is no folder; expected one with event files below it", shown(root));
    FileSearch found = find_files(
        root, [](const std::string& name) { return name.find(".tfevents.") != std::string::npos; });
    logs.passed_over.insert(logs.passed_over.end(), found.passed_over.begin(),
                            found.passed_over.end());
    if (found.files.empty())
      throw Error("{}: found no event file (*.tfevents.*) below this folder", shown(root));
    // By bytes, and links behind what they name.
    std::ranges::sort(found.files, {}, [](const fs::path& file) {
      return std::pair(fs::is_symlink(file), file.native());
    });
    const std::size_t before = logs.files.size();
    for (const fs::path& file : found.files) {
      struct stat status {};
      if (::stat(file.c_str(), &status) != 0) continue;
      const auto [known, is_new] =
          seen.emplace(std::pair(status.st_dev, status.st_ino), std::pair(i, file));
      if (is_new)
        logs.files.push_back({root, file});
      else if (known->second.first == i)
        logs.passed_over.push_back(
            fmt::format("{}: is the same file as {}", shown(file), shown(known->second.second)));
      else
        throw Error("{}: is the same file as {}; expected each once", shown(file),
                    shown(known->second.second));
    }
    std::sort(logs.files.begin() + static_cast<long>(before), logs.files.end(),
              [](const FoundLogs::File& a, const FoundLogs::File& b) {
                return a.path.native() < b.path.native();
              });
  }
  return logs;
}

std::size_t folder_depth(const FoundLogs::File& file) {
  const std::vector<std::string> folders = folders_between(file.root, file.path);
  return static_cast<std::size_t>(std::ranges::count_if(folders, [](const std::string& folder) {
    return folder.find('=') == std::string::npos || folder.starts_with('=');
  }));
}

void expect_column_names(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (name == "tag" || name == "step" || name == "value")
      throw UsageError("--name: '{}' is the name of a column that event files fill", name);
    if (utf8_text(name) != name)
      throw UsageError("--name: '{}' is not UTF-8", printable(utf8_text(name), 80));
    if (!seen.insert(name).second)
      throw UsageError("--name: '{}' is given twice", printable(name, 80));
  }
}

LogTree read_log_tree(const FoundLogs& logs, const std::vector<bool>& kept,
                      const std::vector<std::string>& names, bool any_depth) {
  Texts texts(names, any_depth);
  for (std::size_t i = 0; i < logs.files.size(); ++i)
    if (kept[i])
      texts.add(logs.files[i].root, logs.files[i].path);
    else
      texts.add_nothing();
  return texts.tree();
}

std::string log_tree_state(const std::vector<fs::path>& roots) {
  std::string state;
  for (const fs::path& root : roots) {
    try {
      for (const FoundLogs::File& file : find_logs({root}).files) {
        struct stat status {};
        if (::stat(file.path.c_str(), &status) != 0) continue;
        state += fmt::format("{} {} {}.{}\n", file.path.native(), status.st_size,
                             status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
      }
    } catch (const Error&) {
      // Reported when it is collected.
    }
  }
  return state;
}

std::variant<std::int64_t, double, std::string> folder_value(std::string_view text) {
  // Python: blanks around are dropped, underscores may stand between digits, a sign may lead.
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const std::string_view trimmed = trim(text);
  std::string plain;
  for (std::size_t i = 0; i < trimmed.size(); ++i) {
    const bool between =
        i > 0 && i + 1 < trimmed.size() && is_digit(trimmed[i - 1]) && is_digit(trimmed[i + 1]);
    if (trimmed[i] != '_' || !between) plain += trimmed[i];
  }
  const bool is_signed = !plain.empty() && (plain[0] == '+' || plain[0] == '-');
  const bool negative = is_signed && plain[0] == '-';
  std::string magnitude = plain.substr(is_signed ? 1 : 0);
  if (magnitude.empty() || magnitude[0] == '+' || magnitude[0] == '-') return std::string(text);
  if (std::ranges::all_of(magnitude, is_digit)) {
    const auto whole = parse_number<long long>((negative ? "-" : "") + magnitude);
    // A number too long for int64 stays distinct as text.
    return whole ? std::variant<std::int64_t, double, std::string>(std::int64_t{*whole})
                 : std::string(text);
  }
  if (const auto number = parse_number<double>(magnitude)) return negative ? -*number : *number;
  for (char& letter : magnitude)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  if (magnitude == "inf" || magnitude == "infinity") return negative ? -HUGE_VAL : HUGE_VAL;
  if (magnitude == "nan") return std::nan("");
  return std::string(text);
}

}  // namespace rankfold
