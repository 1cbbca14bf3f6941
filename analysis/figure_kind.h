#pragma once

namespace rankfold {

enum class FigureKind { parameter_efficiency, rank, depth, error };
enum class ParameterAxis { adapter, trainable };

}  // namespace rankfold
