#pragma once

#include <span>
#include <string>
#include <vector>

#include "core/fit/fit.h"
#include "core/fit/least_squares.h"

namespace rankfold {

/// What a set of sites shows while it is fitted.
struct FitHistory {
  std::vector<double> residuals;  ///< |D - dW|^2 after each sweep
  std::size_t starts = 1;
};

/// The data of one least squares problem: |D|^2, and the part of the residual that it never sees.
template <class T>
struct FitData {
  std::vector<const T*> blocks;
  double square = 0, outside = 0;
};

/// Sweeps over all trainable parameters until `sweeps` are done or one gains less than the
/// tolerance; appends to the history. Returns the residual.
template <class T>
double run_sweeps(const LeastSquares<T>& problem, const FitData<T>& data, const FitSettings& fit,
                  std::size_t sweeps, FitState<T>& state, FitHistory& history);

/// Random starts, ten sweeps each; the best goes on. Frozen values are those of the state.
template <class T>
void run_starts(const LeastSquares<T>& problem, const FitData<T>& data, const FitSettings& fit,
                std::size_t starts, std::size_t sweeps, const std::string& purpose,
                FitState<T>& state, FitHistory& history);

}  // namespace rankfold
