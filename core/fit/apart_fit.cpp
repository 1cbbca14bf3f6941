#include "core/fit/apart_fit.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"
#include "core/fit/compression.h"

namespace rankfold {

template <class T>
ApartFit<T>::ApartFit(const std::vector<SiteNetwork>& networks,
                      const std::vector<FitParameter>& parameters,
                      const std::vector<std::size_t>& sites, const InputMetrics* metrics,
                      std::shared_ptr<const Device> device,
                      std::function<std::string(std::size_t)> describe)
    : networks_(networks),
      parameters_(parameters),
      sites_(sites),
      metrics_(metrics),
      device_(std::move(device)),
      describe_(std::move(describe)) {
  if (metrics) in_factors_ = find_in_factors(networks, sites, parameters, *metrics);
  std::vector<FitBlock> blocks;
  for (const std::size_t site : sites) blocks.push_back(make_block(site));
  make_problem(std::move(blocks));
}

template <class T>
FitBlock ApartFit<T>::make_block(std::size_t site) {
  const SiteNetwork network =
      metrics_ && !in_factors_
          ? with_known_root(networks_[site], parameters_.size() + metrics_->of_site[site],
                            metrics_->at(site).size)
          : networks_[site];
  FitBlock block{network.data, network.terms};
  for (FitTerm& term : block.terms)
    for (FitOperand& operand : term.operands) {
      const auto found = std::ranges::find(used_, operand.parameter);
      const auto number = static_cast<std::size_t>(found - used_.begin());
      if (found == used_.end()) used_.push_back(operand.parameter);
      operand.parameter = number;
    }
  return block;
}

template <class T>
void ApartFit<T>::make_problem(std::vector<FitBlock> blocks) {
  std::vector<FitParameter> parameters;
  for (const std::size_t number : used_)
    parameters.push_back(root(number) ? FitParameter{root(number)->size(), false}
                                      : parameters_[number]);
  try {
    problem_ = std::make_unique<LeastSquares<T>>(std::move(blocks), std::move(parameters), device_);
  } catch (const Error& error) {
    if (!metrics_) throw;
    throw Error(
        "{}: its inputs couple all values of a factor, which no factor of the in side takes up "
        "alone or its sites read unlike inputs: {}",
        describe_(sites_.front()), error.what());
  }
}

template <class T>
const std::vector<double>* ApartFit<T>::root(std::size_t number) const {
  return number < parameters_.size() ? nullptr
                                     : &metrics_->metrics[number - parameters_.size()].root;
}

template <class T>
const InFactor* ApartFit<T>::in_factor(std::size_t number) const {
  return in_factors_ && in_factors_->contains(number) ? &in_factors_->at(number) : nullptr;
}

template <class T>
FitState<T> ApartFit<T>::start(const Adapter<T>& adapter) const {
  FitState<T> state = problem_->make_state();
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (const std::vector<double>* known = root(used_[i])) {
      state.set(i, *known);
      continue;
    }
    const auto stored = adapter.parameters()[used_[i]].value.span();
    std::vector<double> values(stored.begin(), stored.end());
    if (const InFactor* factor = in_factor(used_[i]))
      put_root_in(metrics_->metrics[factor->metric], factor->stride, *device_, values);
    state.set(i, std::move(values));
  }
  return state;
}

template <class T>
FitData<T> ApartFit<T>::read(const UpdateSource<T>& source, FitState<T>& state,
                             std::vector<std::vector<T>>& scratch) const {
  FitData<T> data;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    const std::size_t size = volume(networks_[sites_[i]].data);
    const T* matrix = source.read(sites_[i], scratch[i]);
    if (problem_->has_constant_part()) {
      std::vector<T> copy(matrix, matrix + size);
      problem_->remove_constant_part(i, copy.data(), state);
      scratch[i] = std::move(copy);
      matrix = scratch[i].data();
    }
    const double square = sum_of_squares(matrix, size);
    if (!std::isfinite(square))
      throw Error("{}: holds numbers that are not finite", describe_(sites_[i]));
    data.square += square;
    data.blocks.push_back(matrix);
  }
  return data;
}

template <class T>
void ApartFit<T>::fit(const UpdateSource<T>& source, const FitSettings& settings,
                      Adapter<T>& adapter, FitHistory& history) const {
  FitState<T> state = start(adapter);
  std::vector<std::vector<T>> scratch(sites_.size());
  const FitData<T> data = read(source, state, scratch);
  const std::size_t sweeps = settings.iterations.value_or(100);
  if (metrics_)
    run_sweeps(*problem_, data, settings, sweeps, state, history);
  else
    run_starts(*problem_, data, settings, settings.starts.value_or(1), sweeps,
               adapter.stack().sites[sites_.front()].name, state, history);
  for (std::size_t i = 0; i < used_.size(); ++i) {
    if (!problem_->parameters()[i].trainable) continue;
    if (const InFactor* factor = in_factor(used_[i]))
      take_root_out(metrics_->metrics[factor->metric], factor->stride, state.values[i].data(),
                    state.values[i].size());
    std::ranges::transform(state.values[i], adapter.parameters()[used_[i]].value.data(),
                           [](double value) { return static_cast<T>(value); });
  }
  for (const std::size_t site : sites_) source.release(site);
}

template class ApartFit<float>;
template class ApartFit<double>;

}  // namespace rankfold
