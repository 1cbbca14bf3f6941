#include "experiments/adapter_files/peft_form.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/core.h>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using Meaning = ForeignKey::Meaning;
using Ending = PeftParameter::Ending;

constexpr Meaning read = Meaning::read, nothing = Meaning::changes_nothing, off = Meaning::off_only;

/// Starts of LoRA's factors behind which the base weight is what it was.
constexpr std::array plain_starts{"gaussian", "eva", "orthogonal", "mica"};
/// Starts that are taken off the base weight and follow from it alone.
constexpr std::array weight_starts{"pissa", "olora"};
/// Those that PEFT takes in capitals too.
constexpr std::array caseless_starts{"gaussian", "mica", "olora"};

std::string lower_case(std::string text) {
  for (char& letter : text)
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
  return text;
}

/// lora's option `init` for init_lora_weights.
std::string start_of(const PeftConfig& config) {
  const char* key = "init_lora_weights";
  const auto value = config.find(key);
  if (!value || value->is_boolean()) return "published";
  std::string start = config.text(key);
  if (std::ranges::find(caseless_starts, lower_case(start)) != caseless_starts.end())
    start = lower_case(start);
  if (std::ranges::find(plain_starts, start) != plain_starts.end()) return "published";
  if (std::ranges::find(weight_starts, start) != weight_starts.end()) return start;
  config.refuse(
      key,
      "true, false, gaussian, eva, orthogonal, mica, pissa or olora: the base weight that "
      "another start leaves does not follow from the files (PEFT's save_pretrained turns "
      "some into a plain LoRA, with path_initial_model_for_weight_conversion)");
}

std::string text_of(bool flag) {
  return flag ? "true" : "false";
}

PeftForm lora_form() {
  return {.type = "LORA",
          .parameters = {{"lora_A", "A", Ending::weight},
                         {"lora_B", "B", Ending::weight},
                         {"lora_magnitude_vector", "magnitude", Ending::either}},
          .ranks = {{"A", 0}},
          .keys = {{"r", read},
                   {"lora_alpha", read},
                   {"rank_pattern", read},
                   {"alpha_pattern", read},
                   {"use_rslora", read},
                   {"use_dora", read},
                   {"init_lora_weights", read},
                   {"exclude_modules", read},
                   {"lora_dropout", nothing},
                   // Linear layers are never stored (in, out); PEFT sets it back for them.
                   {"fan_in_fan_out", nothing},
                   {"megatron_core", nothing},
                   {"qalora_group_size", nothing},
                   // init_lora_weights says which start was taken.
                   {"loftq_config", nothing},
                   {"eva_config", nothing},
                   {"corda_config", nothing},
                   {"lora_ga_config", nothing},
                   {"runtime_config", nothing},
                   // Of embeddings and heads, whose adapters are refused as tensors.
                   {"ensure_weight_tying", nothing},
                   {"merge_weights", nothing},
                   {"enable_lora", off},
                   {"bias", off, {"\"none\""}},
                   {"lora_bias", off},
                   {"megatron_config", off},
                   {"trainable_token_indices", off},
                   {"velora_config", off},
                   {"alora_invocation_tokens", off},
                   {"use_qalora", off},
                   {"monteclora_config", off},
                   {"layer_replication", off},
                   {"target_parameters", off},
                   {"use_bdlora", off},
                   {"arrow_config", off},
                   {"kasa_config", off}},
          .alpha_key = "lora_alpha",
          .default_alpha = 8,
          .describe = [](const PeftConfig& config, AdapterDescription& description) {
            description.method = config.flag("use_dora") ? "dora" : "lora";
            description.settings.options = {{"rslora", text_of(config.flag("use_rslora"))},
                                            {"init", start_of(config)}};
          }};
}

std::vector<ForeignKey> lycoris_keys(std::initializer_list<ForeignKey> more) {
  std::vector<ForeignKey> keys = {{"r", read},
                                  {"alpha", read},
                                  {"rank_pattern", read},
                                  {"alpha_pattern", read},
                                  {"exclude_modules", read},
                                  {"rank_dropout", nothing},
                                  {"module_dropout", nothing},
                                  {"init_weights", nothing},
                                  // Of convolutions.
                                  {"use_effective_conv2d", nothing}};
  keys.insert(keys.end(), more);
  return keys;
}

PeftForm loha_form() {
  return {.type = "LOHA",
          .parameters = {{"hada_w1_a", "w1_a"},
                         {"hada_w1_b", "w1_b"},
                         {"hada_w2_a", "w2_a"},
                         {"hada_w2_b", "w2_b"}},
          .ranks = {{"w1_b", 0}},
          .keys = lycoris_keys({}),
          .alpha_key = "alpha",
          .default_alpha = 8,
          .describe = [](const PeftConfig&, AdapterDescription& description) {
            description.method = "loha";
          }};
}

PeftForm lokr_form() {
  return {
      .type = "LOKR",
      .parameters = {{"lokr_w1", "w1"},
                     {"lokr_w1_a", "w1_a"},
                     {"lokr_w1_b", "w1_b"},
                     {"lokr_w2", "w2"},
                     {"lokr_w2_a", "w2_a"},
                     {"lokr_w2_b", "w2_b"}},
      .ranks = {{"w2_b", 0}, {"w1_b", 0}},
      .keys = lycoris_keys(
          {{"decompose_both", read}, {"decompose_factor", read}, {"rank_dropout_scale", nothing}}),
      .alpha_key = "alpha",
      .default_alpha = 8,
      .describe = [](const PeftConfig& config, AdapterDescription& description) {
        description.method = "lokr";
        const double factor = config.number("decompose_factor", -1);
        if (factor != std::floor(factor)) config.refuse("decompose_factor", "a whole number");
        // PEFT takes anything else below 1 for 1.
        description.settings.options = {
            {"factor", fmt::format("{}", factor == -1 ? -1 : std::max(factor, 1.0))},
            {"decompose-both", text_of(config.flag("decompose_both"))},
            {"sides", "peft"}};
      }};
}

PeftForm vera_form() {
  return {.type = "VERA",
          .parameters = {{"vera_lambda_b", "lambda_b"},
                         {"vera_lambda_d", "lambda_d"},
                         {"vera_A", "A"},
                         {"vera_B", "B"}},
          .shared = {{"vera_A", "A"}, {"vera_B", "B"}},
          .ranks = {{"lambda_d", 0}},
          .keys = {{"r", read},
                   // A and B are in the file, or missing.
                   {"projection_prng_key", nothing},
                   {"save_projection", nothing},
                   {"d_initial", nothing},
                   {"vera_dropout", nothing},
                   {"fan_in_fan_out", nothing},
                   {"init_weights", nothing},
                   {"bias", off, {"\"none\""}}},
          .default_rank = 256,
          .describe = [](const PeftConfig&, AdapterDescription& description) {
            description.method = "vera";
          }};
}

PeftForm hira_form() {
  return {.type = "HIRA",
          .parameters = {{"hira_A", "A"}, {"hira_B", "B"}},
          .ranks = {{"A", 0}},
          .keys = {{"r", read},
                   // Not every version of PEFT applies it; the tensors tell.
                   {"rank_pattern", read},
                   {"exclude_modules", read},
                   {"hira_dropout", nothing},
                   {"fan_in_fan_out", nothing},
                   {"init_weights", nothing}},
          .default_rank = 32,
          .describe = [](const PeftConfig&, AdapterDescription& description) {
            description.method = "hira";
          }};
}

PeftForm randlora_form() {
  return {.type = "RANDLORA",
          .parameters = {{"randlora_A", "A"},
                         {"randlora_B", "B"},
                         {"randlora_lambda", "lambda"},
                         {"randlora_gamma", "gamma"}},
          .shared = {{"randlora_A", "A"}, {"randlora_B", "B"}},
          .ranks = {{"lambda", 0}},
          .keys = {{"r", read},
                   {"randlora_alpha", read},
                   // How the bases were drawn, which are in the file, or missing.
                   {"projection_prng_key", nothing},
                   {"save_projection", nothing},
                   {"sparse", nothing},
                   {"very_sparse", nothing},
                   {"randlora_dropout", nothing},
                   {"fan_in_fan_out", nothing},
                   {"init_weights", nothing},
                   {"bias", off, {"\"none\""}}},
          .default_rank = 32,
          .alpha_key = "randlora_alpha",
          .default_alpha = 640,
          .describe = [](const PeftConfig&, AdapterDescription& description) {
            description.method = "randlora";
          }};
}

PeftForm fourierft_form() {
  return {.type = "FOURIERFT",
          .parameters = {{"fourierft_spectrum", "spectrum"}},
          .keys = {{"n_frequency", read},
                   {"scaling", read},
                   {"random_loc_seed", read},
                   {"exclude_modules", read},
                   {"fan_in_fan_out", nothing},
                   {"init_weights", nothing},
                   {"n_frequency_pattern", off},
                   {"bias", off, {"\"none\""}}},
          .default_rank = 0,
          .describe = [](const PeftConfig& config, AdapterDescription& description) {
            description.method = "fourierft";
            description.settings.options = {
                {"frequencies", std::to_string(config.whole("n_frequency", 1000, 1, 1'000'000))},
                {"scale", fmt::format("{}", config.number("scaling", 150))},
                {"location-seed",
                 std::to_string(config.whole("random_loc_seed", 777, 0, 1'000'000'000))}};
          }};
}

/// ia3's option `feedforward`: types of matrices, each scaled alike in every layer.
void describe_ia3(const PeftConfig& config,
                  const std::vector<std::pair<Site, std::string>>& modules,
                  AdapterDescription& description) {
  const char* key = "feedforward_modules";
  const PeftTargets::Names feedforward(config, key);
  std::map<MatrixType, bool> scales_inputs;
  std::vector<std::string> types;
  for (const auto& [site, module] : modules) {
    const bool scales = feedforward.have(module);
    const auto [known, added] = scales_inputs.emplace(site.matrix, scales);
    if (known->second != scales)
      config.refuse(key, fmt::format("all modules like '{}' or none", printable(module, 200)));
    if (added && scales) types.emplace_back(to_string(site.matrix));
  }
  description.settings.options = {{"feedforward", join(types, ",")}};
}

PeftForm ia3_form() {
  return {.type = "IA3",
          .parameters = {{"ia3_l", "l"}},
          .keys = {{"feedforward_modules", read},
                   {"exclude_modules", read},
                   {"fan_in_fan_out", nothing},
                   {"init_ia3_weights", nothing}},
          .default_rank = 0,
          .describe = [](const PeftConfig&,
                         AdapterDescription& description) { description.method = "ia3"; },
          .describe_modules = describe_ia3};
}

const std::vector<ForeignKey> common_keys = {
    {"peft_type", read},         {"task_type", read},
    {"target_modules", read},    {"layers_to_transform", read},
    {"layers_pattern", read},    {"modules_to_save", read},
    {"auto_mapping", nothing},   {"base_model_name_or_path", nothing},
    {"inference_mode", nothing}, {"peft_version", nothing},
    {"revision", nothing}};

/// What a name says behind one of the parameters' names: the module, the factor, the adapter.
struct ParsedName {
  std::string module, factor, adapter;
};

std::optional<ParsedName> parse(const std::string& name,
                                const std::vector<PeftParameter>& parameters) {
  const std::vector<std::string> parts = split(name, '.');
  for (std::size_t place = parts.size(); place-- > 0;) {
    const auto parameter = std::ranges::find(parameters, parts[place], &PeftParameter::name);
    if (parameter == parameters.end()) continue;
    std::vector<std::string> rest(parts.begin() + static_cast<std::ptrdiff_t>(place) + 1,
                                  parts.end());
    const bool weight = !rest.empty() && rest.back() == "weight";
    if (parameter->ending == Ending::weight && !weight) return {};
    if (parameter->ending != Ending::none && weight) rest.pop_back();
    if (rest.size() > 1) return {};
    const std::vector<std::string> module(parts.begin(),
                                          parts.begin() + static_cast<std::ptrdiff_t>(place));
    return ParsedName{join(module, "."), parameter->factor, rest.empty() ? "" : rest.front()};
  }
  return {};
}

}  // namespace

bool PeftForm::has_factor(const std::string& factor) const {
  const auto has = [&](const std::vector<PeftParameter>& list) {
    return std::ranges::find(list, factor, &PeftParameter::factor) != list.end();
  };
  return has(parameters) || has(shared);
}

const std::vector<PeftForm>& peft_forms() {
  static const std::vector<PeftForm> all = {lora_form(),      loha_form(), lokr_form(),
                                            vera_form(),      hira_form(), randlora_form(),
                                            fourierft_form(), ia3_form()};
  return all;
}

std::span<const ForeignKey> peft_common_keys() {
  return common_keys;
}

const PeftForm& find_peft_form(const PeftConfig& config) {
  std::vector<std::string> known;
  for (const PeftForm& form : peft_forms()) {
    known.push_back(form.type);
    if (config.type() != form.type) continue;
    expect_known_keys(config.document().value(), config.file(), "", {common_keys, form.keys});
    return form;
  }
  // Those of virtual tokens have a reader of their own (peft_tokens_folder.h).
  config.refuse("peft_type", "one of " + join(known, ", ") + ", PROMPT_TUNING, PREFIX_TUNING");
}

PeftTensors::PeftTensors(const SafetensorsFile& file, const PeftForm& form) {
  for (const TensorEntry& entry : file.entries()) add(file, form, entry.name);
}

void PeftTensors::expect_adapter(const std::string& file, const std::string& key,
                                 const std::string& name) {
  if (adapter_key_.empty()) {
    adapter_ = name;
    adapter_key_ = key;
  } else if (name != adapter_) {
    throw Error("{}: tensors '{}' and '{}' are of different adapters, expected one", file,
                printable(adapter_key_, 200), printable(key, 200));
  }
}

void PeftTensors::add(const SafetensorsFile& source, const PeftForm& form, const std::string& key) {
  const std::string file = printable(source.path().string());
  const auto put = [&](std::map<std::string, std::string>& where, const std::string& name) {
    const auto [place, added] = where.emplace(name, key);
    if (!added)
      throw Error("{}: tensors '{}' and '{}' are one and the same", file,
                  printable(place->second, 200), printable(key, 200));
  };
  constexpr std::string_view model = "base_model.";
  if (key.starts_with(model))
    if (const auto common = parse(key.substr(model.size()), form.shared);
        common && common->module.empty()) {
      expect_adapter(file, key, common->adapter);
      return put(shared, common->factor);
    }
  if (!key.starts_with(peft_prefix))
    throw Error("{}: tensor '{}' does not begin with '{}'", file, printable(key, 200), peft_prefix);
  std::string name = key.substr(std::string_view(peft_prefix).size());
  if (const auto own = parse(name, form.parameters); own && !own->module.empty()) {
    expect_adapter(file, key, own->adapter);
    return put(modules[own->module], own->factor);
  }
  std::vector<std::string> parts = split(name, '.');
  if (std::ranges::find(parts, "original_module") != parts.end()) return;
  if (const auto saved = std::ranges::find(parts, "modules_to_save"); saved != parts.end()) {
    const bool is_named = parts.end() - saved > 2;
    if (is_named && !adapter_.empty()) expect_adapter(file, key, *(saved + 1));
    parts.erase(saved, saved + (is_named ? 2 : 1));
    name = join(parts, ".");
  }
  put(rest, name);
}

}  // namespace rankfold
