#pragma once

#include <cstddef>
#include <vector>

#include "core/network/compiled_network.h"

// How a planned product becomes the chain that X runs through; compile_network's part.

namespace rankfold {

/// These modes stored without gaps in this order; `sizes` by mode.
std::vector<Axis> contiguous_axes(const std::vector<int>& modes,
                                  const std::vector<std::size_t>& sizes);
std::vector<int> modes_of(const std::vector<Axis>& axes);

/// The whole product of a tree as an operand over `modes`: its only operand, or a new block of the
/// term.
TreeOperand take_result(const ContractionTree& tree, const std::vector<int>& modes,
                        const std::vector<std::size_t>& sizes, CompiledTerm& compiled);

/// Adds the chain of a tree whose last operand is X. Only X has tokens, so the steps that it passes
/// through are a chain; what it meets on the way holds none, and becomes a coefficient.
void add_chain(const ContractionTree& tree, const std::vector<std::size_t>& sizes,
               CompiledTerm& compiled);

}  // namespace rankfold
