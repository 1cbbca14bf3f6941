#include "decompositions/common.h"
#include "decompositions/loretta.h"
#include "decompositions/registry.h"

namespace rankfold {

// dW[out, in] = (alpha / b) sum_b TT_b[b, out] TT_a[in, b], where TT_a = a1[i1] a2[i2] ... reshaped
// row-major to (in, b), TT_b = b1 b2 ... to (b, out). Nothing starts at zero, as published.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in}, b{"b", settings.count("bottleneck")};
  const auto train = [&](const char* prefix, const char* option, const Mode& from, const Mode& to) {
    return loretta_train(prefix, loretta_shape(settings.shape(option), from.size, to.size),
                         settings.rank, from, to,
                         "[loretta_rep] site " + site.name + ": " + option);
  };
  const bool by_rank = settings.text("scale-by") == "rank";
  return weight_update(
      {.out = {out},
       .in = {in},
       .terms = {{.scale = alpha_over_rank(settings, by_rank ? settings.rank : b.size),
                  .product = {train("a", "shape-a", in, b), train("b", "shape-b", b, out)}}}});
}

static std::vector<std::string> notes(const Stack& stack, const MethodSettings& settings) {
  return loretta_notes("loretta_rep", stack, settings, "shape-a", "shape-b",
                       [](const Site& site) { return std::pair(site.in, site.out); });
}

Method loretta_rep() {
  return {.name = "loretta_rep",
          .summary = "a low-rank product of two tensor trains",
          .formula =
              "dW[out,in] = alpha/b * sum_b TT_b[b,out] TT_a[in,b]; TT = product of cores "
              "[x,mode,y] of bond rank r, read row-major",
          .reference = "Yang et al., LoRETTA, arXiv 2402.11417, section 3.3 and table 10",
          .options =
              {{"bottleneck", "8", {}, "the inner size b"},
               {"shape-a", "", {}, "modes of TT_a, product in x b (default: table 10 or balanced)"},
               {"shape-b", "", {}, "modes of TT_b, product b x out"},
               {"scale-by",
                "bottleneck",
                {"bottleneck", "rank"},
                "divide alpha by the bottleneck, or by the bond rank as the paper's runs did"},
               rslora_option()},
          .presets = {{"paper",
                       "the first code drop of yifanycc/loretta, encoders",
                       {{"alpha", "16"}, {"bottleneck", "8"}, {"scale-by", "rank"}}},
                      {"package",
                       "PyPI loretta: alpha 16, bottleneck 8",
                       {{"alpha", "16"}, {"bottleneck", "8"}, {"scale-by", "bottleneck"}}}},
          .alpha = 16,
          .declare = declare,
          .notes = notes};
}

}  // namespace rankfold
