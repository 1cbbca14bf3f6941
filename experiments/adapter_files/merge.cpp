#include "experiments/adapter_files/merge.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/json_text.h"
#include "core/base/safetensors.h"
#include "core/base/text.h"
#include "core/device/device.h"
#include "experiments/adapter_files/adapter_folder.h"
#include "experiments/adapter_files/foreign_folder.h"
#include "experiments/adapter_files/updated_modules.h"
#include "experiments/models/families/family.h"
#include "experiments/models/frozen_weights.h"
#include "experiments/models/input_checks.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;
using Shape = std::vector<std::size_t>;

constexpr const char* tensors_name = "model.safetensors";
constexpr const char* note_key = "rankfold_merge";

/// What a merged file's metadata tell of it, as a JSON text.
struct MergeNote {
  std::string base;     ///< model_fingerprint of the base model
  std::string merged;   ///< fingerprint of the tensors in the file
  std::string adapter;  ///< adapter_fingerprint
  std::string method;
  std::string configuration;          ///< the base model's config.json
  std::vector<std::string> added;     ///< tensors that the base model has not
  std::vector<std::string> replaced;  ///< trained tensors that it has, with other values
  std::vector<std::string>
      left_out;  ///< tensors that it has: a head, where the adapter's is missing
};

std::string to_text(const MergeNote& note) {
  const json document = {
      {"base", note.base},         {"merged", note.merged},        {"adapter", note.adapter},
      {"method", note.method},     {"config", note.configuration}, {"added", note.added},
      {"replaced", note.replaced}, {"left_out", note.left_out}};
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

MergeNote read_note(const SafetensorsFile& file) {
  const auto found = file.metadata().find(note_key);
  if (found == file.metadata().end())
    throw Error("{}: its metadata have no '{}'; expected a model that rankfold merge wrote",
                file.path().string(), note_key);
  MergeNote note;
  try {
    const OrderedJsonDocument document(file.path(), found->second);
    const OrderedJsonField field = document.root();
    note.base = field.member("base").string();
    note.merged = field.member("merged").string();
    note.adapter = field.member("adapter").string();
    note.method = field.member("method").string();
    note.configuration = field.member("config").string();
    note.added = field.member("added").strings();
    note.replaced = field.member("replaced").strings();
    if (const auto left_out = field.given("left_out")) note.left_out = left_out->strings();
    OrderedJsonDocument(file.path(), note.configuration).root().object();
  } catch (const Error&) {
    throw Error("{}: '{}' of its metadata is not what rankfold merge writes", file.path().string(),
                note_key);
  }
  return note;
}

/// What a checkpoint without a head leaves out of its names, e.g. "bert.": the full names are those
/// of the model with its head, which is what is written.
std::string missing_prefix(const WeightFolder& weights, const ModelShape& shape) {
  const std::string full = stored_matrix(shape, catalogue(shape).sites.front()).module + ".weight";
  if (weights.find(full) != nullptr) return "";
  const std::size_t dot = full.find('.');
  if (dot != std::string::npos && weights.find(full.substr(dot + 1)) != nullptr) {
    return full.substr(0, dot + 1);
  }
  throw Error("{}: tensor '{}' is missing", weights.path().string(), full);
}

json read_configuration(const fs::path& file) {
  json configuration = read_json<json>(file);
  if (!configuration.is_object()) throw Error("{}: is not a JSON object", file.string());
  return configuration;
}

std::string architecture_of(const std::string& model_type, const std::string& ending) {
  const Family* family = find_family(model_type);
  return family && !family->architecture.empty() ? std::string(family->architecture) + ending : "";
}

void name_labels(const AdapterDescription& description, json& configuration) {
  json id_to_label = json::object(), label_to_id = json::object();
  for (std::size_t label = 0; label < description.labels; ++label) {
    const std::string name =
        description.classes.empty() ? fmt::format("LABEL_{}", label) : description.classes[label];
    id_to_label[std::to_string(label)] = name;
    label_to_id[name] = label;
  }
  configuration["num_labels"] = description.labels;
  configuration["id2label"] = id_to_label;
  configuration["label2id"] = label_to_id;
  configuration["problem_type"] =
      description.regression ? "regression" : "single_label_classification";
}

void write_configuration(const fs::path& model, const AdaptedModel& adapted, const fs::path& out) {
  const fs::path file = model / "config.json";
  json configuration = read_configuration(file);
  if (adapted.description.output == HostOutput::classifier) {
    const bool has_head = adapted.untrained.empty();
    if (has_head) name_labels(adapted.description, configuration);
    const auto type = OrderedJsonField(configuration, file).find("model_type");
    const std::string architecture = architecture_of(
        type ? type->string() : "", has_head ? "ForSequenceClassification" : "Model");
    if (!architecture.empty()) configuration["architectures"] = json::array({architecture});
  }
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (configuration.contains(key)) configuration[key] = "float32";
  }
  write_atomically(out / "config.json", json_text(configuration));
}

/// Everything a tokenizer reads, and how texts are generated; weights and their index are written
/// anew.
void copy_tokenizer(const fs::path& model, const fs::path& out) {
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
        "special_tokens_map.json", "added_tokens.json", "spiece.model", "spm.model",
        "tokenizer.model", "sentencepiece.bpe.model", "chat_template.jinja",
        "generation_config.json"}) {
    if (!fs::exists(model / name)) continue;
    std::error_code failure;
    fs::copy_file(model / name, out / name, failure);
    if (failure) throw Error("{}: {}", (model / name).string(), failure.message());
  }
}

/// Throws Error unless the tensor is there with these numbers.
void check_tensor(const TensorEntry& entry, const Shape& expected, const fs::path& file) {
  if (entry.type != DataType::f32 || entry.shape != expected)
    throw Error("{}: tensor '{}' is {} [{}]; expected F32 [{}]", file.string(), entry.name,
                data_type_name(entry.type), fmt::join(entry.shape, ", "),
                fmt::join(expected, ", "));
}

std::vector<TensorToWrite> list_of(const std::map<std::string, TensorToWrite>& tensors) {
  std::vector<TensorToWrite> list;
  for (const auto& [name, tensor] : tensors) list.push_back(tensor);
  return list;
}

/// Writes the merged tensors, and says in the file's metadata what they are made of: see MergeNote.
std::size_t write_tensors(const WeightFolder& weights, const ModelShape& shape,
                          AdaptedModel& adapted, MergeNote note, const fs::path& out) {
  const auto is_random = [&](const std::string& name) {
    return std::ranges::find(adapted.untrained, name) != adapted.untrained.end();
  };
  const std::string prefix = missing_prefix(weights, shape);
  std::map<std::string, TensorToWrite> tensors;
  std::map<std::string, std::string> names;  ///< in the base model
  for (const std::string& name : weights.names()) {
    const TensorEntry& entry = weights.at(name);
    const std::string full = is_in_a_head(name) || name.starts_with(prefix) ? name : prefix + name;
    tensors[full] = {full, entry.type, entry.shape, weights.bytes(name)};
    names[full] = name;
  }
  std::vector<Host::DrawnTensor> own = adapted.host->replaced();
  for (Host::DrawnTensor& tensor : adapted.host->drawn())
    if (!is_random(tensor.name)) own.push_back(std::move(tensor));
  UpdatedModules modules(shape, [&](const std::string& name, const Shape& expected) {
    if (const auto found = std::ranges::find(own, name, &Host::DrawnTensor::name);
        found != own.end())
      return std::vector<float>(found->value.begin(), found->value.end());
    const auto stored = names.find(name);
    if (stored == names.end())
      throw Error("{}: tensor '{}' is missing, which the adapter's update is added to",
                  weights.path().string(), name);
    const TensorEntry& entry = weights.at(stored->second);
    if (entry.shape != expected)
      throw Error("{}: tensor '{}' has shape [{}], expected [{}]", weights.path().string(),
                  stored->second, fmt::join(entry.shape, ", "), fmt::join(expected, ", "));
    return weights.read<float>(stored->second);
  });
  for (std::size_t index = 0; index < adapted.adapter->stack().sites.size(); ++index)
    modules.add(*adapted.adapter, index, 1);
  std::set<std::string> base;
  for (const auto& [name, tensor] : tensors) base.insert(name);
  const auto put = [&](const std::string& full, const Shape& of, std::span<const float> values) {
    const std::string older = older_name(full);
    const std::string& name = base.contains(older) ? older : full;
    tensors[name] = make_tensor(name, of, values);
    if (base.contains(name)) note.replaced.push_back(name);
    return base.contains(name);
  };
  for (const Host::DrawnTensor& tensor : own) put(tensor.name, tensor.shape, tensor.value);
  for (const TensorToWrite& tensor : modules.list()) tensors[tensor.name] = tensor;
  for (const std::string& name : adapted.untrained)
    if (tensors.erase(name) > 0) note.left_out.push_back(name);
  // A copy of the embedding as it was; who reads the model ties the two anew.
  if (adapted.description.targets == everything && shape.tied_output &&
      tensors.erase(token_output_tensor) > 0)
    note.left_out.emplace_back(token_output_tensor);
  for (const TrainedTensor& tensor : adapted.host->trained()) {
    if (is_random(tensor.name)) continue;
    if (!put(tensor.name, tensor.shape, tensor.value) && !is_in_a_head(tensor.name))
      throw Error("{}: tensor '{}' of the adapter is missing", weights.path().string(),
                  tensor.name);
  }
  for (const auto& [name, tensor] : tensors)
    if (!base.contains(name)) note.added.push_back(name);
  const std::vector<TensorToWrite> list = list_of(tensors);
  note.merged = fingerprint(list);
  write_safetensors(out / tensors_name, list, {{"format", "pt"}, {note_key, to_text(note)}});
  return list.size();
}

}  // namespace

MergeResult merge(const fs::path& model, const fs::path& adapter, const fs::path& out,
                  const Registry& registry) {
  check_model_folder(model);
  AtomicFolder folder(out);
  AdaptedModel adapted = load_adapted_model(model, adapter, registry, make_cpu_device(), "f32");
  const AdapterDescription& description = adapted.description;
  for (const std::string& part : split(description.train, ',')) {
    if (trim(part) == "tt-head") {
      throw Error(
          "{}: its head is a tensor train (tt-head), which a plain model folder cannot hold",
          adapter.string());
    }
  }
  if (!adapted.adapter->is_weight_update()) {
    throw Error("{}: method {} adds to the activations, not to the weights; it cannot be merged",
                adapter.string(), description.method);
  }
  MergeResult result;
  result.method = description.method;
  result.sites = adapted.adapter->parameters().empty() ? 0 : adapted.adapter->stack().sites.size();
  MergeNote note;
  note.base = model_fingerprint(model);
  note.adapter = adapter_fingerprint(adapter);
  note.method = description.method;
  note.configuration = read_text(model / "config.json");
  result.tensors = write_tensors(WeightFolder(model), read_shape(model), adapted, std::move(note),
                                 folder.path());
  result.bytes = fs::file_size(folder.path() / tensors_name);
  write_configuration(model, adapted, folder.path());
  result.left_out = adapted.untrained;
  copy_tokenizer(model, folder.path());
  folder.commit();
  return result;
}

namespace {

/// That of the base model, with the labels of a head that stays as it was trained.
std::string configuration_behind(const MergeNote& note, const fs::path& merged) {
  if (std::ranges::none_of(note.replaced, is_in_a_head)) return note.configuration;
  json base = json::parse(note.configuration);
  const json trained = read_configuration(merged / "config.json");
  for (const char* key : {"num_labels", "id2label", "label2id", "problem_type"})
    if (trained.contains(key)) base[key] = trained[key];
  return json_text(base);
}

[[noreturn]] void refuse_frozen(const fs::path& adapter, const std::string& method) {
  throw Error(
      "{}: the update of method {} depends on the base model's weights, which are what is asked "
      "for; it cannot be taken out of the merged ones",
      adapter.string(), method);
}

/// Throws Error unless `model` holds that merge of that adapter, unchanged.
void check_merge(const SafetensorsFile& file, const MergeNote& note, const fs::path& model,
                 const fs::path& adapter) {
  if (const std::string found = adapter_fingerprint(adapter); found != note.adapter)
    throw Error(
        "{}: holds the merge of another adapter, of method {} (fingerprint {}); {} has "
        "fingerprint {}",
        file.path().string(), printable(note.method, 200), printable(note.adapter, 40),
        adapter.string(), found);
  if (const std::string found = model_fingerprint(model, note.merged); found != note.merged)
    throw Error("{}: has changed since it was merged: its fingerprint is {}, merge wrote {}",
                file.path().string(), found, printable(note.merged, 40));
}

}  // namespace

UnmergeResult unmerge(const fs::path& model, const fs::path& adapter, const fs::path& out,
                      const Registry& registry) {
  check_model_folder(model);
  AtomicFolder folder(out);
  const SafetensorsFile file(model / tensors_name);
  const MergeNote note = read_note(file);
  check_merge(file, note, model, adapter);
  const bool foreign = is_foreign_folder(adapter);
  if (!foreign) {
    AdapterDescription description = read_adapter_description(adapter);
    const SiteCatalogue catalogue = list_sites(description, description.stack);
    if (!description.stack.empty() &&
        make_described_adapter<float>(description, catalogue, registry, make_cpu_device())
            ->needs_frozen())
      refuse_frozen(adapter, description.method);
  }
  // Other programs' folders do not say where their weights lie in the model; the merged one has
  // them all.
  const LoneAdapter lone =
      load_lone_adapter(adapter, foreign ? model : fs::path(), registry, make_cpu_device());
  if (lone.adapter->needs_frozen() || lone.starts_from_weights)
    refuse_frozen(adapter, lone.description.method);

  UnmergeResult result;
  result.method = lone.description.method;
  result.dropped = note.added;
  result.kept = note.replaced;
  result.lost = note.left_out;
  std::map<std::string, TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries())
    if (std::ranges::find(note.added, entry.name) == note.added.end())
      tensors[entry.name] = {entry.name, entry.type, entry.shape, file.bytes(entry)};
  const std::vector<Site>& sites = lone.adapter->stack().sites;
  if (!lone.adapter->parameters().empty()) result.sites = sites.size();
  const ModelShape shape = read_shape(model);
  UpdatedModules modules(shape, [&](const std::string& name, const Shape& expected) {
    check_tensor(file.at(name), expected, file.path());
    return file.read<float>(name);
  });
  for (std::size_t index = 0; index < sites.size(); ++index) modules.add(*lone.adapter, index, -1);
  // A drawn pooler is among the tensors that the merge added.
  for (const TensorToWrite& tensor : modules.list())
    if (tensors.contains(tensor.name)) tensors[tensor.name] = tensor;
  result.tensors = tensors.size();
  write_safetensors(folder.path() / tensors_name, list_of(tensors), {{"format", "pt"}});
  result.bytes = fs::file_size(folder.path() / tensors_name);
  write_atomically(folder.path() / "config.json", configuration_behind(note, model));
  copy_tokenizer(model, folder.path());
  folder.commit();
  return result;
}

}  // namespace rankfold
