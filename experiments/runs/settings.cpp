#include "experiments/runs/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "core/base/error.h"
#include "core/base/text.h"
#include "experiments/tasks/task.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

std::vector<SettingSpec> make_table() {
  using enum SettingKind;
  return {
      {"model",
       "DIR",
       "",
       "model folder: config.json, model.safetensors, vocabulary",
       false,
       folder,
       {},
       true},
      {"data",
       "DIR",
       "",
       "folder with train.tsv and dev.tsv, or with the tasks' folders",
       false,
       folder,
       {},
       true},
      {"task", "NAME", "", task_names(), false, text, {}, true},
      {"method", "NAME", "", "decomposition; `rankfold methods` lists them", false, text, {}, true},
      {"rank", "R", "", "rank of the decomposition", false, rank, {}},
      {"alpha",
       "X",
       "",
       "scale of the update times the rank; default: the method's",
       false,
       number,
       {}},
      {"preset", "NAME", "", "a published set-up of the method", false, text, {}},
      {"targets",
       "LIST",
       "",
       "adapted matrices: q,k,v,o,gate,up,down,in_proj or adapters; default "
       "q,v or the method's",
       true,
       list,
       {}},
      {"layers",
       "LIST",
       "all",
       "all, first:N, last:N or a 0-based list such as 0,2,5-7",
       true,
       list,
       {}},
      {"train", "LIST", "", "trained besides adapter and head: norms, tt-head", true, list, {}},
      {"lr", "X", "", "peak learning rate", false, number, {}, true},
      {"epochs", "N", "3", "passes over the training set", false, count, {}},
      {"batch", "N", "32", "sequences a step", false, count, {}},
      {"max-length", "N", "128", "tokens a sequence is cut to", false, count, {}},
      {"max-train", "N", "0", "first N rows of the training set; 0: all", false, count, {}},
      {"optimizer", "NAME", "adamw", "adamw or sgd", false, choice, {"adamw", "sgd"}},
      {"weight-decay", "X", "0", "of every trained tensor", false, number, {}},
      {"beta1", "X", "0.9", "AdamW: decay of the mean gradient", false, number, {}},
      {"beta2", "X", "0.999", "AdamW: decay of the mean squared gradient", false, number, {}},
      {"epsilon", "X", "1e-8", "AdamW: added to the denominator", false, number, {}},
      {"schedule",
       "NAME",
       "linear",
       "constant, linear, polynomial or cosine",
       false,
       choice,
       {"constant", "linear", "polynomial", "cosine"}},
      {"warmup",
       "X",
       "0.06",
       "share of the steps in which the rate rises from 0",
       false,
       number,
       {}},
      {"clip",
       "X",
       "0",
       "largest norm of all gradients together; 0: no clipping",
       false,
       number,
       {}},
      {"dropout", "X", "", "of the network; default: as config.json says", false, number, {}},
      {"precision",
       "TYPE",
       "f32",
       "of products with frozen weights: f32, or bf16, which needs AVX512_BF16 or AMX",
       false,
       choice,
       {"f32", "bf16"}},
      {"score-on",
       "SPLIT",
       "dev",
       "examples that are scored: dev, or held-out for choosing learning rates",
       false,
       choice,
       {"dev", "held-out"}},
      {"seed", "N", "42", "of head, factors, data order and dropout", false, count, {}},
      {"threads", "N", "", "default: all processors; 1 in sweeps of training", false, count, {}},
      {"cache-features",
       "true|false",
       "false",
       "compute what leaves the layers below all adapted ones once, keep it on disk and reuse it; "
       "needs --dropout 0",
       false,
       choice,
       {"false", "true"},
       false,
       "true"},
      {"cache-dir",
       "DIR",
       "",
       "where it is kept; default: .features in --out, shared by the runs of a sweep",
       false,
       folder,
       {},
       false,
       "",
       true},
      {"cache-limit",
       "MIB",
       "4096",
       "at most that much of it for a run; what does not fit is computed in every step",
       false,
       count,
       {},
       false,
       "",
       true},
  };
}

/// By name, as the settings of a run are.
const std::vector<const SettingSpec*>& sorted_specs() {
  static const std::vector<const SettingSpec*> sorted = [] {
    std::vector<const SettingSpec*> specs;
    for (const SettingSpec& spec : run_settings()) specs.push_back(&spec);
    std::ranges::sort(specs, {}, &SettingSpec::name);
    return specs;
  }();
  return sorted;
}

const SettingSpec* find_spec(std::string_view name) {
  const auto found = std::ranges::lower_bound(sorted_specs(), name, {}, &SettingSpec::name);
  return found == sorted_specs().end() || (*found)->name != name ? nullptr : *found;
}

double parse_finite(const std::string& name, const std::string& text) {
  const auto value = parse_number<double>(text);
  if (!value || !std::isfinite(*value)) {
    throw UsageError("--{} is '{}'; expected a number such as 5e-4", name, printable(text, 80));
  }
  return *value;
}

std::uint64_t parse_count(const std::string& name, const std::string& text) {
  const auto value = parse_number<unsigned long long>(text);
  if (!value) {
    throw UsageError("--{} is '{}'; expected a whole number, 0 or more", name, printable(text, 80));
  }
  return *value;
}

std::string canonical_list(const std::string& name, const std::string& text) {
  std::vector<std::string> words;
  for (const std::string& part : split(text, ',')) {
    words.emplace_back(trim(part));
    if (words.back().empty()) {
      throw UsageError("--{} is '{}'; expected words with a comma between them", name,
                       printable(text, 80));
    }
  }
  return join(words, ",");
}

std::string canonical_rank(const std::string& text) {
  std::vector<std::string> ranks;
  for (const std::string& part : split(text, 'x')) {
    const auto value = parse_number<unsigned long long>(part);
    if (!value || *value == 0) {
      throw UsageError("--rank is '{}'; expected a positive number such as 8", printable(text, 80));
    }
    ranks.push_back(std::to_string(*value));
  }
  return join(ranks, "x");
}

/// run.json keeps the path, and JSON is UTF-8.
std::string expect_utf8(std::string path) {
  for (std::size_t i = 0; i < path.size();) {
    const std::size_t length = utf8_length(std::string_view(path).substr(i));
    if (length == 0)
      throw UsageError("{}: the path of this folder is no UTF-8; expected another name",
                       printable(path, 300));
    i += length;
  }
  return path;
}

/// Absolute, with the links above it followed but its own name as it was given: a model keeps the
/// name by which the user knows it.
std::string absolute_folder(const std::string& text) {
  fs::path path = text;
  if (!path.has_filename() && path.has_relative_path()) path = path.parent_path();
  const fs::path name = path.filename();
  std::error_code failure;
  if (name.empty() || name == "." || name == "..") {
    const fs::path whole = fs::weakly_canonical(fs::absolute(path, failure), failure);
    return expect_utf8(failure ? text : whole.string());
  }
  const fs::path parent = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const fs::path above = fs::weakly_canonical(fs::absolute(parent, failure), failure);
  return expect_utf8(failure ? text : (above / name).string());
}

/// With links followed; the text itself where that cannot be.
std::string real_folder(const std::string& text) {
  std::error_code failure;
  const fs::path whole = fs::weakly_canonical(text, failure);
  return failure ? text : whole.string();
}

template <class Find>
std::string looked_up(std::map<std::string, std::string>* known, const std::string& text,
                      const Find& find) {
  if (known == nullptr) return find(text);
  const auto found = known->find(text);
  return found != known->end() ? found->second : known->emplace(text, find(text)).first->second;
}

std::string canonical_value(const SettingSpec& spec, const std::string& text, KnownFolders* known) {
  switch (spec.kind) {
    case SettingKind::folder:
      return looked_up(known ? &known->absolute : nullptr, text, absolute_folder);
    case SettingKind::count:
      return std::to_string(parse_count(spec.name, text));
    case SettingKind::number:
      return canonical_number(parse_finite(spec.name, text));
    case SettingKind::list:
      return canonical_list(spec.name, text);
    case SettingKind::rank:
      return canonical_rank(text);
    case SettingKind::choice:
      if (std::find(spec.choices.begin(), spec.choices.end(), text) == spec.choices.end()) {
        throw unknown_name(spec.name, text, spec.choices);
      }
      return text;
    case SettingKind::text:
      break;
  }
  return text;
}

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
  for (const SettingSpec* spec : sorted_specs()) {
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

/// What a number may be; defaults are.
struct Limit {
  const char* name;
  bool (*holds)(double value);
  const char* expected;
};

constexpr auto positive = [](double value) { return value > 0; };
constexpr auto not_negative = [](double value) { return value >= 0; };
constexpr auto below_one = [](double value) { return value >= 0 && value < 1; };

constexpr Limit limits[] = {
    {"lr", positive, "a positive number"},
    {"epochs", positive, "1 or more"},
    {"batch", positive, "1 or more"},
    {"max-length", positive, "1 or more"},
    {"weight-decay", not_negative, "0 or more"},
    {"clip", not_negative, "0 or more"},
    {"epsilon", positive, "a positive number"},
    {"beta1", below_one, "0 or more, below 1"},
    {"beta2", below_one, "0 or more, below 1"},
    {"warmup", [](double value) { return value >= 0 && value <= 1; },
     "a share of the steps, 0 to 1"},
    {"dropout", below_one, "0 or more, below 1"},
    {"threads", [](double value) { return value > 0 && value <= 4096; }, "1 to 4096"},
};

void check_limits(const RunSettings& settings) {
  for (const Limit& limit : limits) {
    const auto given = settings.values.find(limit.name);
    if (given != settings.values.end() && !given->second.empty() &&
        !limit.holds(parse_finite(limit.name, given->second)))
      throw UsageError("--{} is {}; expected {}", limit.name, printable(given->second, 80),
                       limit.expected);
  }
  if (settings.text("train").empty()) return;
  static const std::vector<std::string> parts{"head", "norms", "output", "tt-head"};
  for (const std::string& part : split(settings.text("train"), ',')) {
    const std::string word(trim(part));
    if (std::find(parts.begin(), parts.end(), word) == parts.end()) {
      throw unknown_name("part for --train", word, parts);
    }
  }
}

/// Canonical values of settings that are complete and within their limits.
RunSettings checked_values(const RunSettings& settings, KnownFolders* known) {
  RunSettings result = canonical_values(settings, known);
  for (const SettingSpec& spec : run_settings())
    if (spec.required && !result.values.contains(spec.name))
      throw UsageError("--{} is missing; expected {} ({})", spec.name, spec.value, spec.meaning);
  check_limits(settings);
  return result;
}

}  // namespace

std::string task_names() {
  std::vector<std::string> names;
  for (const Task& task : tasks()) names.push_back(task.name);
  return join(names, ", ");
}

const std::vector<SettingSpec>& run_settings() {
  static const std::vector<SettingSpec> table = make_table();
  return table;
}

const std::string& RunSettings::text(const std::string& name) const {
  const auto found = values.find(name);
  if (found != values.end()) return found->second;
  const SettingSpec* spec = find_spec(name);
  if (spec == nullptr) throw Error("run settings: there is no setting '{}'", name);
  return spec->fallback;
}

double RunSettings::number(const std::string& name) const {
  return parse_finite(name, text(name));
}

std::size_t RunSettings::count(const std::string& name) const {
  return parse_count(name, text(name));
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

  result.values["targets"] = canonical_list("targets", chosen_targets(result, *method));
  const auto preset = std::find_if(
      method->presets.begin(), method->presets.end(),
      [&](const Preset& candidate) { return candidate.name == result.text("preset"); });
  if (preset != method->presets.end()) {
    for (const auto& [name, value] : preset->values) {
      if (name == "alpha") {
        result.values.try_emplace(name, canonical_number(parse_finite(name, value)));
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

bool is_incidental(const std::string& name) {
  const SettingSpec* spec = find_spec(name);
  return spec != nullptr && spec->incidental;
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
  for (const char* name : {"model", "data"}) {
    std::string& folder = settings.values.at(name);
    folder = looked_up(known ? &known->real : nullptr, folder, real_folder);
  }
  std::erase_if(settings.values, [](const auto& value) { return is_incidental(value.first); });
  return settings;
}

MethodRequest method_request(const RunSettings& settings) {
  MethodRequest request;
  request.rank = settings.text("rank");
  if (!settings.text("alpha").empty()) request.alpha = settings.number("alpha");
  request.preset = settings.text("preset");
  request.options = settings.options;
  return request;
}

std::string chosen_targets(const RunSettings& settings, const Method& method) {
  if (!settings.text("targets").empty()) return settings.text("targets");
  return method.default_targets.empty() ? "q,v" : method.default_targets;
}

}  // namespace rankfold
