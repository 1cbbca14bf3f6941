#include <cmath>

#include "decompositions/common.h"
#include "decompositions/registry.h"

namespace rankfold {
namespace {

/// What a layout joins into one tensor; all else has a tensor of its own.
struct Layout {
  bool attention, matrix, layer;

  explicit Layout(const std::string& name)
      : attention(name.starts_with("att")),
        matrix(name.find("qkv") != std::string::npos),
        layer(name.ends_with("depth")) {}
  Owner owner() const {
    if (matrix) return layer ? Owner::model : Owner::layer;
    return layer ? Owner::matrix : Owner::site;
  }
};

/// The modes of the tensor: in, the parts of out, and what it joins.
std::vector<Mode> tensor_modes(const Layout& layout, const Site& site, const Stack& stack) {
  std::vector<Mode> modes{{"in", site.in}};
  if (layout.attention)
    modes.insert(modes.end(), {{"head_dim", head_size("tenslora", site)}, {"head", site.heads}});
  else
    modes.push_back({"out", site.out});
  if (layout.matrix) modes.push_back({"matrix", stack.matrices.size()});
  if (layout.layer) modes.push_back({"layer", stack.layers.size()});
  return modes;
}

std::vector<std::string> rank_modes(const MethodSettings& settings) {
  std::vector<std::string> names;
  if (settings.text("kind") == "tucker")
    for (const Mode& mode : tensor_modes(Layout(settings.text("layout")), {}, {}))
      names.push_back(mode.name);
  return names;
}

}  // namespace

// T[in, (head_dim, head) | out, matrix?, layer?] by Tucker or CP, one tensor for all that a layout
// leaves out; dW[out, in] = scale T[in, out, ...] with heads running fastest along out (the order
// in which the authors' code unfolds). Tucker starts with a zero core, CP with a zero in factor.
static Declaration declare(const Site& site, const Stack& stack, const MethodSettings& settings) {
  const Layout layout(settings.text("layout"));
  const std::vector<Mode> modes = tensor_modes(layout, site, stack);
  const bool tucker = settings.text("kind") == "tucker";
  const auto count = static_cast<double>(modes.size());
  double root = 1;
  std::vector<Mode> bonds;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    bonds.push_back(tucker ? Mode{"r_" + modes[i].name, settings.ranks[i]}
                           : Mode{"p", settings.rank});
    if (tucker || i == 0) root *= std::sqrt(static_cast<double>(bonds.back().size));
  }
  const std::string& init = settings.text("init");
  const auto initialiser = [&](const Mode& bond) {
    if (init == "kaiming") return uniform(1 / std::sqrt(static_cast<double>(bond.size)));
    if (init == "normal") return normal(std::pow(root, tucker ? -1 / (count + 1) : -1 / count));
    return orthogonal();
  };
  Term term{.scale = settings.number("scale"), .product = {}};
  for (std::size_t i = 0; i < modes.size(); ++i)
    term.product.push_back(Factor{"U" + std::to_string(i),
                                  {modes[i], bonds[i]},
                                  !tucker && i == 0 ? zeros() : initialiser(bonds[i]),
                                  layout.owner()});
  if (tucker) term.product.push_back(Factor{"core", bonds, zeros(), layout.owner()});
  return weight_update(
      {.out =
           layout.attention ? std::vector<Mode>{modes[1], modes[2]} : std::vector<Mode>{modes[1]},
       .in = {modes[0]},
       .terms = {std::move(term)},
       .select = {{"layer", stack.layer_position(site)}, {"matrix", stack.matrix_position(site)}}});
}

Method tenslora() {
  return {
      .name = "tenslora",
      .summary = "Tucker or CP over any of heads, matrices and layers",
      .formula =
          "dW[(head_dim,head),in] = scale * core[a,b,c,d,e] U0[in,a] U1[head_dim,b] "
          "U2[head,c] U3[matrix,d] U4[layer,e] (modes by layout; CP: one index for all)",
      .reference = "Marmoret et al., TensLoRA, arXiv 2509.19391; ax-le/TensLoRA",
      .options = {{"layout",
                   "att_qkv_depth",
                   {"att", "qkv", "depth", "att_qkv", "att_depth", "qkv_depth", "att_qkv_depth"},
                   "what one tensor joins: heads (att), matrices (qkv), layers (depth)"},
                  {"kind", "tucker", {"tucker", "cp"}, "the decomposition"},
                  {"init",
                   "orthogonal",
                   {"orthogonal", "kaiming", "normal"},
                   "how the factors that do not start at zero are drawn"},
                  scale_option()},
      .alpha = 0,
      .default_targets = "q,k,v",
      .rank_modes = rank_modes,
      .declare = declare};
}

}  // namespace rankfold
