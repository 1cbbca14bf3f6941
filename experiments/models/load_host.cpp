#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "experiments/models/config_file.h"
#include "experiments/models/config_keys.h"
#include "experiments/models/families/bert.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"

namespace rankfold {
namespace {

/// The config.json of a built-in shape of the bert family.
ConfigFile bert_config(const ModelShape& shape) {
  const nlohmann::json config = {{"model_type", "bert"},
                                 {"hidden_act", "gelu"},
                                 {"hidden_size", shape.hidden},
                                 {"intermediate_size", shape.intermediate},
                                 {"num_attention_heads", shape.heads},
                                 {"num_hidden_layers", shape.layers},
                                 {"vocab_size", shape.vocabulary},
                                 {"max_position_embeddings", shape.positions},
                                 {"type_vocab_size", shape.token_types}};
  return {shape.name, config.dump()};
}

}  // namespace

std::unique_ptr<Host> load_host(const std::filesystem::path& folder, const HostSettings& settings,
                                std::shared_ptr<const Device> device) {
  const ConfigFile config(folder / "config.json");
  const std::string type = config.text("model_type");
  if (type == "bert") {
    expect_known_config(config, type);
    return load_bert(folder, config, settings, std::move(device));
  }
  throw Error("{}: model_type is '{}', expected bert", config.path().string(), type);
}

std::unique_ptr<Host> load_random_host(const std::string& name_or_folder, HostSettings settings,
                                       std::shared_ptr<const Device> device) {
  const ModelShape shape = find_shape(name_or_folder);
  if (shape.family != "bert")
    throw UsageError("{}: the network is of the family {}, expected bert: no other runs yet",
                     name_or_folder, shape.family);
  settings.random_weights = true;
  if (std::ranges::find(built_in_shapes(), name_or_folder, &ModelShape::name) ==
      built_in_shapes().end())
    return load_host(name_or_folder, settings, std::move(device));
  return load_bert(name_or_folder, bert_config(shape), settings, std::move(device));
}

}  // namespace rankfold
