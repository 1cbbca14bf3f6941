#include "experiments/training/peft_folder.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <regex.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/files.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "experiments/training/run_folder.h"
#include "experiments/training/settings.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr std::size_t largest_rank = 1'000'000;

/// Whether the expression is all of `text`, or all behind one of its dots; nothing where it is no
/// regular expression.
std::optional<bool> matches_end(const std::string& text, const std::string& expression) {
  regex_t compiled;
  const std::string whole = "^(.*\\.)?(" + expression + ")$";
  if (::regcomp(&compiled, whole.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return {};
  const bool found = ::regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  ::regfree(&compiled);
  return found;
}

/// adapter_config.json of PEFT: values, with what it may leave out.
class PeftConfig {
 public:
  explicit PeftConfig(const fs::path& folder) : file_((folder / "adapter_config.json").string()) {
    document_ = json::parse(read_text(file_), nullptr, false);
    if (!document_.is_object()) throw Error("{}: is not a JSON object", file_);
    type = document_.contains("peft_type") ? text("peft_type") : "";
  }

  std::string type;
  const std::string& file() const { return file_; }

  bool has(const char* key) const {
    const auto found = document_.find(key);
    return found != document_.end() && !found->is_null();
  }
  std::string text(const char* key) const {
    if (!document_.at(key).is_string()) refuse(key, "a text");
    return document_.at(key).get<std::string>();
  }
  bool flag(const char* key) const {
    if (!has(key)) return false;
    if (!document_.at(key).is_boolean()) refuse(key, "true or false");
    return document_.at(key).get<bool>();
  }
  double number(const char* key, double fallback) const {
    if (!has(key)) return fallback;
    if (!document_.at(key).is_number()) refuse(key, "a number");
    return document_.at(key).get<double>();
  }
  std::size_t rank(const char* key, std::size_t fallback) const {
    const double value = number(key, static_cast<double>(fallback));
    if (value < 1 || value > largest_rank || value != std::floor(value))
      refuse(key, "a whole number, 1 or more");
    return static_cast<std::size_t>(value);
  }
  /// The value of the first entry whose key, a regular expression, matches the module's name or its
  /// end.
  std::optional<double> pattern(const char* key, const std::string& module) const {
    if (!has(key)) return {};
    if (!document_.at(key).is_object()) refuse(key, "an object");
    for (const auto& [expression, value] : document_.at(key).items()) {
      if (!value.is_number()) refuse(key, "an object of numbers");
      const std::optional<bool> found = matches_end(module, expression);
      if (!found)
        throw Error("{}: {} has the key '{}', expected a regular expression", file_, key,
                    printable(expression, 80));
      if (*found) return value.get<double>();
    }
    return {};
  }
  /// Throws unless the key is missing, null, false, empty or `harmless`.
  void expect_unused(const char* key, const std::string& harmless = "") const {
    const auto found = document_.find(key);
    if (found == document_.end() || found->is_null() || found->empty()) return;
    if (found->is_boolean() && !found->get<bool>()) return;
    if (found->is_string() && found->get<std::string>() == harmless) return;
    refuse(key, "what rankfold can apply: it must be unset");
  }
  [[noreturn]] void refuse(const char* key, const char* expected) const {
    const std::string found = document_.contains(key) ? document_.at(key).dump() : "missing";
    throw Error("{}: {} is {}, expected {}", file_, key, printable(found, 80), expected);
  }

 private:
  std::string file_;
  json document_;
};

/// How PEFT stores a method that rankfold has.
struct PeftForm {
  const char* type;
  const char* method;
  /// Behind the module's name in the file -> our factor.
  std::vector<std::pair<const char*, const char*>> tensors;
  /// Behind "base_model." -> our factor of the model.
  std::vector<std::pair<const char*, const char*>> shared = {};
};

const std::vector<PeftForm>& forms() {
  static const std::vector<PeftForm> all = {
      {"LORA",
       "lora",
       {{"lora_A.weight", "A"}, {"lora_B.weight", "B"}, {"lora_magnitude_vector", "magnitude"}}},
      {"LOHA",
       "loha",
       {{"hada_w1_a", "w1_a"},
        {"hada_w1_b", "w1_b"},
        {"hada_w2_a", "w2_a"},
        {"hada_w2_b", "w2_b"}}},
      {"LOKR",
       "lokr",
       {{"lokr_w1", "w1"},
        {"lokr_w1_a", "w1_a"},
        {"lokr_w1_b", "w1_b"},
        {"lokr_w2", "w2"},
        {"lokr_w2_a", "w2_a"},
        {"lokr_w2_b", "w2_b"}}},
      {"VERA",
       "vera",
       {{"vera_lambda_b", "lambda_b"}, {"vera_lambda_d", "lambda_d"}},
       {{"vera_A", "A"}, {"vera_B", "B"}}},
      {"HIRA", "hira", {{"hira_A", "A"}, {"hira_B", "B"}}},
      {"RANDLORA",
       "randlora",
       {{"randlora_A", "A"},
        {"randlora_B", "B"},
        {"randlora_lambda", "lambda"},
        {"randlora_gamma", "gamma"}},
       {{"randlora_A", "A"}, {"randlora_B", "B"}}},
      {"FOURIERFT", "fourierft", {{"fourierft_spectrum", "spectrum"}}},
  };
  return all;
}

const PeftForm& find_form(const PeftConfig& config) {
  std::vector<std::string> known;
  for (const PeftForm& form : forms()) {
    if (config.type == form.type) return form;
    known.push_back(form.type);
  }
  throw Error("{}: peft_type is '{}', expected one of {}", config.file(),
              printable(config.type, 80), join(known, ", "));
}

/// Settings that change the mathematics in ways that are not here.
void expect_plain(const PeftConfig& config) {
  for (const char* key :
       {"lora_bias", "use_qalora", "use_bdlora", "kasa_config", "alora_invocation_tokens",
        "arrow_config", "layer_replication", "trainable_token_indices", "target_parameters",
        "velora_config", "monteclora_config", "use_effective_conv2d", "n_frequency_pattern"})
    config.expect_unused(key);
  config.expect_unused("bias", "none");
}

AdapterDescription describe(const PeftConfig& config, const PeftForm& form) {
  expect_plain(config);
  AdapterDescription description;
  description.method = form.method;
  if (form.method == std::string("lora") && config.flag("use_dora")) description.method = "dora";
  auto& options = description.settings.options;
  const auto set_rank = [&] { description.rank = std::to_string(config.rank("r", 8)); };
  if (config.type == "LORA") {
    set_rank();
    description.settings.alpha = config.number("lora_alpha", 8);
    options["rslora"] = config.flag("use_rslora") ? "true" : "false";
  } else if (config.type == "LOHA" || config.type == "LOKR") {
    set_rank();
    description.settings.alpha = config.number("alpha", 8);
    if (config.type == "LOKR") {
      options["factor"] = fmt::format("{}", config.number("decompose_factor", -1));
      options["decompose-both"] = config.flag("decompose_both") ? "true" : "false";
    }
  } else if (config.type == "RANDLORA") {
    set_rank();
    description.settings.alpha = config.number("randlora_alpha", 640);
  } else if (config.type == "FOURIERFT") {
    options["frequencies"] = std::to_string(config.rank("n_frequency", 1000));
    options["scale"] = fmt::format("{}", config.number("scaling", 150));
    options["location-seed"] = std::to_string(config.rank("random_loc_seed", 777));
  } else {
    set_rank();
  }
  return description;
}

/// The tensors of the file by what they belong to.
struct PeftTensors {
  std::map<std::string, std::map<std::string, std::string>> modules;  ///< module -> factor -> key
  std::map<std::string, std::string> shared;                          ///< factor -> key
  std::map<std::string, std::string> head;                            ///< name in the model -> key
};

PeftTensors sort_tensors(const SafetensorsFile& file, const PeftForm& form) {
  PeftTensors sorted;
  for (const TensorEntry& entry : file.entries()) {
    const auto shared = std::ranges::find_if(form.shared, [&](const auto& pair) {
      return entry.name == std::string("base_model.") + pair.first;
    });
    if (shared != form.shared.end()) {
      sorted.shared[shared->second] = entry.name;
      continue;
    }
    if (!entry.name.starts_with(peft_prefix))
      throw Error("{}: tensor '{}' does not begin with '{}'", file.path().string(),
                  printable(entry.name, 200), peft_prefix);
    const std::string name = entry.name.substr(std::string_view(peft_prefix).size());
    const auto own = std::ranges::find_if(form.tensors, [&](const auto& pair) {
      return name.ends_with(std::string(".") + pair.first);
    });
    if (own == form.tensors.end())
      sorted.head[name] = entry.name;
    else
      sorted.modules[name.substr(0, name.size() - std::string_view(own->first).size() - 1)]
                    [own->second] = entry.name;
  }
  return sorted;
}

}  // namespace

/// What the file holds, sorted.
struct PeftFolder::Contents {
  PeftConfig config;
  const PeftForm& form;
  SafetensorsFile file;
  PeftTensors tensors;
  std::map<std::string, std::string> modules;  ///< site -> module, once sites are known

  explicit Contents(const fs::path& folder)
      : config(folder),
        form(find_form(config)),
        file(open_foreign_tensors(folder)),
        tensors(sort_tensors(file, form)) {
    if (tensors.modules.empty())
      throw Error("{}: holds no tensor of peft_type {}", file.path().string(), config.type);
  }
};

PeftFolder::PeftFolder(const fs::path& folder) : contents_(std::make_unique<Contents>(folder)) {}
PeftFolder::~PeftFolder() = default;

std::optional<std::size_t> PeftFolder::labels() const {
  return head_labels(contents_->file, contents_->tensors.head);
}

AdapterDescription PeftFolder::describe(const SiteCatalogue& catalogue) {
  const PeftConfig& config = contents_->config;
  const std::string file = contents_->file.path().string();
  AdapterDescription description = rankfold::describe(config, contents_->form);
  auto& modules = contents_->modules;
  modules.clear();
  for (const auto& [module, factors] : contents_->tensors.modules) {
    const Site& site = find_site(catalogue, module, file);
    if (!modules.emplace(site.name, module).second)
      throw Error("{}: modules '{}' and '{}' are one weight of the model", file,
                  modules.at(site.name), module);
    SiteChoice choice;
    choice.name = site.name;
    if (const auto rank = config.pattern("rank_pattern", module)) {
      if (*rank < 1 || *rank > largest_rank || *rank != std::floor(*rank))
        config.refuse("rank_pattern", "whole numbers, 1 or more");
      choice.rank = std::to_string(static_cast<std::size_t>(*rank));
    }
    if (const auto alpha = config.pattern("alpha_pattern", module)) choice.alpha = *alpha;
    description.sites.push_back(std::move(choice));
  }
  return description;
}

std::string PeftFolder::key_of(const Parameter<float>& parameter) const {
  const PeftTensors& tensors = contents_->tensors;
  const SafetensorsFile& file = contents_->file;
  const auto shared = tensors.shared.find(parameter.factor);
  std::string key = shared == tensors.shared.end() ? "" : shared->second;
  const bool is_common = parameter.name == parameter.factor;
  for (const auto& [site, module] : contents_->modules) {
    if (!is_common && parameter.name != parameter.factor + "." + site) continue;
    const auto& own = tensors.modules.at(module);
    const auto found = own.find(parameter.factor);
    if (found == own.end()) continue;
    if (key.empty())
      key = found->second;
    else if (!std::ranges::equal(file.bytes(file.at(key)), file.bytes(file.at(found->second))))
      throw Error("{}: tensors '{}' and '{}' differ, but all modules share factor '{}'",
                  file.path().string(), key, found->second, parameter.factor);
  }
  if (key.empty())
    throw Error(
        "{}: has no tensor for factor '{}'{}", file.path().string(), parameter.name,
        contents_->form.shared.empty() ? "" : "; it must be saved with save_projection=true");
  return key;
}

void PeftFolder::fill(Adapter<float>& adapter) const {
  for (Parameter<float>& parameter : adapter.parameters())
    if (parameter.is_stored())
      read_numbers(contents_->file, key_of(parameter), "factor " + parameter.name,
                   parameter.value.span());
}

void PeftFolder::fill_head(std::vector<TrainedTensor> head) const {
  fill_foreign_head(contents_->file, contents_->tensors.head, head);
}

}  // namespace rankfold
