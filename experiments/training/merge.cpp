#include "experiments/training/merge.h"

#include <algorithm>
#include <map>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/backend.h"
#include "core/error.h"
#include "core/files.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "experiments/training/adapter_folder.h"
#include "experiments/training/atomic_folder.h"
#include "experiments/training/run_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;

/// What a checkpoint without a head leaves out of its names, e.g. "bert.": the full names are those
/// of the model with its head, which is what is written.
std::string missing_prefix(const WeightFolder& weights, const Stack& stack) {
  if (stack.sites.empty()) return "";
  const std::string full = stack.sites.front().name + ".weight";
  if (weights.find(full) != nullptr) return "";
  const std::size_t dot = full.find('.');
  if (dot != std::string::npos && weights.find(full.substr(dot + 1)) != nullptr) {
    return full.substr(0, dot + 1);
  }
  throw Error("{}: tensor '{}' is missing", weights.path().string(), full);
}

json read_configuration(const fs::path& file) {
  json configuration = json::parse(read_text(file), nullptr, false);
  if (!configuration.is_object()) throw Error("{}: is not a JSON object", file.string());
  return configuration;
}

std::string classifier_architecture(const std::string& model_type) {
  static const std::map<std::string, std::string> names{
      {"bert", "Bert"},       {"roberta", "Roberta"},      {"albert", "Albert"},
      {"deberta", "Deberta"}, {"deberta-v2", "DebertaV2"}, {"llama", "Llama"}};
  const auto found = names.find(model_type);
  return found == names.end() ? "" : found->second + "ForSequenceClassification";
}

void write_configuration(const fs::path& model, const AdapterDescription& description,
                         const fs::path& out) {
  json configuration = read_configuration(model / "config.json");
  json id_to_label = json::object(), label_to_id = json::object();
  for (std::size_t label = 0; label < description.labels; ++label) {
    const std::string name = fmt::format("LABEL_{}", label);
    id_to_label[std::to_string(label)] = name;
    label_to_id[name] = label;
  }
  configuration["num_labels"] = description.labels;
  configuration["id2label"] = id_to_label;
  configuration["label2id"] = label_to_id;
  configuration["problem_type"] =
      description.regression ? "regression" : "single_label_classification";
  const std::string architecture = classifier_architecture(configuration.value("model_type", ""));
  if (!architecture.empty()) configuration["architectures"] = json::array({architecture});
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (configuration.contains(key)) configuration[key] = "float32";
  }
  write_atomically(out / "config.json",
                   configuration.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

/// Everything a tokenizer reads; weights and their index are written anew.
void copy_tokenizer(const fs::path& model, const fs::path& out) {
  for (const char* name :
       {"tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt",
        "special_tokens_map.json", "added_tokens.json", "spiece.model", "spm.model",
        "tokenizer.model", "sentencepiece.bpe.model"}) {
    if (!fs::exists(model / name)) continue;
    std::error_code failure;
    fs::copy_file(model / name, out / name, failure);
    if (failure) throw Error("{}: {}", (model / name).string(), failure.message());
  }
}

/// The weight of one site with its update, in float32.
std::vector<float> merged_weight(const AdaptedModel& adapted, std::size_t index) {
  const Adapter<float>& adapter = *adapted.adapter;
  const Site& site = adapter.stack().sites[index];
  std::vector<float> weight(site.out * site.in);
  adapter.reconstruct(index, MatrixView<float>(weight.data(), site.out, site.in));
  const float* frozen = adapted.host->frozen(site).weight;
  for (std::size_t i = 0; i < weight.size(); ++i) weight[i] += frozen[i];
  return weight;
}

bool is_head(const std::string& name) {
  return name.starts_with("classifier.") || name.starts_with("score.");
}

std::size_t write_tensors(const WeightFolder& weights, AdaptedModel& adapted, const fs::path& out) {
  const std::string prefix = missing_prefix(weights, adapted.adapter->stack());
  std::map<std::string, TensorToWrite> tensors;
  for (const std::string& name : weights.names()) {
    const TensorEntry& entry = weights.at(name);
    const std::string full = is_head(name) || name.starts_with(prefix) ? name : prefix + name;
    tensors[full] = {full, entry.type, entry.shape, weights.bytes(name)};
  }
  std::vector<std::vector<float>> merged;
  const std::vector<Site>& sites = adapted.adapter->stack().sites;
  merged.reserve(sites.size());
  for (std::size_t index = 0; index < sites.size(); ++index) {
    merged.push_back(merged_weight(adapted, index));
    const std::string name = sites[index].name + ".weight";
    if (!tensors.contains(name)) {
      throw Error("{}: tensor '{}' is missing", weights.path().string(), name);
    }
    tensors[name] = make_tensor(name, {sites[index].out, sites[index].in},
                                std::span<const float>(merged.back()));
  }
  for (const TrainedTensor& tensor : adapted.host->trained()) {
    if (!tensors.contains(tensor.name) && !is_head(tensor.name)) {
      throw Error("{}: tensor '{}' of the adapter is missing", weights.path().string(),
                  tensor.name);
    }
    tensors[tensor.name] =
        make_tensor(tensor.name, tensor.shape, std::span<const float>(tensor.value));
  }
  for (const Host::DrawnTensor& tensor : adapted.host->drawn())
    tensors[tensor.name] = make_tensor(tensor.name, tensor.shape, tensor.value);
  std::vector<TensorToWrite> list;
  for (auto& [name, tensor] : tensors) list.push_back(std::move(tensor));
  write_safetensors(out / "model.safetensors", list, {{"format", "pt"}});
  return list.size();
}

}  // namespace

MergeResult merge(const fs::path& model, const fs::path& adapter, const fs::path& out,
                  const Registry& registry) {
  check_model_folder(model);
  AtomicFolder folder(out);
  AdaptedModel adapted =
      load_adapted_model(model, adapter, registry, make_openblas_backend(), "f32");
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
  result.tensors = write_tensors(WeightFolder(model), adapted, folder.path());
  result.bytes = fs::file_size(folder.path() / "model.safetensors");
  write_configuration(model, description, folder.path());
  copy_tokenizer(model, folder.path());
  folder.commit();
  return result;
}

}  // namespace rankfold
