#include <algorithm>

#include "core/base/error.h"
#include "decompositions/bottleneck_map.h"
#include "decompositions/registry.h"

namespace rankfold {

static Activation activation_of(const std::string& name) {
  return name == "gelu"   ? Activation::gelu
         : name == "silu" ? Activation::silu
         : name == "tanh" ? Activation::tanh
                          : Activation::relu;
}

static bool is_adapted(const Site& site, const MethodSettings& settings) {
  return settings.text("placement") == "houlsby" || site.matrix == MatrixType::down;
}

// f(h) = scale (up a(down h + down_bias) + up_bias) with dense matrices.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  if (std::ranges::none_of(stack.sites,
                           [&](const Site& each) { return is_adapted(each, settings); }))
    throw UsageError(
        "[bottleneck] site {}: placement=pfeiffer has its adapters after down alone, which is "
        "none of the targets; expected --targets adapters",
        site.name);
  if (!is_adapted(site, settings)) return {};
  const std::string& start = settings.text("start");
  const double deviation = start == "houlsby" ? 0.01 : 0.02;
  return bottleneck_adapter(
      site, {.inner = settings.rank,
             .activation = activation_of(settings.text("activation")),
             .scale = settings.number("scale"),
             .biases = settings.flag("bias"),
             .matrix = [&](const std::string& name, const Mode& from, const Mode& to) -> Operand {
               const bool is_zero = name == "up" && start == "zero";
               return Factor{name, {to, from}, is_zero ? zeros() : normal(deviation)};
             }});
}

Method bottleneck() {
  return {
      .name = "bottleneck",
      .summary = "bottleneck adapters of two dense matrices",
      .formula =
          "y = z + scale * (up act(down z + down_bias) + up_bias), z = W x + b; before gate "
          "and up: y = W (x + f(x))",
      .reference =
          "Houlsby et al., arXiv 1902.00751; Pfeiffer et al., arXiv 2005.00247; the Adapters "
          "rows of LoRETTA, arXiv 2402.11417",
      .options = {{"placement",
                   "houlsby",
                   {"houlsby", "pfeiffer"},
                   "houlsby: at every target; pfeiffer: after down alone"},
                  {"bias", "true", {"true", "false"}, "both matrices have a bias"},
                  {"activation", "relu", {"relu", "gelu", "silu", "tanh"}, "between the matrices"},
                  {"start",
                   "zero",
                   {"zero", "normal", "houlsby"},
                   "zero: down N(0, 0.02), up 0, so that nothing changes at first; normal: both "
                   "N(0, 0.02); houlsby: both N(0, 0.01), nearly nothing. Biases start at 0"},
                  {"scale", "1", {}, "factor of the adapter's output"}},
      .presets = {{"houlsby",
                   "section 2.1 and the published code: nearly the identity at first (its normal "
                   "numbers end at two deviations), gelu",
                   {{"placement", "houlsby"},
                    {"start", "houlsby"},
                    {"activation", "gelu"},
                    {"bias", "true"}}},
                  {"pfeiffer",
                   "one adapter a layer, after down, relu",
                   {{"placement", "pfeiffer"}, {"activation", "relu"}, {"bias", "true"}}},
                  {"loretta",
                   "LoRETTA's baseline on encoders: both matrices N(0, 0.02), relu, biases",
                   {{"start", "normal"}, {"activation", "relu"}, {"bias", "true"}}},
                  {"loretta-llama",
                   "LoRETTA's baseline on Llama: the same without biases",
                   {{"start", "normal"}, {"activation", "relu"}, {"bias", "false"}}}},
      .alpha = 0,
      .default_targets = "adapters",
      .declare = declare};
}

}  // namespace rankfold
