#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/adapter/method.h"
#include "core/network/network.h"

namespace rankfold {

/// The modes of a LoRETTA train over `inputs` x `outputs` numbers: `given` where it is not empty,
/// else the paper's (arXiv 2402.11417, table 10), else a balanced factorisation: the factors of
/// `inputs`, then those of `outputs`, each split into at most `largest` where its primes allow.
std::vector<std::size_t> loretta_shape(const std::vector<std::size_t>& given, std::size_t inputs,
                                       std::size_t outputs);

/// A line for every train (inputs x bottleneck, then bottleneck x outputs; `sides` gives a site's
/// inputs and outputs) whose shape is neither given nor in the paper's table, each size once:
/// "[method] shape-a of 384 x 8: 4,8,12,8 (balanced; the paper's table has no such sizes)".
std::vector<std::string> loretta_notes(const std::string& method, const Stack& stack,
                                       const MethodSettings& settings,
                                       const std::string& first_shape,
                                       const std::string& second_shape,
                                       std::pair<std::size_t, std::size_t> (*sides)(const Site&));

/// inputs x outputs as a train of factors <prefix>1 ... <prefix>d with LoRETTA's start: each core
/// N(0, 1) / sqrt(its right rank) * (inputs + outputs)^(-1/(2d)), so that every entry of the matrix
/// has variance 1 / (inputs + outputs).
Block loretta_train(const std::string& prefix, const std::vector<std::size_t>& shape,
                    std::size_t rank, const Mode& inputs, const Mode& outputs,
                    const std::string& what);

}  // namespace rankfold
