#include "experiments/sweep/sweep_list.h"

#include <string_view>
#include <unordered_set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_reader.h"
#include "core/base/machine.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// The texts of the elements of the array under the key "runs". A document of many runs as a whole
/// would take ten times the memory of its text.
std::vector<std::string_view> run_texts(std::string_view text) {
  std::vector<std::string_view> elements;
  std::size_t depth = 0, begin = 0;
  std::string_view key;
  bool in_runs = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char letter = text[i];
    if (letter == '"') {
      const std::size_t start = i + 1;
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
      if (depth == 1) key = text.substr(start, std::min(i, text.size()) - start);
    } else if (letter == '[' || letter == '{') {
      if (++depth != 2) continue;
      in_runs = letter == '[' && key == "runs";
      begin = i + 1;
    } else if (letter == ']' || letter == '}' || letter == ',') {
      if (in_runs && depth == 2) {
        elements.push_back(text.substr(begin, i - begin));
        begin = i + 1;
      }
      if (letter == ',') continue;
      if (depth == 0) break;
      in_runs &= --depth >= 2;
    }
  }
  return elements;
}

/// Whether a relative path names something below the folder that it is taken from.
bool stays_below(const fs::path& path) {
  const fs::path plain = path.lexically_normal();
  return !plain.empty() && plain.is_relative() && plain != "." && *plain.begin() != "..";
}

/// The entry of one run; null where the text is none.
Json read_entry(std::string_view text, const fs::path& file) {
  try {
    Json entry = parse_json<Json>(text, file);
    const bool whole = entry.is_object() && entry.contains("folder") &&
                       entry.at("folder").is_string() &&
                       stays_below(entry.at("folder").get<std::string>());
    return whole ? entry : Json();
  } catch (const Error&) {
    return {};
  }
}

std::string line_of(const Json& entry) {
  return entry.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string earlier_text(const fs::path& file) {
  std::error_code failure;
  if (!fs::exists(file, failure)) return "";
  try {
    return read_text(file);
  } catch (const Error& error) {
    throw Error("{}; expected what a sweep wrote: move it away", error.what());
  }
}

}  // namespace

void write_sweep_list(const std::vector<SweepRun>& runs, const fs::path& out,
                      const Registry& registry) {
  const fs::path file = out / "sweep.json";
  const std::string earlier = earlier_text(file);
  std::unordered_set<std::string> folders;
  for (const SweepRun& run : runs)
    folders.insert(run.folder.lexically_relative(out).generic_string());
  std::string text =
      fmt::format("{{\n \"kind\": \"train\",\n \"rankfold\": \"{}\",\n \"runs\": [", version());
  const char* separator = "\n  ";
  const auto add = [&](const Json& entry) {
    text.append(separator).append(line_of(entry));
    separator = ",\n  ";
  };
  for (const std::string_view entry_text : run_texts(earlier)) {
    const Json entry = read_entry(entry_text, file);
    if (entry.is_null()) continue;
    const auto folder = entry.at("folder").get<std::string>();
    std::error_code failure;
    if (!folders.contains(folder) && fs::is_directory(out / folder, failure)) add(entry);
  }
  KnownFolders known;
  for (const SweepRun& run : runs)
    add({{"folder", run.folder.lexically_relative(out).generic_string()},
         {"settings", settings_document(settings_of(run, registry, &known))}});
  text += "\n ]\n}\n";
  if (text != earlier) write_atomically(file, text);
}

}  // namespace rankfold
