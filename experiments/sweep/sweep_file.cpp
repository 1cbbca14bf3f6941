#include <algorithm>
#include <set>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/text.h"
#include "experiments/sweep/sweep.h"

namespace rankfold {
namespace {

/// The line up to a '#' that begins a comment; behind a backslash it is a sign of the line.
std::string without_comment(std::string_view line) {
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool begins = i == 0 || line[i - 1] == ' ' || line[i - 1] == '\t';
    if (begins && line[i] == '#') break;
    if (begins && line.substr(i).starts_with("\\#")) ++i;
    text += line[i];
  }
  return text;
}

bool is_control(char letter) {
  const auto byte = static_cast<unsigned char>(letter);
  return (byte < 0x20 && letter != '\t') || byte == 0x7F;
}

}  // namespace

std::vector<SweepEntry> read_sweep_file(const std::filesystem::path& file) {
  constexpr std::size_t largest_file = std::size_t{1} << 22;
  return read_sweep_text(read_text(file, largest_file), printable(file.string()));
}

std::vector<SweepEntry> read_sweep_text(std::string text, const std::string& name) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  std::vector<SweepEntry> entries;
  std::set<std::string> keys;
  std::size_t number = 0;
  for (std::string& whole : split(text, '\n')) {
    const std::string where = fmt::format("{}:{}", name, ++number);
    if (whole.ends_with('\r')) whole.pop_back();
    if (std::ranges::any_of(whole, is_control))
      throw UsageError("{}: found a control character in '{}', expected text", where,
                       printable(whole, 80));
    const std::string uncommented = without_comment(whole);
    const std::string_view line = trim(uncommented);
    if (line.empty()) continue;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos)
      throw UsageError("{}: found '{}', expected key = value", where, printable(line, 80));
    const std::string key(trim(line.substr(0, equals)));
    const std::string value(trim(line.substr(equals + 1)));
    if (key.empty()) throw UsageError("{}: found no key before '=', expected key = value", where);
    if (value.empty()) throw UsageError("{}: {} has no value", where, printable(key, 80));
    if (!keys.insert(key).second)
      throw UsageError("{}: {} stands twice in the file", where, printable(key, 80));
    entries.push_back({key, value, where});
  }
  return entries;
}

}  // namespace rankfold
