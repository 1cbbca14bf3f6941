#include "experiments/adapter_files/peft_tokens_folder.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "core/base/atomic_folder.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/foreign_keys.h"
#include "core/base/text.h"
#include "experiments/adapter_files/peft_config.h"
#include "experiments/models/families/family.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using json = nlohmann::ordered_json;
using TokensKeys = ForeignKey::Meaning;

constexpr const char* tokens_tensor = "prompt_embeddings";
constexpr std::string_view model_prefix = "base_model.";
constexpr std::size_t most_of_a_size = 1'000'000;

/// A peft_type, our method for it, and where it enters.
struct TokensType {
  const char *type, *method;
  Entry entry;
};
constexpr std::array<TokensType, 2> tokens_types = {{
    {"PROMPT_TUNING", "prompt", Entry::embeddings},
    {"PREFIX_TUNING", "prefix", Entry::keys_and_values},
}};

const std::vector<ForeignKey> tokens_keys = joined(
    {keys_of(TokensKeys::read, {"peft_type", "task_type", "num_virtual_tokens", "token_dim",
                                "num_layers", "num_attention_heads", "modules_to_save"}),
     {{"num_transformer_submodules", TokensKeys::off_only, {"1"}}},
     // How the rows were started and formed in training: the file has what came of it.
     keys_of(TokensKeys::changes_nothing,
             {"auto_mapping", "base_model_name_or_path", "inference_mode", "peft_version",
              "revision", "prompt_tuning_init", "prompt_tuning_init_text", "tokenizer_name_or_path",
              "tokenizer_kwargs", "init_weights", "prefix_projection", "encoder_hidden_size"})});

/// The columns of prompt_embeddings that are the rows of a site.
std::size_t first_column(const Site& site) {
  if (site.matrix == MatrixType::virtual_tokens) return 0;
  return (2 * site.layer + (site.matrix == MatrixType::prefix_v ? 1 : 0)) * site.out;
}

const Parameter<float>& token_rows_of(const Adapter<float>& adapter, const Site& site) {
  const auto found =
      std::ranges::find_if(adapter.parameters(), [&](const Parameter<float>& parameter) {
        return parameter.name == fmt::format("{}.{}", parameter.factor, site.name);
      });
  if (found == adapter.parameters().end())
    throw Error("[{}] has no rows at {}", adapter.method(), site.name);
  return *found;
}

}  // namespace

struct PeftTokensFolder::Contents {
  PeftConfig config;
  TokensType type;
  SafetensorsFile file;
  std::size_t tokens = 0, numbers = 0;
  std::map<std::string, std::string> head;  ///< name in the model -> key

  explicit Contents(const fs::path& folder)
      : config(folder),
        type(*std::ranges::find(tokens_types, config.type(), &TokensType::type)),
        file(open_foreign_tensors(folder)) {
    expect_known_keys(config.document().value(), config.file(), "", {tokens_keys});
    const TensorEntry& entry = file.at(tokens_tensor);
    if (entry.shape.size() != 2 || entry.elements() == 0)
      throw Error("{}: tensor '{}' has shape ({}), expected (tokens, numbers)", name(),
                  tokens_tensor, fmt::join(entry.shape, ", "));
    tokens = entry.shape[0];
    numbers = entry.shape[1];
    if (config.whole("num_virtual_tokens", tokens, 1, most_of_a_size) != tokens)
      config.refuse("num_virtual_tokens",
                    fmt::format("{} as the rows of {} in {}", tokens, tokens_tensor, name()));
    for (const TensorEntry& other : file.entries()) {
      if (other.name == tokens_tensor) continue;
      std::string in_model = other.name;
      if (in_model.starts_with(model_prefix)) in_model.erase(0, model_prefix.size());
      if (!is_in_a_head(in_model))
        throw Error("{}: tensor '{}' is of no head, expected {} and a head's alone", name(),
                    printable(other.name, 200), tokens_tensor);
      head.emplace(in_model, other.name);
    }
    for (const std::string& saved : config.texts("modules_to_save"))
      if (!is_in_a_head(saved + ".")) config.refuse("modules_to_save", "modules of a head");
  }

  std::string name() const { return printable(file.path().string()); }

  /// Throws Error where a size of the configuration is another than the model's.
  void expect_size(const char* key, std::size_t expected) const {
    if (config.whole(key, expected, 1, most_of_a_size) != expected)
      config.refuse(key, fmt::format("{}, as the model has it", expected));
  }
};

bool PeftTokensFolder::is_type(const std::string& peft_type) {
  return std::ranges::find(tokens_types, peft_type, &TokensType::type) != tokens_types.end();
}

PeftTokensFolder::PeftTokensFolder(const fs::path& folder)
    : contents_(std::make_unique<Contents>(folder)) {}
PeftTokensFolder::~PeftTokensFolder() = default;

std::optional<std::size_t> PeftTokensFolder::labels() const {
  return head_labels(contents_->file, contents_->head);
}

std::optional<HostOutput> PeftTokensFolder::output() const {
  return peft_output(contents_->config);
}

AdapterDescription PeftTokensFolder::describe(const SiteCatalogue& catalogue) {
  const bool embeds = contents_->type.entry == Entry::embeddings;
  std::size_t numbers = 0, layers = 0;
  for (const Site& site : catalogue.virtual_sites) {
    if (embeds != (site.matrix == MatrixType::virtual_tokens)) continue;
    numbers += site.out;
    layers = std::max(layers, site.layer + 1);
    contents_->expect_size("token_dim", site.out);
    if (!embeds) contents_->expect_size("num_attention_heads", site.heads);
  }
  if (!embeds) contents_->expect_size("num_layers", layers);
  if (numbers != contents_->numbers)
    throw Error("{}: tensor '{}' has {} numbers a token, expected {} of {}", contents_->name(),
                tokens_tensor, contents_->numbers, numbers, catalogue.model);
  AdapterDescription description;
  description.method = contents_->type.method;
  description.targets = embeds ? "virtual_tokens" : "prefix_k,prefix_v";
  description.settings.options = {{"tokens", std::to_string(contents_->tokens)}};
  return description;
}

bool PeftTokensFolder::holds(const std::string&) const {
  return true;
}

void PeftTokensFolder::fill(Adapter<float>& adapter) const {
  std::vector<float> all(contents_->tokens * contents_->numbers);
  read_numbers(contents_->file, tokens_tensor, "virtual tokens",
               {contents_->tokens, contents_->numbers}, all);
  for (const Site& site : adapter.stack().sites) {
    const HostWrite<float> rows(adapter.parameter(token_rows_of(adapter, site).name).value);
    for (std::size_t token = 0; token < site.in; ++token)
      std::copy_n(all.data() + token * contents_->numbers + first_column(site), site.out,
                  rows.data() + token * site.out);
  }
}

bool PeftTokensFolder::fill_head(std::vector<TrainedTensor> head) const {
  return fill_foreign_head(contents_->file, contents_->head, head);
}

bool PeftTokensFolder::keeps_head() const {
  return contents_->head.empty() && output() != HostOutput::classifier;
}

PeftTokens export_as_tokens(const LoneAdapter& source, const fs::path& out,
                            const std::string& base_name) {
  const AdapterDescription& description = source.description;
  const auto type = std::ranges::find(tokens_types, description.method, &TokensType::method);
  if (type == tokens_types.end())
    throw Error(
        "method {} is none of virtual tokens, which PEFT has as a form of their own; "
        "expected prompt or prefix (others: --as lora)",
        description.method);
  if (description.train.find("tt-head") != std::string::npos)
    throw Error("the adapter's head is a tensor train (tt-head), which PEFT cannot hold");
  const std::vector<Site>& sites = source.adapter->stack().sites;
  const Site& first = sites.front();
  const std::size_t layers = sites.back().layer + 1;
  const bool embeds = type->entry == Entry::embeddings;
  const std::size_t all_layers = source.shape && !embeds ? source.shape->layers : layers;
  if (sites.size() != (embeds ? 1 : 2 * all_layers))
    throw Error("the adapter has keys in {} of {} layers, expected all: PEFT has them everywhere",
                sites.size() / 2, all_layers);
  PeftTokens result{first.in, 0};
  const std::size_t numbers = sites.size() * first.out;
  std::vector<float> all(first.in * numbers);
  for (const Site& site : sites) {
    const HostRead<float> rows(token_rows_of(*source.adapter, site).value);
    for (std::size_t token = 0; token < site.in; ++token)
      std::copy_n(rows.data() + token * site.out, site.out,
                  all.data() + token * numbers + first_column(site));
  }
  result.parameters = all.size();
  std::vector<TensorToWrite> tensors = {
      make_tensor(tokens_tensor, {first.in, numbers}, std::span<const float>(all))};
  std::vector<std::string> saved;
  for (const LoneAdapter::HeadTensor& tensor : source.head) {
    const std::string module(head_of(tensor.name));
    if (module.empty())
      throw Error("the adapter has trained {}, which PEFT does not keep beside virtual tokens",
                  tensor.name);
    tensors.push_back(make_tensor(std::string(model_prefix) + tensor.name, tensor.shape,
                                  std::span<const float>(tensor.values)));
    if (std::ranges::find(saved, module) == saved.end()) saved.push_back(module);
  }
  json task = nullptr;
  if (!saved.empty()) task = "SEQ_CLS";
  if (description.output == HostOutput::language_model) task = "CAUSAL_LM";
  json heads = nullptr, layer_count = nullptr;
  if (!embeds) {
    heads = first.heads;
    layer_count = layers;
  } else if (source.shape) {
    heads = source.shape->heads;
    layer_count = source.shape->layers;
  }
  json config = {{"base_model_name_or_path", base_name.empty() ? json(nullptr) : json(base_name)},
                 {"inference_mode", true},
                 {"modules_to_save", saved.empty() ? json(nullptr) : json(saved)},
                 {"num_attention_heads", heads},
                 {"num_layers", layer_count},
                 {"num_transformer_submodules", 1},
                 {"num_virtual_tokens", first.in},
                 {"peft_type", type->type},
                 {"task_type", task},
                 {"token_dim", first.out}};
  if (!embeds) config["prefix_projection"] = false;
  AtomicFolder folder(out);
  write_safetensors(folder.path() / adapter_tensors_name, tensors, {{"format", "pt"}});
  write_atomically(folder.path() / adapter_config_name, config.dump(2) + "\n");
  folder.commit();
  return result;
}

}  // namespace rankfold
