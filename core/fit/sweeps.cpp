#include "core/fit/sweeps.h"

#include <algorithm>
#include <cmath>

#include "core/base/random.h"

namespace rankfold {

template <class T>
double run_sweeps(const LeastSquares<T>& problem, const FitData<T>& data, const FitSettings& fit,
                  std::size_t sweeps, FitState<T>& state, FitHistory& history) {
  // Below that |D|^2 - gain is rounding.
  const double unsafe = (sizeof(T) == 4 ? 1e-4 : 1e-10) * data.square;
  const double whole = std::max(data.square + data.outside, 1e-300);
  double before = history.residuals.empty() ? whole : history.residuals.back();
  for (std::size_t sweep = 0; sweep < sweeps; ++sweep) {
    double residual = data.square;
    for (std::size_t i = 0; i < problem.parameters().size(); ++i)
      if (problem.parameters()[i].trainable)
        residual = data.square - problem.update(i, data.blocks, state);
    if (!problem.knows_residual() || residual < unsafe)
      residual = problem.residual(data.blocks, state);
    residual += data.outside;
    history.residuals.push_back(residual);
    const double gain = std::sqrt(before / whole) - std::sqrt(residual / whole);
    before = residual;
    if (sweep > 0 && gain < fit.tolerance) break;
  }
  return before;
}

template <class T>
void run_starts(const LeastSquares<T>& problem, const FitData<T>& data, const FitSettings& fit,
                std::size_t starts, std::size_t sweeps, const std::string& purpose,
                FitState<T>& state, FitHistory& history) {
  constexpr std::size_t tried = 10;
  double best = 0;
  FitState<T> current = state;
  history.starts = std::max<std::size_t>(starts, 1);
  FitHistory best_history;
  for (std::size_t start = 0; start < history.starts; ++start) {
    for (std::size_t i = 0; i < problem.parameters().size(); ++i) {
      if (!problem.parameters()[i].trainable) continue;
      std::vector<double> values(problem.parameters()[i].size);
      RandomStream(fit.seed, "fit/" + purpose + "/" + std::to_string(i), start)
          .fill_normal(std::span<double>(values), 0, 1);
      current.set(i, std::move(values));
    }
    FitHistory tried_history;
    const double residual =
        run_sweeps(problem, data, fit, std::min(tried, sweeps), current, tried_history);
    if (start == 0 || residual < best) {
      best = residual;
      best_history = tried_history;
      std::swap(state, current);
      if (start == 0) current = state;
    }
  }
  history.residuals = best_history.residuals;
  const std::size_t done = history.residuals.size();
  if (done == tried && sweeps > done) run_sweeps(problem, data, fit, sweeps - done, state, history);
}

template double run_sweeps(const LeastSquares<float>&, const FitData<float>&, const FitSettings&,
                           std::size_t, FitState<float>&, FitHistory&);
template double run_sweeps(const LeastSquares<double>&, const FitData<double>&, const FitSettings&,
                           std::size_t, FitState<double>&, FitHistory&);
template void run_starts(const LeastSquares<float>&, const FitData<float>&, const FitSettings&,
                         std::size_t, std::size_t, const std::string&, FitState<float>&,
                         FitHistory&);
template void run_starts(const LeastSquares<double>&, const FitData<double>&, const FitSettings&,
                         std::size_t, std::size_t, const std::string&, FitState<double>&,
                         FitHistory&);

}  // namespace rankfold
