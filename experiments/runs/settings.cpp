#include "experiments/runs/settings.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/prompt_task.h"
#include "experiments/tasks/table_file.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

/// Of a table of one's own.
constexpr std::pair<const char*, const char*> table_defaults[] = {
    {"text", "text"}, {"label", "label"}, {"metric", "accuracy"}};

UsageError unknown_setting(const std::string& name) {
  std::vector<std::string> names;
  for (const SettingSpec& spec : run_settings()) names.push_back(spec.name);
  return unknown_name("setting", name, names);
}

/// What every setting is, given or by default, in its one form. Throws for an unknown name.
RunSettings canonical_values(const RunSettings& settings, KnownFolders* known) {
  RunSettings result;
  auto given = settings.values.begin();
  const auto end = settings.values.end();
  for (const SettingSpec* spec : sorted_settings()) {
    if (given != end && given->first < spec->name) throw unknown_setting(given->first);
    const bool is_given = given != end && given->first == spec->name;
    const std::string& value = is_given ? (given++)->second : spec->fallback;
    if (!value.empty())
      result.values.emplace_hint(result.values.end(), spec->name,
                                 canonical_value(*spec, value, known));
  }
  if (given != end) throw unknown_setting(given->first);
  return result;
}

void check_limits(const RunSettings& settings) {
  // Numbers before words: of several mistakes the same one is told first.
  for (const bool words : {false, true})
    for (const SettingSpec& spec : run_settings()) {
      const auto given = settings.values.find(spec.name);
      if (spec.is_list() == words && given != settings.values.end() && !given->second.empty())
        check_limit(spec, given->second);
    }
}

/// Canonical values of settings that are complete and within their limits.
RunSettings checked_values(RunSettings settings, KnownFolders* known) {
  fill_table(settings);
  RunSettings result = canonical_values(settings, known);
  for (const SettingSpec& spec : run_settings())
    if (spec.required && !result.values.contains(spec.name))
      throw UsageError("--{} is missing; expected {} ({})", spec.name, spec.value, spec.meaning);
  check_limits(settings);
  return result;
}

}  // namespace

const std::string& RunSettings::text(const std::string& name) const {
  const auto found = values.find(name);
  if (found != values.end()) return found->second;
  const SettingSpec* spec = find_setting(name);
  if (spec == nullptr) throw Error("run settings: there is no setting '{}'", name);
  return spec->fallback;
}

double RunSettings::number(const std::string& name) const {
  return setting_number(name, text(name));
}

bool RunSettings::asks_in_words() const {
  return text("scoring") == "prompt";
}

std::size_t RunSettings::count(const std::string& name) const {
  return setting_count(name, text(name));
}

void check_setting(const std::string& name, const std::string& value) {
  RunSettings probe;
  probe.values[name] = value;
  canonical_values(probe, nullptr);
  check_limits(probe);
}

void check_settings(const RunSettings& settings) {
  checked_values(settings, nullptr);
}

RunSettings canonical(const RunSettings& settings, const Method* method, KnownFolders* known) {
  RunSettings result = checked_values(settings, known);
  result.options = settings.options;
  if (method == nullptr) return result;

  result.values["targets"] =
      canonical_value(*find_setting("targets"), chosen_targets(result, *method, SiteCatalogue{}));
  const auto preset = std::find_if(
      method->presets.begin(), method->presets.end(),
      [&](const Preset& candidate) { return candidate.name == result.text("preset"); });
  if (preset != method->presets.end()) {
    for (const auto& [name, value] : preset->values) {
      if (name == "alpha") {
        result.values.try_emplace(name, canonical_number(setting_number(name, value)));
      } else {
        result.options.try_emplace(name, value);
      }
    }
  }
  if (method->alpha != 0) result.values.try_emplace("alpha", canonical_number(method->alpha));
  for (const MethodOption& option : method->options) {
    if (!option.fallback.empty()) result.options.try_emplace(option.name, option.fallback);
  }
  // Numbers among the options have one form as well; shapes and words stay as they are.
  for (auto& [name, value] : result.options) {
    const auto number = parse_number<double>(value);
    if (number && std::isfinite(*number)) value = canonical_number(*number);
  }
  return result;
}

RunSettings identity(const RunSettings& settings, const Registry& registry, KnownFolders* known) {
  try {
    return identity_of_canonical(canonical(settings, &registry.at(settings.text("method")), known),
                                 known);
  } catch (const UsageError&) {
    return settings;
  }
}

RunSettings identity_of_canonical(RunSettings settings, KnownFolders* known) {
  for (auto setting = settings.values.begin(); setting != settings.values.end();) {
    const SettingSpec* spec = find_setting(setting->first);
    if (spec != nullptr && spec->incidental) {
      setting = settings.values.erase(setting);
      continue;
    }
    if (spec != nullptr && spec->kind == SettingKind::folder)
      setting->second = real_folder(setting->second, known);
    ++setting;
  }
  return settings;
}

RunSettings settings_with(const RunSettings& settings, std::initializer_list<SettingRole> roles) {
  RunSettings chosen;
  for (const auto& [name, value] : settings.values)
    if (const SettingSpec* spec = find_setting(name); spec && spec->has_role(roles))
      chosen.values.emplace(name, value);
  return chosen;
}

RunSettings content_settings(const RunSettings& run) {
  RunSettings settings;
  for (const SettingSpec& spec : run_settings())
    if (spec.has_role({SettingRole::content})) settings.values[spec.name] = run.text(spec.name);
  if (run.asks_in_words()) settings.values["seed"] = run.text("seed");
  return settings;
}

std::string settings_text(const RunSettings& settings) {
  std::string text;
  for (const auto* values : {&settings.values, &settings.options}) {
    for (const auto& [name, value] : *values)
      text.append(name).append(1, '=').append(value).append(1, '\0');
    text += '\0';
  }
  return text;
}

MethodRequest method_request(const RunSettings& settings) {
  MethodRequest request;
  request.rank = settings.text("rank");
  if (!settings.text("alpha").empty()) request.alpha = settings.number("alpha");
  request.preset = settings.text("preset");
  request.options = settings.options;
  return request;
}

namespace {

/// Whether some parts of a fused weight have a bias, and others none (DeBERTa).
bool has_part_biases(const SiteCatalogue& catalogue) {
  return std::ranges::find(catalogue.sites, Site::BiasRows::some, &Site::bias) !=
         catalogue.sites.end();
}

/// `all` with the parts of fused weights in their place.
std::string parts_of_all(const SiteCatalogue& catalogue) {
  std::vector<std::string> names;
  std::set<MatrixType> types;
  for (const Site& site : catalogue.sites)
    if (!site.beside_all && site.matrix != MatrixType::in_proj) types.insert(site.matrix);
  for (const MatrixType type : types) names.emplace_back(to_string(type));
  return join(names, ",");
}

}  // namespace

std::string chosen_targets(const RunSettings& settings, const Method& method,
                           const SiteCatalogue& catalogue) {
  if (const std::string& targets = settings.text("targets"); !targets.empty()) {
    if (targets == everything && !method.takes_everything)
      throw UsageError(
          "--targets everything: {} has no meaning for weights that are no matrices; "
          "expected all-linear, or method full",
          method.name);
    return targets;
  }
  if (method.default_targets == "all" && has_part_biases(catalogue)) return parts_of_all(catalogue);
  if (!method.default_targets.empty()) return method.default_targets;
  const auto is_part = [](const Site& site) { return !site.part_of.empty(); };
  const bool fused = std::ranges::any_of(catalogue.sites, is_part);
  return fused ? std::string(to_string(MatrixType::in_proj)) : "q,v";
}

void check_everything(const RunSettings& settings) {
  if (settings.text("targets") != everything) return;
  for (const std::string& part : split(settings.text("train"), ','))
    if (const auto name = trim(part); name != "head" && name != "output" && !name.empty())
      throw UsageError(
          "--targets everything holds the norms and the dense layer of the head; "
          "expected --train head, output or nothing");
  if (settings.text("layers") != "all")
    throw UsageError("--layers is {}; --targets everything trains all layers, expected all",
                     printable(settings.text("layers"), 80));
  if (settings.number("adapter-dropout") > 0)
    throw UsageError(
        "--adapter-dropout is {}; --targets everything trains the weights themselves, with no "
        "adapter: expected 0",
        settings.text("adapter-dropout"));
  if (settings.text("precision") == "bf16")
    throw UsageError(
        "--precision bf16 rounds frozen weights, once; --targets everything freezes none: expected "
        "f32");
}

void fill_table(RunSettings& settings) {
  const fs::path task = settings.text("task"), data = settings.text("data");
  const bool is_filled = is_table_file(data) && table_task_name(data) == task;
  if (is_table_file(task) && !is_filled) {
    settings.values["data"] = task.string();
    settings.values["task"] = table_task_name(task);
  }
  if (!is_table_file(settings.text("data"))) {
    if (!task.has_extension()) return;
    throw UsageError("--task is '{}'; expected a name, or a table FILE.tsv, .csv or .jsonl",
                     printable(task.string(), 80));
  }
  const bool in_words = !settings.text("prompt").empty();
  if (in_words) settings.values.try_emplace("scoring", "prompt");
  for (const auto& [name, value] : table_defaults)
    if (settings.text(name).empty() && (!in_words || std::string_view(name) == "label"))
      settings.values[name] = value;
}

TaskChoice task_choice(const RunSettings& settings) {
  return {.task = settings.text("task"),
          .data = settings.text("data"),
          .text = settings.text("text"),
          .label = settings.text("label"),
          .dev = settings.text("dev"),
          .metric = settings.text("metric"),
          .scoring = settings.text("scoring"),
          .prompt = settings.text("prompt")};
}

std::map<std::string, std::string> table_settings(const RunSettings& settings) {
  std::map<std::string, std::string> chosen;
  if (!is_table_file(settings.text("data"))) return chosen;
  for (const char* name : {"text", "label", "metric", "prompt"})
    if (!settings.text(name).empty()) chosen[name] = settings.text(name);
  if (const fs::path dev = settings.text("dev"); !dev.empty())
    chosen["dev"] = dev.filename().string();
  return chosen;
}

void fill_targets(RunSettings& settings, const Method& method, const SiteCatalogue& catalogue) {
  const std::string targets = chosen_targets(settings, method, catalogue);
  if (method.adapts_sites && targets != chosen_targets(settings, method, SiteCatalogue{}))
    settings.values["targets"] = targets;
}

std::size_t virtual_tokens(const RunSettings& settings, const Method& method) {
  if (method.entry == Entry::weights) return 0;
  return resolve_settings(method, method_request(settings), {}).count("tokens");
}

std::size_t positions_left(const RunSettings& settings, const Method& method,
                           std::size_t positions) {
  return positions - std::min(virtual_tokens(settings, method), positions - 1);
}

void fill_scoring(RunSettings& settings, bool tells_tokens, std::size_t positions) {
  constexpr std::size_t usual_length = 2048;
  if (tells_tokens && find_prompt_task(settings.text("task")) &&
      !is_table_file(settings.text("data")))
    settings.values.try_emplace("scoring", "prompt");
  if (settings.asks_in_words())
    settings.values.try_emplace("max-length", std::to_string(std::min(usual_length, positions)));
}

}  // namespace rankfold
