#include <algorithm>
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "core/linalg/linear_algebra.h"
#include "experiments/adapter_files/peft_folder.h"
#include "experiments/adapter_files/peft_form.h"
#include "experiments/models/families/family.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

constexpr double largest_float = std::numeric_limits<float>::max();

/// The adapter in double precision, with the values and frozen weights of the one at hand.
struct DoubleAdapter {
  std::vector<std::vector<double>> weights;
  std::unique_ptr<Adapter<double>> adapter;

  DoubleAdapter(const LoneAdapter& source, const Registry& registry) {
    AdapterDescription description = source.description;
    const SiteCatalogue catalogue = list_sites(description, source.adapter->stack().sites);
    adapter = make_described_adapter<double>(description, catalogue, registry, make_cpu_device());
    for (std::size_t i = 0; i < adapter->parameters().size(); ++i)
      std::ranges::copy(source.adapter->parameters()[i].value.span(),
                        adapter->parameters()[i].value.data());
    if (!source.host) return;
    std::vector<FrozenLinear<double>> frozen;
    for (const Site& site : adapter->stack().sites) {
      const float* weight = source.host->frozen(site).weight;
      weights.emplace_back(weight, weight + site.out * site.in);
    }
    for (const std::vector<double>& weight : weights) frozen.push_back({weight.data(), nullptr});
    adapter->set_frozen(std::move(frozen));
  }
};

/// dW = B A with the smallest number of columns that gives it to rounding; at least one, which PEFT
/// needs.
struct LoraPair {
  std::size_t rank = 0;
  std::vector<float> a, b;
};

LoraPair factorise(const std::vector<double>& update, std::size_t out, std::size_t in,
                   const Device& device) {
  constexpr double rounding = 1e-12;
  const Svd svd = decompose_low_rank({update.data(), out, in}, rounding, device);
  const auto counts = [&](double value) { return value > rounding * svd.s.front(); };
  const auto rank = static_cast<std::size_t>(std::ranges::count_if(svd.s, counts));
  LoraPair pair{std::max<std::size_t>(rank, 1), {}, {}};
  if (rank == 0) {
    pair.a.resize(in);
    pair.b.resize(out);
    return pair;
  }
  for (std::size_t row = 0; row < out; ++row)
    for (std::size_t p = 0; p < pair.rank; ++p)
      pair.b.push_back(static_cast<float>(svd.u[row * svd.s.size() + p] * std::sqrt(svd.s[p])));
  for (std::size_t p = 0; p < pair.rank; ++p)
    for (std::size_t column = 0; column < in; ++column)
      pair.a.push_back(static_cast<float>(std::sqrt(svd.s[p]) * svd.v[p * in + column]));
  return pair;
}

const std::string& module_of(const Site& site) {
  return site.part_of.empty() ? site.name : site.part_of;
}

/// A name as the model has it that the adapter is for: without a head, names are without the
/// model's own part.
std::string exported_name(const std::string& name, const LoneAdapter& source) {
  return source.description.head || is_in_a_head(name) ? name : name.substr(name.find('.') + 1);
}

/// What PEFT calls the task: with SEQ_CLS it looks for a trained head.
json task_type(const LoneAdapter& source) {
  if (source.description.output == HostOutput::language_model) return "CAUSAL_LM";
  const auto is_of_a_head = [](const auto& tensor) { return is_in_a_head(tensor.name); };
  return std::ranges::any_of(source.head, is_of_a_head) ? json("SEQ_CLS") : json(nullptr);
}

/// Where a module has the rows of a site.
StoredMatrix stored_of(const LoneAdapter& source, const Site& site) {
  if (site.part_of.empty()) return {site.name, site.out, 0, site.out, site.out};
  if (!source.shape)
    throw Error("{} is a part of the module {}, which PEFT adapts as a whole; --model is needed",
                site.name, site.part_of);
  return stored_matrix(*source.shape, site);
}

/// What the sites first .. end - 1 add to the weight [out, in] of a module: itself, or parts of it.
struct ModuleUpdate {
  std::string module;
  std::size_t out = 0, in = 0;
  std::vector<double> values;
};

ModuleUpdate module_update(const LoneAdapter& source, const Adapter<double>& adapter,
                           std::size_t first, std::size_t end) {
  ModuleUpdate result;
  for (std::size_t index = first; index < end; ++index) {
    const Site& site = adapter.stack().sites[index];
    const StoredMatrix stored = stored_of(source, site);
    result.module = module_of(site);
    result.out = stored.rows;
    result.in = site.in;
    result.values.resize(stored.rows * site.in);
    std::vector<double> update(site.out * site.in);
    adapter.reconstruct(index, {update.data(), site.out, site.in});
    if (!std::ranges::all_of(update, [](double value) { return std::abs(value) < largest_float; }))
      throw Error("the update of {} is beyond the range of float", site.name);
    for (std::size_t row = 0; row < site.out; ++row)
      std::copy_n(update.data() + row * site.in, site.in,
                  result.values.data() + stored.row(row) * site.in);
  }
  return result;
}

/// The LoRA [out, in] of a module, as the model names it that the adapter is for.
struct ModuleLora {
  std::string module;
  std::size_t out = 0, in = 0;
  LoraPair pair;
};

/// Whether the model has its modules' weights as [in, out]; PEFT finds out where nothing is known.
bool is_transposed(const LoneAdapter& source) {
  const std::vector<Site>& sites = source.adapter->stack().sites;
  return source.shape && !sites.empty() && stored_matrix(*source.shape, sites.front()).transposed;
}

/// What the configuration of a LoRA has of its own.
json lora_config(const std::vector<ModuleLora>& updates) {
  std::size_t largest = 1;
  for (const ModuleLora& update : updates) largest = std::max(largest, update.pair.rank);
  json ranks = json::object(), targets = json::array();
  for (const ModuleLora& update : updates) {
    targets.push_back(update.module);
    if (update.pair.rank != largest) ranks[update.module] = update.pair.rank;
  }
  // alpha equals the rank everywhere: the scale is 1.
  return {{"alpha_pattern", ranks}, {"bias", "none"},        {"init_lora_weights", true},
          {"lora_alpha", largest},  {"lora_dropout", 0.0},   {"peft_type", "LORA"},
          {"r", largest},           {"rank_pattern", ranks}, {"target_modules", targets},
          {"use_dora", false},      {"use_rslora", false}};
}

/// Writes the folder of modules' tensors and what is saved beside them, whose configuration has
/// `own` keys.
void write_folder(const LoneAdapter& source, std::vector<TensorToWrite> tensors,
                  const std::vector<LoneAdapter::HeadTensor>& head, json own,
                  const std::string& base_name, const fs::path& out) {
  std::vector<std::string> saved;
  for (const LoneAdapter::HeadTensor& tensor : head) {
    const std::string name = exported_name(tensor.name, source);
    tensors.push_back(
        make_tensor(peft_prefix + name, tensor.shape, std::span<const float>(tensor.values)));
    // PEFT saves a head whole, which may have several layers.
    std::string module(head_of(name));
    if (module.empty()) module = name.substr(0, name.rfind('.'));
    if (std::ranges::find(saved, module) == saved.end()) saved.push_back(module);
  }
  own["base_model_name_or_path"] = base_name.empty() ? json(nullptr) : json(base_name);
  own["fan_in_fan_out"] = is_transposed(source);
  own["inference_mode"] = true;
  own["modules_to_save"] = saved.empty() ? json(nullptr) : json(saved);
  own["task_type"] = task_type(source);
  AtomicFolder folder(out);
  write_safetensors(folder.path() / adapter_tensors_name, tensors, {{"format", "pt"}});
  write_atomically(folder.path() / adapter_config_name, own.dump(2) + "\n");
  folder.commit();
}

void expect_no_tensor_train(const LoneAdapter& source) {
  if (source.description.train.find("tt-head") != std::string::npos)
    throw Error("the adapter's head is a tensor train (tt-head), which PEFT cannot hold");
}

/// Scales of a module: of its outputs, or of its inputs.
struct ModuleScales {
  std::string module;
  bool of_input = false;
  std::vector<float> values;
};

/// Those of the sites first .. end - 1 of one module: itself, or parts of it.
ModuleScales module_scales(const LoneAdapter& source, std::size_t first, std::size_t end) {
  const Adapter<float>& adapter = *source.adapter;
  ModuleScales result;
  for (std::size_t index = first; index < end; ++index) {
    const Site& site = adapter.stack().sites[index];
    const auto found =
        std::ranges::find(adapter.parameters(), "l." + site.name, &Parameter<float>::name);
    if (found == adapter.parameters().end())
      throw Error("method {} has no scales l of {}, expected ia3", source.description.method,
                  site.name);
    result.module = module_of(site);
    result.of_input = adapter.place(index) == Place::before;
    const std::span<const float> values = found->value.span();
    const StoredMatrix stored = stored_of(source, site);
    if (stored.rows == site.out || result.of_input) {
      if (!site.part_of.empty())
        throw Error("{} is a part of the module {}, whose input PEFT scales for all parts at once",
                    site.name, site.part_of);
      result.values.assign(values.begin(), values.end());
      continue;
    }
    // The other parts stay as they are.
    result.values.resize(stored.rows, 1.0f);
    for (std::size_t row = 0; row < site.out; ++row) result.values[stored.row(row)] = values[row];
  }
  return result;
}

/// A saved weight [out, in] or bias with the scales in it.
void scale_saved(const ModuleScales& scales, LoneAdapter::HeadTensor& tensor) {
  const bool is_weight = tensor.shape.size() == 2;
  if (!is_weight && scales.of_input) return;
  const std::size_t columns = is_weight ? tensor.shape[1] : 1;
  for (std::size_t i = 0; i < tensor.values.size(); ++i)
    tensor.values[i] *= scales.values.at(scales.of_input ? i % columns : i / columns);
}

}  // namespace

PeftExport export_as_lora(const LoneAdapter& source, const Registry& registry, const fs::path& out,
                          const std::string& base_name) {
  if (!source.adapter->is_weight_update())
    throw Error("method {} adds to the activations, not to the weights; it is no LoRA",
                source.description.method);
  for (std::size_t index = 0; index < source.adapter->stack().sites.size(); ++index)
    if (source.adapter->adds_bias(index))
      throw Error("method {} adds a trained bias to {}, which a LoRA has no place for",
                  source.description.method, source.adapter->stack().sites[index].name);
  expect_no_tensor_train(source);
  const DoubleAdapter exact(source, registry);
  const auto device = make_cpu_device();
  const std::vector<Site>& sites = exact.adapter->stack().sites;
  std::vector<LoneAdapter::HeadTensor> head = source.head;
  std::vector<ModuleLora> updates;
  PeftExport result;
  for (std::size_t first = 0, end = 0; first < sites.size(); first = end) {
    while (end < sites.size() && module_of(sites[end]) == module_of(sites[first])) ++end;
    const ModuleUpdate update = module_update(source, *exact.adapter, first, end);
    // PEFT adapts no module that it saves: such a weight is saved with its update.
    if (const auto saved =
            std::ranges::find(head, update.module + ".weight", &LoneAdapter::HeadTensor::name);
        saved != head.end()) {
      for (std::size_t i = 0; i < update.values.size(); ++i)
        saved->values[i] = static_cast<float>(saved->values[i] + update.values[i]);
      continue;
    }
    const LoraPair& pair =
        updates
            .emplace_back(ModuleLora{exported_name(update.module, source), update.out, update.in,
                                     factorise(update.values, update.out, update.in, *device)})
            .pair;
    result.ranks.push_back(pair.rank);
    result.parameters += pair.rank * (update.out + update.in);
  }
  if (updates.empty() && !sites.empty())
    throw Error("the base model lacks the weights that the adapter changes, and PEFT needs one");
  result.sites = updates.size();
  result.largest_rank = result.ranks.empty() ? 0 : std::ranges::max(result.ranks);

  std::vector<TensorToWrite> tensors;
  for (const ModuleLora& update : updates) {
    const std::string place = peft_prefix + update.module;
    tensors.push_back(make_tensor(place + ".lora_A.weight", {update.pair.rank, update.in},
                                  std::span(update.pair.a)));
    tensors.push_back(make_tensor(place + ".lora_B.weight", {update.out, update.pair.rank},
                                  std::span(update.pair.b)));
  }
  write_folder(source, std::move(tensors), head, lora_config(updates), base_name, out);
  return result;
}

PeftExport export_as_ia3(const LoneAdapter& source, const fs::path& out,
                         const std::string& base_name) {
  if (source.description.method != "ia3")
    throw Error("PEFT has no type for method {}; expected ia3, prompt or prefix",
                source.description.method);
  expect_no_tensor_train(source);
  const std::vector<Site>& sites = source.adapter->stack().sites;
  std::vector<LoneAdapter::HeadTensor> head = source.head;
  std::vector<ModuleScales> modules;
  for (std::size_t first = 0, end = 0; first < sites.size(); first = end) {
    while (end < sites.size() && module_of(sites[end]) == module_of(sites[first])) ++end;
    ModuleScales scales = module_scales(source, first, end);
    // PEFT adapts no module that it saves: such a weight is saved with its scales.
    bool is_saved = false;
    for (LoneAdapter::HeadTensor& tensor : head)
      if (tensor.name == scales.module + ".weight" || tensor.name == scales.module + ".bias") {
        scale_saved(scales, tensor);
        is_saved = true;
      }
    if (is_saved) continue;
    scales.module = exported_name(scales.module, source);
    modules.push_back(std::move(scales));
  }
  if (modules.empty() && !sites.empty())
    throw Error("the base model lacks the weights that the adapter scales, and PEFT needs one");
  PeftExport result;
  result.sites = modules.size();
  std::vector<TensorToWrite> tensors;
  json targets = json::array(), inputs = json::array();
  for (const ModuleScales& module : modules) {
    const std::size_t size = module.values.size();
    tensors.push_back(make_tensor(
        peft_prefix + module.module + ".ia3_l",
        module.of_input ? std::vector<std::size_t>{1, size} : std::vector<std::size_t>{size, 1},
        std::span(module.values)));
    targets.push_back(module.module);
    if (module.of_input) inputs.push_back(module.module);
    result.parameters += size;
  }
  json config = {{"feedforward_modules", inputs},
                 {"init_ia3_weights", true},
                 {"peft_type", "IA3"},
                 {"target_modules", targets}};
  write_folder(source, std::move(tensors), head, std::move(config), base_name, out);
  return result;
}

}  // namespace rankfold
