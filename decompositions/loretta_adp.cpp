#include <cmath>

#include "decompositions/bottleneck_map.h"
#include "decompositions/loretta.h"
#include "decompositions/registry.h"

namespace rankfold {

// The adapter's matrices as trains; its biases U(-1/sqrt(outputs), 1/sqrt(outputs)).
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  return bottleneck_adapter(
      site,
      {.inner = settings.count("bottleneck"),
       .scale = settings.number("scale"),
       .matrix = [&](const std::string& name, const Mode& from, const Mode& to) -> Operand {
         const std::string option = "shape-" + name;
         return loretta_train(name, loretta_shape(settings.shape(option), from.size, to.size),
                              settings.rank, from, to,
                              "[loretta_adp] site " + site.name + ": " + option);
       },
       .bias =
           [](const Mode& to) { return uniform(1 / std::sqrt(static_cast<double>(to.size))); }});
}

static std::vector<std::string> notes(const Stack& stack, const MethodSettings& settings) {
  return loretta_notes(
      "loretta_adp", stack, settings, "shape-down", "shape-up",
      [](const Site& site) { return std::pair(bottleneck_side(site), bottleneck_side(site)); });
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
