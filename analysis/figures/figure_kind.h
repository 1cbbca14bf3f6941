#pragma once

namespace rankfold {

enum class FigureKind {
  parameter_efficiency,
  rank,
  depth,
  error,
  cost,
  learning_rate,
  convergence,
  forwards,
  spectrum
};
enum class ParameterAxis { adapter, trainable };

}  // namespace rankfold
