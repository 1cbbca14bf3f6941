#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "core/network/network.h"
#include "core/network/stack.h"

namespace rankfold {

/// What bottleneck adapters have in common: f(h) = scale (up a(down h + down_bias) + up_bias).
struct BottleneckMap {
  std::size_t inner = 0;  ///< the size b between down [b, hidden] and up [hidden, b]
  Activation activation = Activation::relu;
  double scale = 1;
  bool biases = true;
  /// The matrix of "down" or "up", from its inputs to its outputs.
  std::function<Operand(const std::string& name, const Mode& from, const Mode& to)> matrix;
  /// How a bias over these outputs starts.
  std::function<Initialiser(const Mode& to)> bias = [](const Mode&) { return zeros(); };
};

/// The width of the vectors that an adapter at this site reads: before Llama's gate and up their
/// inputs, elsewhere the outputs.
std::size_t bottleneck_side(const Site& site);

/// y = z + f(z) with z = W x + b; before Llama's gate and up, y = W (x + f(x)) + b.
Declaration bottleneck_adapter(const Site& site, const BottleneckMap& map);

}  // namespace rankfold
