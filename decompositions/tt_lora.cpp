#include <cmath>
#include <string>

#include "core/network/start.h"
#include "decompositions/common.h"
#include "decompositions/loretta.h"
#include "decompositions/registry.h"
#include "decompositions/train_shapes.h"

namespace rankfold {
namespace {

/// The shapes of the authors' scripts by (in, out), else a balanced factorisation of both.
std::vector<std::size_t> train_shape(const Site& site, const MethodSettings& settings) {
  static const std::vector<TrainShape> published = {
      {768, 768, {64, 4, 3, 3, 4, 64}},
      {2048, 2048, {16, 8, 4, 4, 4, 4, 8, 16}},
      {2048, 512, {16, 16, 4, 2, 2, 16, 16}},
      {3072, 3072, {16, 4, 4, 3, 2, 2, 2, 2, 3, 4, 4, 16}},
      {4096, 4096, {16, 4, 4, 4, 2, 2, 2, 2, 4, 4, 4, 16}},
      {4096, 1024, {16, 4, 4, 4, 2, 2, 2, 2, 4, 4, 16}},
  };
  std::vector<std::size_t> shape = settings.shape("shape");
  if (!shape.empty()) return shape;
  const auto* known = find_train_shape(published, site.in, site.out);
  return known ? *known : loretta_shape({}, site.in, site.out);
}

}  // namespace

// dW[out, in] = alpha TT[in, out], TT = G1[i1] G2[i2] ... read row-major as (in, out). Each core
// starts uniform and is then scaled to norm 1, as published: the start is no zero update. With
// start=zero the last core is zero.
static Declaration declare(const Site& site, const Stack&, const MethodSettings& settings) {
  const Mode out{"out", site.out}, in{"in", site.in};
  const std::vector<std::size_t> shape = train_shape(site, settings);
  const bool zero = settings.text("start") == "zero";
  std::vector<Initialiser> initialisers(shape.size(), uniform(1));
  if (zero) initialisers.back() = zeros();
  Declaration declaration = weight_update(
      {.out = {out},
       .in = {in},
       .terms = {
           {.scale = settings.alpha,
            .product = {tensor_train("G", shape, settings.rank, {in, out}, initialisers,
                                     Owner::site, "[tt_lora] site " + site.name + ": shape")}}}});
  declaration.start = [length = shape.size()](Start& start) {
    for (std::size_t i = 1; i <= length; ++i) {
      std::vector<double> core = start.factor("G" + std::to_string(i));
      double square = 0;
      for (const double value : core) square += value * value;
      if (square == 0) continue;
      for (double& value : core) value /= std::sqrt(square);
      start.set_factor("G" + std::to_string(i), core);
    }
  };
  return declaration;
}

Method tt_lora() {
  return {
      .name = "tt_lora",
      .summary = "one tensor train a matrix",
      .formula = "dW[out,in] = alpha * (G1[i1] G2[i2] ... Gd[id]) read row-major as (in, out)",
      .reference = "Anjum et al., TT-LoRA, arXiv 2408.01008; lanl/TTLoRAMoE",
      .options = {{"shape", "", {}, "modes of the train, product in x out"},
                  {"start", "published", {"published", "zero"}, "cores of norm 1, or no update"}},
      .alpha = 1,
      .declare = declare};
}

}  // namespace rankfold
