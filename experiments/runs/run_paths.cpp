#include "experiments/runs/run_paths.h"

#include <fmt/core.h>

#include "core/base/hash.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Calls `visit` with every setting and option that tells runs apart, by name, and its place; an
/// option that shares a setting's name gets its method's.
template <class Visit>
void for_each_value(const RunSettings& run, const Visit& visit) {
  for (const auto& [name, value] : run.values) {
    const SettingSpec* spec = find_setting(name);
    if (spec == nullptr || !spec->incidental)
      visit(name, value, spec == nullptr ? SettingPlace::varied : spec->place);
  }
  for (const auto& [name, value] : run.options)
    visit(run.values.contains(name) ? run.text("method") + "." + name : name, value,
          SettingPlace::varied);
}

std::string folder_name(const std::string& model) {
  const fs::path name = fs::path(model).filename();
  return name.empty() ? "model" : name.string();
}

/// The file name, or its beginning and a hash where file systems have no room for it.
std::string short_enough(std::string name) {
  constexpr std::size_t longest = 200;  // of the 255 bytes of a file name
  if (name.size() > longest) name = fmt::format("{}-{:016x}", name.substr(0, longest), fnv1a(name));
  return name;
}

std::string segment(const std::string& name, const std::string& value) {
  return short_enough(path_safe(name) + "=" + path_safe(value));
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

void RunPaths::add(const RunSettings& run) {
  OfMethod& method = methods_[run.text("method")];
  ++method.runs;
  for_each_value(run, [&](const std::string& name, const std::string& value, SettingPlace) {
    Seen& seen = method.settings[name];
    if (seen.runs++ == 0) seen.first = value;
    seen.varies |= seen.first != value;
  });
}

const RunPaths::Values& RunPaths::defaults_of(const RunSettings& run, OfMethod& method) const {
  const std::string& preset = run.text("preset");
  const auto known = method.defaults.find(preset);
  if (known != method.defaults.end()) return known->second;
  RunSettings plain;
  // What has no default of its own, and what others' defaults depend on.
  for (const auto& [name, value] : run.values)
    if (const SettingSpec* spec = find_setting(name);
        spec != nullptr && (spec->required || name == "rank" || name == "preset"))
      plain.values.emplace(name, value);
  for (const SettingSpec& spec : run_settings())
    if (!spec.in_sweeps.empty()) plain.values[spec.name] = spec.in_sweeps;
  Values defaults;
  for_each_value(canonical(plain, &registry_.at(run.text("method"))),
                 [&](const std::string& name, const std::string& value, SettingPlace) {
                   defaults[name] = value;
                 });
  defaults.erase("preset");
  return method.defaults.emplace(preset, std::move(defaults)).first->second;
}

fs::path RunPaths::path(const RunSettings& run) {
  OfMethod& method = methods_.at(run.text("method"));
  const Values& defaults = defaults_of(run, method);
  fs::path path = short_enough(path_safe(run.text("task")));
  path /= short_enough(path_safe(folder_name(run.text("model"))));
  path /= short_enough(path_safe(run.text("method")));
  Values others, last;
  for_each_value(run, [&](const std::string& name, const std::string& value, SettingPlace place) {
    if (place == SettingPlace::first) path /= segment(name, value);
    if (place == SettingPlace::last) last.emplace(name, value);
    if (place != SettingPlace::varied) return;
    // A setting that only some runs of a method have varies too.
    const Seen& seen = method.settings.at(name);
    const auto standard = defaults.find(name);
    if (seen.varies || seen.runs < method.runs || standard == defaults.end() ||
        standard->second != value)
      others.emplace(name, value);
  });
  for (const auto& [name, value] : others) path /= segment(name, value);
  for (const auto& [name, value] : last) path /= segment(name, value);
  return path;
}

}  // namespace rankfold
