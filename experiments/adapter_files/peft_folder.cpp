#include "experiments/adapter_files/peft_folder.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "experiments/adapter_files/peft_form.h"
#include "experiments/models/families/family.h"
#include "experiments/models/replaced_tensors.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t largest_rank = 1'000'000;

/// A rank that may be in the file is a whole number, whether it is used or not.
void check_ranks(const PeftConfig& config) {
  const auto ranks = config.find("rank_pattern");
  if (!ranks) return;
  for (const auto& [module, value] : ranks->members()) {
    const double rank = value.number_or_nothing().value_or(0);
    if (rank < 1 || rank > largest_rank || rank != std::floor(rank))
      ranks->refuse("whole numbers, 1 or more");
  }
}

std::string module_of(const std::string& tensor) {
  const std::size_t dot = tensor.rfind('.');
  return dot == std::string::npos ? "" : tensor.substr(0, dot);
}

}  // namespace

/// What the file holds, sorted.
struct PeftFolder::Contents {
  PeftConfig config;
  const PeftForm& form;
  PeftPatterns ranks, alphas;
  PeftTargets targets;
  SafetensorsFile file;
  PeftTensors tensors;
  std::map<std::string, std::string> modules;  ///< site -> module, once sites are known

  explicit Contents(const fs::path& folder)
      : config(folder),
        form(find_peft_form(config)),
        ranks(config, "rank_pattern"),
        alphas(config, "alpha_pattern"),
        targets(config),
        file(open_foreign_tensors(folder)),
        tensors(file, form) {
    check_ranks(config);
    if (tensors.modules.empty())
      throw Error("{}: holds no tensor of peft_type {}", name(), form.type);
  }

  std::string name() const { return printable(file.path().string()); }

  /// The rank of the module's tensors, or where they do not tell, the configuration's.
  std::size_t rank_of(const std::string& module) const {
    const auto& factors = tensors.modules.at(module);
    for (const PeftForm::RankPlace& place : form.ranks) {
      const auto found = factors.find(place.factor);
      if (found == factors.end()) continue;
      const std::vector<std::size_t>& shape = file.at(found->second).shape;
      if (place.axis >= shape.size() || shape[place.axis] == 0)
        throw Error("{}: tensor '{}' has shape ({}), which has no rank", name(),
                    printable(found->second, 200), fmt::join(shape, ", "));
      return shape[place.axis];
    }
    const auto own = ranks.value_of(module);
    return own ? static_cast<std::size_t>(*own)
               : config.whole("r", form.default_rank, 1, largest_rank);
  }

  void check_targets(const SiteCatalogue& catalogue) const;
  void check_start(const AdapterDescription& description, const SiteCatalogue& catalogue) const;
};

/// Throws Error where the tensors are not of the modules that the configuration adapts: PEFT leaves
/// tensors of others out, and draws those that are missing.
void PeftFolder::Contents::check_targets(const SiteCatalogue& catalogue) const {
  if (!targets.are_known()) return;
  const auto& [first_site, first_module] = *modules.begin();
  // A model without its head has shorter names.
  const std::string left_out = first_site.substr(0, first_site.size() - first_module.size());
  for (const Site& site : catalogue.sites) {
    if (!site.part_of.empty() || !site.name.starts_with(left_out)) continue;
    const std::string module = site.name.substr(left_out.size());
    const auto found = modules.find(site.name);
    if (targets.adapts(module) == (found != modules.end())) continue;
    const std::string configuration = printable(config.file().string());
    if (found == modules.end())
      throw Error(
          "{}: target_modules and the keys that go with it adapt '{}', of which {} has no tensor",
          configuration, module, name());
    throw Error(
        "{}: target_modules and the keys that go with it leave '{}' out; {} has its tensor '{}'",
        configuration, found->second, name(), tensors.modules.at(found->second).begin()->second);
  }
}

/// Throws Error where the start of lora cannot be taken off the base weight.
void PeftFolder::Contents::check_start(const AdapterDescription& description,
                                       const SiteCatalogue& catalogue) const {
  const auto init = description.settings.options.find("init");
  if (init == description.settings.options.end() || init->second == "published") return;
  for (const SiteChoice& choice : description.sites) {
    const Site& site = *std::ranges::find(catalogue.sites, choice.name, &Site::name);
    const std::size_t rank = rank_of(modules.at(choice.name));
    if (rank > std::min(site.out, site.in))
      throw Error("{}: init_lora_weights is {}, and the rank of '{}' is {}, expected at most {}",
                  printable(config.file().string()), init->second, site.name, rank,
                  std::min(site.out, site.in));
    if (init->second == "pissa" && !(choice.alpha.value_or(*description.alpha) > 0))
      throw Error("{}: init_lora_weights is pissa, and alpha of '{}' is {}, expected more than 0",
                  printable(config.file().string()), site.name,
                  choice.alpha.value_or(*description.alpha));
  }
}

PeftFolder::PeftFolder(const fs::path& folder) : contents_(std::make_unique<Contents>(folder)) {}
PeftFolder::~PeftFolder() = default;

std::optional<std::size_t> PeftFolder::labels() const {
  return head_labels(contents_->file, contents_->tensors.rest);
}

std::optional<HostOutput> PeftFolder::output() const {
  return peft_output(contents_->config);
}

AdapterDescription PeftFolder::describe(const SiteCatalogue& catalogue) {
  const PeftConfig& config = contents_->config;
  const PeftForm& form = contents_->form;
  AdapterDescription description;
  form.describe(config, description);
  if (form.alpha_key) description.alpha = config.number(form.alpha_key, form.default_alpha);
  if (form.default_rank > 0) config.whole("r", form.default_rank, 1, largest_rank);
  if (description.method == "lora")
    for (const auto& [module, factors] : contents_->tensors.modules)
      if (const auto left = factors.find("magnitude"); left != factors.end())
        throw Error("{}: tensor '{}' is a magnitude of DoRA, but use_dora of {} is not true",
                    contents_->name(), printable(left->second, 200),
                    printable(config.file().string()));

  auto& modules = contents_->modules;
  modules.clear();
  std::size_t largest = 0;
  for (const auto& [module, factors] : contents_->tensors.modules) {
    const Site& site = find_site(catalogue, module, contents_->name());
    if (!modules.emplace(site.name, module).second)
      throw Error("{}: modules '{}' and '{}' are one weight of the model", contents_->name(),
                  modules.at(site.name), module);
    description.sites.push_back({site.name, "", contents_->alphas.value_of(module)});
    if (form.default_rank > 0) largest = std::max(largest, contents_->rank_of(module));
  }
  if (form.default_rank > 0) {
    description.rank = std::to_string(largest);
    for (SiteChoice& choice : description.sites)
      if (const std::size_t own = contents_->rank_of(modules.at(choice.name)); own != largest)
        choice.rank = std::to_string(own);
  }
  if (form.describe_modules) {
    std::vector<std::pair<Site, std::string>> of_sites;
    for (const auto& [site, module] : modules)
      of_sites.emplace_back(*std::ranges::find(catalogue.sites, site, &Site::name), module);
    form.describe_modules(config, of_sites, description);
  }
  contents_->check_targets(catalogue);
  contents_->check_start(description, catalogue);
  return description;
}

bool PeftFolder::holds(const std::string& factor) const {
  return contents_->form.has_factor(factor);
}

/// PEFT trains a head where its task is to tell classes, and one that is saved; an adapter of a
/// model without a head, whose modules have shorter names, says nothing of this one.
bool PeftFolder::keeps_head() const {
  const auto& [site, module] = *contents_->modules.begin();
  const std::string task = contents_->config.text("task_type");
  const auto is_of_a_head = [](const std::string& name) { return is_in_a_head(name); };
  return site == module && (task.empty() || task == "FEATURE_EXTRACTION") &&
         std::ranges::none_of(contents_->config.texts("modules_to_save"), is_of_a_head,
                              [](const std::string& name) { return name + "."; }) &&
         std::ranges::none_of(contents_->tensors.rest, is_of_a_head,
                              [](const auto& tensor) { return tensor.first; });
}

/// The tensor of a parameter; every tensor that is it goes into `used`.
std::string PeftFolder::key_of(const Parameter<float>& parameter,
                               std::set<std::string>& used) const {
  const PeftTensors& tensors = contents_->tensors;
  const SafetensorsFile& file = contents_->file;
  const auto shared = tensors.shared.find(parameter.factor);
  std::string key = shared == tensors.shared.end() ? "" : shared->second;
  if (!key.empty()) used.insert(key);
  const bool is_common = parameter.name == parameter.factor;
  for (const auto& [site, module] : contents_->modules) {
    if (!is_common && parameter.name != parameter.factor + "." + site) continue;
    const auto& own = tensors.modules.at(module);
    const auto found = own.find(parameter.factor);
    if (found == own.end()) continue;
    used.insert(found->second);
    if (key.empty())
      key = found->second;
    else if (!std::ranges::equal(file.bytes(file.at(key)), file.bytes(file.at(found->second))))
      throw Error("{}: tensors '{}' and '{}' differ, but all modules share factor '{}'",
                  contents_->name(), key, found->second, parameter.factor);
  }
  if (key.empty())
    throw Error(
        "{}: has no tensor for factor '{}'{}", contents_->name(), parameter.name,
        contents_->form.shared.empty() ? "" : "; it must be saved with save_projection=true");
  return key;
}

void PeftFolder::fill(Adapter<float>& adapter) const {
  std::set<std::string> used;
  for (Parameter<float>& parameter : adapter.parameters())
    if (parameter.is_stored() && holds(parameter.factor))
      read_numbers(contents_->file, key_of(parameter, used), "factor " + parameter.name,
                   parameter.shape, parameter.value.span());
  const auto expect_used = [&](const std::map<std::string, std::string>& keys) {
    for (const auto& [factor, key] : keys)
      if (!used.contains(key))
        throw Error("{}: tensor '{}' is no part of the adapter that {} describes",
                    contents_->name(), printable(key, 200),
                    printable(contents_->config.file().string()));
  };
  expect_used(contents_->tensors.shared);
  for (const auto& [module, keys] : contents_->tensors.modules) expect_used(keys);
}

/// The saved modules' tensors that are of no head. Throws Error naming one that modules_to_save
/// does not, and a saved module without a tensor.
std::shared_ptr<ReplacedTensors> PeftFolder::replaced() const {
  auto replaced = std::make_shared<ReplacedTensors>(contents_->name());
  const PeftConfig& config = contents_->config;
  for (const auto& [name, key] : contents_->tensors.rest) {
    if (is_in_a_head(name)) continue;
    if (!contents_->targets.saves(module_of(name)))
      throw Error(
          "{}: tensor '{}' belongs to no adapted weight, and modules_to_save of {} does not "
          "name its module",
          contents_->name(), printable(key, 200), printable(config.file().string()));
    const TensorEntry& entry = contents_->file.at(key);
    std::vector<float> values(entry.elements());
    read_numbers(contents_->file, key, name, entry.shape, values);
    replaced->add(name, entry.shape, std::move(values));
  }
  for (const PeftTargets::Saved& saved : contents_->targets.saved()) {
    const auto is_of_it = [&](const auto& tensor) { return saved.has(module_of(tensor.first)); };
    if (!is_in_a_head(saved.name + ".") && std::ranges::none_of(contents_->tensors.rest, is_of_it))
      throw Error("{}: modules_to_save names '{}', of which {} has no tensor",
                  printable(config.file().string()), printable(saved.name, 200), contents_->name());
  }
  return replaced->empty() ? nullptr : replaced;
}

bool PeftFolder::fill_head(std::vector<TrainedTensor> head) const {
  std::map<std::string, std::string> keys;
  for (const auto& [name, key] : contents_->tensors.rest)
    if (is_in_a_head(name)) keys.emplace(name, key);
  return fill_foreign_head(contents_->file, keys, head);
}

}  // namespace rankfold
