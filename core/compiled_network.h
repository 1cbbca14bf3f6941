#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/contraction.h"
#include "core/network.h"

namespace rankfold {

/// The mode of tokens in every compiled network; its size is known when X is.
inline constexpr int token_mode = 0;

/// A tensor that a contraction tree multiplies.
struct TreeOperand {
  enum class Kind { parameter, input, block } kind = Kind::parameter;
  std::size_t index = 0;   ///< of the parameter, or of the block's tree
  std::size_t offset = 0;  ///< first element: a selected layer or matrix
  std::vector<Axis> axes;  ///< for the input: token (stride set by X) and the in modes
};

/// Operands, the order in which they are multiplied, and the result's axes.
struct ContractionTree {
  std::vector<TreeOperand> operands;
  std::vector<ContractionStep> steps;
  std::vector<std::vector<Axis>>
      results;               ///< of each step: contiguous; tokens, where present, first
  std::vector<Axis> output;  ///< the same of the whole product
};

/// One term of a network, ready to run.
struct CompiledTerm {
  double scale = 1;
  bool constant = false;
  std::vector<ContractionTree> blocks;  ///< materialised first, each before those that read it
  ContractionTree apply;                ///< with X; for a constant term the factors alone
  ContractionTree reconstruct;          ///< factors alone, over out and in
};

/// A network of one site with its modes numbered, selections taken, blocks regrouped where borders
/// nest, and contraction orders chosen.
struct CompiledNetwork {
  std::size_t out = 0, in = 0;
  std::vector<CompiledTerm> terms;
};

/// Finds the parameter that holds a factor's copy for the site at hand.
using FindParameter = std::function<std::size_t(const Factor&)>;

/// Contraction orders found so far, by operands' modes, output and sizes: sites of equal shape
/// share one search.
using PlanCache =
    std::map<std::tuple<std::vector<std::vector<int>>, std::vector<int>, std::vector<std::size_t>>,
             std::vector<ContractionStep>>;

/// Throws Error (prefixed by `what`: method and site) where a mode has two sizes, a selection
/// leaves its mode, an out or in mode stands in no operand, or there are too many modes or
/// operands. `tokens` is the number of rows to plan for.
CompiledNetwork compile_network(const Network& network, std::size_t tokens,
                                const FindParameter& find_parameter, PlanCache& cache,
                                const std::string& what);

}  // namespace rankfold
