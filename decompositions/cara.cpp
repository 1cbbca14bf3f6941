#include <cmath>

#include "decompositions/common.h"
#include "decompositions/fact.h"
#include "decompositions/registry.h"

namespace rankfold {

// Two CP tensors a model. Attention's q, k, v of all layers: T[slot, in, head, head_dim] =
// sum_p lambda[p] A1[slot, p] A2[in, p] A3[head, p] A4[head_dim, p]; o and the MLP, whose weights
// are slots of hidden x hidden: F[slot, a, b] = sum_p mu[p] P1[slot, p] P2[a, p] P3[b, p], read as
// (in, out) for down and transposed for o and up, as the authors' code has it. A2, P2 start at
// zero, and so do the biases of o and the MLP, which all layers share.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const auto is_attention = [](MatrixType type) {
    return type == MatrixType::q || type == MatrixType::k || type == MatrixType::v;
  };
  const Mode p{"p", settings.rank};
  const Initialiser weights = constant(1);
  const auto xavier = [&](const Mode& mode) {
    return normal(std::sqrt(2 / static_cast<double>(mode.size + settings.rank)));
  };
  const double scale = settings.number("scale");
  if (is_attention(site.matrix)) {
    std::size_t slots = 0, position = 0;
    for (const Site& each : stack.sites) {
      if (each.name == site.name) position = slots;
      slots += is_attention(each.matrix);
    }
    const Mode slot{"slot", slots}, in{"in", site.in}, head{"head", site.heads},
        head_dim{"head_dim", head_size("cara", site)};
    return weight_update(
        {.out = {head, head_dim},
         .in = {in},
         .terms = {{.scale = scale,
                    .product = {Factor{"A1", {slot, p}, xavier(slot), Owner::model},
                                Factor{"A2", {in, p}, zeros(), Owner::model},
                                Factor{"A3", {head, p}, orthogonal(), Owner::model},
                                Factor{"A4", {head_dim, p}, orthogonal(), Owner::model},
                                Factor{"lambda", {p}, weights, Owner::model}}}},
         .select = {{"slot", position}}});
  }
  std::vector<Site> others;
  for (const Site& each : stack.sites)
    if (!is_attention(each.matrix)) others.push_back(each);
  const Stack part(others);
  const FactSlots slots("cara", site, part);
  const Mode slot{"slot", slots.total}, own{"slot", slots.count}, in{"in", slots.hidden},
      out{"out", slots.hidden};
  const bool direct = site.matrix == MatrixType::down;
  Network network{
      .out = slots.side(out, own, true),
      .in = slots.side(in, own, false),
      .terms = {{.scale = scale,
                 .product = {Factor{"P1", {slot, p}, xavier(slot), Owner::model},
                             Factor{"P2", {direct ? in : out, p}, zeros(), Owner::model},
                             Factor{"P3", {direct ? out : in, p}, orthogonal(), Owner::model},
                             Factor{"mu", {p}, weights, Owner::model}}}},
      .select = {{"slot", slots.first, slots.count}}};
  if (settings.flag("biases")) {
    const Mode whole{"bias_out", site.out};
    network.terms.push_back(
        {.product = {Block{
             {Factor{"bias", {whole}, zeros(), Owner::matrix}}, {whole}, network.out}},
         .constant = true});
  }
  return weight_update(std::move(network));
}

Method cara() {
  return {.name = "cara",
          .summary = "CP over all attention weights, and over all others",
          .formula =
              "q, k, v: dW_s[(head,head_dim),in] = scale * sum_p lambda[p] A1[s,p] A2[in,p] "
              "A3[head,p] A4[head_dim,p]; others: scale * sum_p mu[p] P1[s,p] P2[a,p] P3[b,p], and "
              "bias[out] "
              "a matrix type",
          .reference = "Veeramacheneni et al., CaRA, ICML 2025; BonnBytes/CaRA",
          .options =
              {scale_option(),
               {"biases",
                "true",
                {"true", "false"},
                "train a bias for each of o, up and down, as published; false: the update is a sum "
                "of products, which fit and export take"}},
          .alpha = 0,
          .declare = declare};
}

}  // namespace rankfold
