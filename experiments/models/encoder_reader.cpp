#include "experiments/models/encoder_reader.h"

#include <utility>

#include "core/base/error.h"
#include "core/base/text.h"

namespace rankfold {

EncoderDetails read_encoder_details(const ModelShape& shape,
                                    const std::optional<ConfigFile>& config, double dropout) {
  EncoderDetails details;
  details.layer.hidden = shape.hidden;
  details.layer.heads = shape.heads;
  details.layer.intermediate = shape.intermediate;
  if (config)
    details.layer.activation =
        parse_activation(config->text("hidden_act"), printable(config->path().string()));
  const auto number = [&](const char* key, double most, double fallback) {
    return config ? config->number(key, 0.0, most, fallback) : fallback;
  };
  const auto probability = [&](const char* key, double fallback) {
    return dropout >= 0 ? dropout : number(key, 0.999, fallback);
  };
  details.epsilon = static_cast<float>(number("layer_norm_eps", 1.0, 1e-12));
  details.layer.hidden_dropout = probability("hidden_dropout_prob", 0.1);
  details.layer.attention_dropout = probability("attention_probs_dropout_prob", 0.1);
  details.classifier_dropout = probability("classifier_dropout", details.layer.hidden_dropout);
  return details;
}

LayerNorm read_norm(const std::string& name, const ModelShape& shape, float epsilon,
                    FrozenWeights& weights) {
  LayerNorm norm;
  norm.weight = weights.tensor(name + ".weight", {shape.hidden});
  norm.shift = weights.tensor(name + ".bias", {shape.hidden});
  norm.epsilon = epsilon;
  norm.name = name;
  return norm;
}

EncoderLayer read_encoder_layer(const ModelShape& shape, const EncoderDetails& details,
                                const SiteCatalogue& catalogue, std::size_t layer,
                                const EncoderNorms& norms, FrozenWeights& weights,
                                std::shared_ptr<const Device> device, bool bfloat16) {
  EncoderLayer::Parts parts;
  for (const Site& site : catalogue.sites) {
    if (site.layer != layer) continue;
    FrozenLinear<float> frozen;
    frozen.weight = weights.tensor(site.name + ".weight", {site.out, site.in});
    frozen.bias = weights.tensor(site.name + ".bias", {site.out});
    parts.linears.emplace_back(site, frozen, device, bfloat16);
  }
  parts.attention_norm = read_norm(norms.attention, shape, details.epsilon, weights);
  parts.output_norm = read_norm(norms.output, shape, details.epsilon, weights);
  return EncoderLayer(details.layer, std::move(parts), std::move(device));
}

void note_unused(const FrozenWeights& weights, bool (*expected)(std::string_view name),
                 const std::string& model, std::vector<std::string>& notes) {
  std::vector<std::string> names = weights.unused();
  std::erase_if(names, expected);
  if (names.empty()) return;
  notes.push_back(
      fmt::format("{}: the checkpoint has {} that no part of the model reads: {}", model,
                  names.size() == 1 ? "a tensor" : fmt::format("{} tensors", names.size()),
                  printable(join(names, ", "), 300)));
}

}  // namespace rankfold
