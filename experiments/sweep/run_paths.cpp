#include "experiments/sweep/run_paths.h"

#include <map>
#include <set>

#include <fmt/core.h>

#include "core/error.h"
#include "core/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using Values = std::map<std::string, std::string>;

const std::set<std::string>& places() {
  static const std::set<std::string> names = {"task", "model", "method"};
  return names;
}

/// Settings and options under one roof; an option that shares a setting's name gets its method's.
/// What is incidental is left out.
Values all_values(const RunSettings& run) {
  Values values = run.values;
  std::erase_if(values, [](const auto& value) { return is_incidental(value.first); });
  for (const auto& [name, value] : run.options)
    values.emplace(values.contains(name) ? run.text("method") + "." + name : name, value);
  return values;
}

/// The run with every setting that has a default at it.
Values default_values(const RunSettings& run, const Registry& registry) {
  RunSettings plain;
  for (const char* name : {"model", "data", "task", "method", "rank", "lr", "preset"}) {
    const auto found = run.values.find(name);
    if (found != run.values.end()) plain.values.insert(*found);
  }
  plain.values["threads"] = "1";
  Values values = all_values(canonical(plain, &registry.at(run.text("method"))));
  values.erase("preset");
  return values;
}

std::string folder_name(const std::string& model) {
  const fs::path name = fs::path(model).filename();
  return name.empty() ? "model" : name.string();
}

std::string segment(const std::string& name, const std::string& value) {
  constexpr std::size_t longest = 200;  // of the 255 bytes of a file name
  std::string text = path_safe(name) + "=" + path_safe(value);
  if (text.size() > longest) {
    std::uint64_t hash = 0xCBF29CE484222325;
    for (const char letter : text)
      hash = (hash ^ static_cast<unsigned char>(letter)) * std::uint64_t{0x100000001B3};
    text = fmt::format("{}-{:016x}", text.substr(0, longest), hash);
  }
  return text;
}

}  // namespace

std::string path_safe(const std::string& value) {
  std::string safe;
  for (const char letter : value) {
    const bool plain = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
                       (letter >= '0' && letter <= '9') ||
                       std::string_view("._,+:-").find(letter) != std::string_view::npos;
    if (plain && !(safe.empty() && letter == '.'))
      safe += letter;
    else
      safe += fmt::format("%{:02X}", static_cast<unsigned char>(letter));
  }
  return safe;
}

std::vector<fs::path> run_paths(const std::vector<RunSettings>& runs, const Registry& registry) {
  std::map<std::string, std::map<std::string, std::set<std::string>>> seen;  // by method, setting
  std::map<std::string, std::size_t> count;
  std::vector<Values> values;
  for (const RunSettings& run : runs) {
    values.push_back(all_values(run));
    ++count[run.text("method")];
    for (const auto& [name, value] : values.back()) seen[run.text("method")][name].insert(value);
  }
  // A setting that only some runs of a method have varies too.
  std::map<std::string, std::map<std::string, std::size_t>> holders;
  for (std::size_t i = 0; i < runs.size(); ++i)
    for (const auto& [name, value] : values[i]) ++holders[runs[i].text("method")][name];

  std::vector<fs::path> paths;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string& method = runs[i].text("method");
    const Values defaults = default_values(runs[i], registry);
    fs::path path = fs::path(path_safe(runs[i].text("task"))) /
                    path_safe(folder_name(runs[i].text("model"))) / path_safe(method);
    for (const char* name : {"lr", "rank"})
      if (values[i].contains(name)) path /= segment(name, values[i].at(name));
    for (const auto& [name, value] : values[i]) {
      if (places().contains(name) || name == "lr" || name == "rank" || name == "seed") continue;
      const bool varies = seen[method][name].size() > 1 || holders[method][name] < count[method];
      const auto standard = defaults.find(name);
      if (varies || standard == defaults.end() || standard->second != value)
        path /= segment(name, value);
    }
    paths.push_back(path / segment("seed", values[i].at("seed")));
  }
  return paths;
}

}  // namespace rankfold
