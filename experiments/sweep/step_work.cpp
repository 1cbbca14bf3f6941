#include "experiments/sweep/step_work.h"

#include <algorithm>
#include <array>
#include <vector>

#include "experiments/models/families/family.h"
#include "experiments/models/trained_parts.h"

namespace rankfold {
namespace {

/// In what order the parts of a layer are computed.
enum Stage { attention_inputs, attention_output, feed_forward, feed_forward_output, stages };

Stage stage_of(MatrixType matrix) {
  switch (matrix) {
    case MatrixType::o:
      return attention_output;
    case MatrixType::gate:
    case MatrixType::up:
      return feed_forward;
    case MatrixType::down:
      return feed_forward_output;
    default:
      return attention_inputs;
  }
}

double weights_of(const Site& site) {
  return static_cast<double>(site.out) * static_cast<double>(site.in);
}

/// Operations of a forward pass through a layer, by its parts; attention counts with its output.
using LayerWork = std::array<double, stages>;

/// Tokens that a site works on: in the last layer the output is read of `kept` alone, and of all
/// others only keys and values.
double tokens_of(const Site& site, bool is_last, double all, double kept) {
  if (!is_last || site.matrix == MatrixType::k || site.matrix == MatrixType::v) return all;
  return site.matrix == MatrixType::in_proj ? (2 * all + kept) / 3 : kept;
}

double kept_tokens(const StepTokens& tokens) {
  return std::min(tokens.told > 0 ? tokens.told : tokens.sequences,
                  tokens.sequences * tokens.length);
}

double sum(const LayerWork& work) {
  double total = 0;
  for (const double part : work) total += part;
  return total;
}

std::vector<LayerWork> forward_work(const ModelShape& shape, const SiteCatalogue& places,
                                    const StepTokens& tokens) {
  const double all = tokens.sequences * tokens.length;
  const double kept = kept_tokens(tokens);
  const double seen = family_of(shape).tells_tokens ? tokens.length / 2 : tokens.length;
  std::vector<LayerWork> layers(shape.layers, LayerWork{});
  for (std::size_t layer = 0; layer < shape.layers; ++layer) {
    const bool is_last = layer + 1 == shape.layers;
    for (const Site& site : places.sites) {
      // Layers that share their weights are one layer of sites.
      if (site.layer != layer % shape.distinct_layers || !site.part_of.empty() || site.beside_all)
        continue;
      layers[layer][stage_of(site.matrix)] +=
          2 * tokens_of(site, is_last, all, kept) * weights_of(site);
    }
    layers[layer][attention_output] +=
        4 * (is_last ? kept : all) * seen * static_cast<double>(shape.heads * shape.head_size);
  }
  return layers;
}

/// Where gradients end: they pass all parts behind this one.
struct LowestPart {
  std::size_t layer = 0;
  Stage stage = attention_inputs;
  bool passes_all = false;  ///< something below all layers trains
};

LowestPart lowest_part(const ModelShape& shape, const Method& method, const Stack& stack,
                       const RunSettings& settings) {
  const TrainedParts parts =
      parse_trained_parts(all_trained_parts(settings.text("train"), method), "");
  if (parts.norms || parts.norm_shifts) return {.passes_all = true};
  if (!method.adapts_sites || stack.sites.empty()) return {.layer = shape.layers};
  LowestPart lowest{.layer = stack.layers.front(), .stage = feed_forward_output};
  for (const Site& site : stack.sites)
    if (site.layer == lowest.layer) lowest.stage = std::min(lowest.stage, stage_of(site.matrix));
  return lowest;
}

}  // namespace

double step_work(const ModelShape& shape, const SiteCatalogue& places, const Method& method,
                 const Stack& stack, const RunSettings& settings, const StepTokens& tokens) {
  const std::vector<LayerWork> layers = forward_work(shape, places, tokens);
  const LowestPart lowest = lowest_part(shape, method, stack, settings);
  const double vocabulary =
      2 * tokens.told * static_cast<double>(shape.vocabulary) * static_cast<double>(shape.hidden);
  double below = 0, above = vocabulary, backward = vocabulary;
  for (std::size_t layer = 0; layer < layers.size(); ++layer) {
    (layer < lowest.layer ? below : above) += sum(layers[layer]);
    if (layer < lowest.layer) continue;
    for (std::size_t stage = 0; stage < stages; ++stage)
      if (layer > lowest.layer || stage > lowest.stage || lowest.passes_all)
        backward += layers[layer][stage];
  }
  if (settings.text("optimizer").starts_with("zo-"))
    return below + 2.0 * static_cast<double>(settings.count("zo-samples")) * above;
  double work = below + above + backward;
  if (method.is_reference && method.adapts_sites)
    for (const Site& site : stack.sites)
      work += 2 * weights_of(site) *
              tokens_of(site, site.layer + 1 == shape.layers, tokens.sequences * tokens.length,
                        kept_tokens(tokens));
  return work;
}

}  // namespace rankfold
