#include <cmath>

#include "decompositions/common.h"
#include "decompositions/loretta.h"
#include "decompositions/registry.h"

namespace rankfold {

static bool acts_before(const Site& site) {
  return site.matrix == MatrixType::gate || site.matrix == MatrixType::up;
}
static std::size_t hidden_side(const Site& site) {
  return acts_before(site) ? site.in : site.out;
}

// f(h) = scale * (TT_up relu(TT_down h + down_bias) + up_bias), y = z + f(z) with z = W x after the
// attention and feed-forward outputs; before Llama's gate and up, y = W (x + f(x)).
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode hidden{"hidden", hidden_side(site)}, b{"b", settings.count("bottleneck")};
  const double scale = settings.number("scale");
  const auto layer = [&](const std::string& prefix, const Mode& from, const Mode& to,
                         double factor) {
    const std::string option = "shape-" + prefix;
    const Initialiser bias = uniform(1 / std::sqrt(static_cast<double>(to.size)));
    return Network{.out = {to},
                   .in = {from},
                   .terms = {{.scale = factor,
                              .product = {loretta_train(
                                  prefix, loretta_shape(settings.shape(option), from.size, to.size),
                                  settings.rank, from, to,
                                  "[loretta_adp] site " + site.name + ": " + option)}},
                             {.scale = factor,
                              .product = {Factor{prefix + "_bias", {to}, bias}},
                              .constant = true}}};
  };
  return {acts_before(site) ? Place::before : Place::after,
          {{layer("down", hidden, b, 1), Activation::relu}, {layer("up", b, hidden, scale)}}};
}

static std::vector<std::string> notes(const Stack& stack, const MethodSettings& settings) {
  return loretta_notes(
      "loretta_adp", stack, settings, "shape-down", "shape-up",
      [](const Site& site) { return std::pair(hidden_side(site), hidden_side(site)); });
}

Method loretta_adp() {
  return {.name = "loretta_adp",
          .summary = "bottleneck adapters whose two matrices are tensor trains",
          .formula =
              "y = z + scale * (TT_up relu(TT_down z + down_bias) + up_bias), z = W x + b; before "
              "gate and up: y = W (x + f(x))",
          .reference = "Yang et al., LoRETTA, arXiv 2402.11417, section 3.2 and table 10",
          .options =
              {{"bottleneck", "64", {}, "the inner size b"},
               {"shape-down", "", {}, "modes of TT_down, product hidden x b (default: table 10)"},
               {"shape-up", "", {}, "modes of TT_up, product b x hidden"},
               {"scale", "1", {}, "factor of the adapter's output"}},
          .presets = {{"paper", "table 1: bottleneck 64", {{"bottleneck", "64"}, {"scale", "1"}}}},
          .alpha = 0,
          .default_targets = "adapters",
          .declare = declare,
          .notes = notes};
}

}  // namespace rankfold
