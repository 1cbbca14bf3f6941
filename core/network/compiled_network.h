#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "core/network/contraction.h"
#include "core/network/network.h"

namespace rankfold {

/// A tensor that a product multiplies.
struct TreeOperand {
  enum class Kind { parameter, input, block } kind = Kind::parameter;
  std::size_t index = 0;   ///< of the parameter, or of the block's tree
  std::size_t offset = 0;  ///< first element: a selected layer or matrix
  std::vector<Axis> axes;
};

/// Operands without tokens, the order in which they are multiplied, and the result's axes.
struct ContractionTree {
  std::vector<TreeOperand> operands;
  std::vector<ContractionStep> steps;
  std::vector<std::vector<Axis>> results;  ///< of each step: contiguous
  std::vector<Axis> output;                ///< the same of the whole product
};

/// One link of the chain from X to the output: the result so far is multiplied with a coefficient
/// that no token is in.
struct ChainStep {
  TreeOperand coefficient;
  /// The order in which products with it run best: its longer side last, contiguous.
  std::vector<Axis> stored;
  std::vector<Axis> result;  ///< contiguous, tokens first
};

/// One term of a network, ready to run: h_0 = X, h_i = h_{i-1} c_i, output += scale h_n. All that
/// holds no token was multiplied into the coefficients c_i, as far as the cheapest order does so.
struct CompiledTerm {
  double scale = 1;
  bool constant = false;                ///< scale * row is added to every token's output
  std::vector<ContractionTree> blocks;  ///< evaluated first, each before those that read it
  std::size_t regrouped = 0;            ///< so many blocks come first that `reconstruct` reads too
  std::vector<Axis> input;              ///< X: tokens (stride set by X) and the in modes
  std::vector<ChainStep> chain;
  TreeOperand row;              ///< of a constant term, over the out modes
  ContractionTree reconstruct;  ///< factors alone, over out and in, modes of both once
  /// Where the map is diagonal in some modes: the places of the reconstructed numbers in [out, in].
  std::vector<Axis> diagonal;
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
