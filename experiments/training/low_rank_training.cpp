#include "experiments/training/low_rank_training.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "decompositions/registry.h"
#include "experiments/training/training_state.h"

namespace rankfold {
namespace {

std::vector<double>& factor_of(LowRankMatrix& matrix, char name) {
  return name == 'U' ? matrix.u : name == 'S' ? matrix.s : matrix.v;
}

Parameter<float>& parameter_of(Adapter<float>& adapter, char name, const Site& site) {
  return adapter.parameter(fmt::format("{}.{}", name, site.name));
}

}  // namespace

Method trained_form(const Method& method) {
  if (!method.truncation) return method;
  Method whole = full();
  whole.name = method.name;
  return whole;
}

LowRankTraining::LowRankTraining(const Method& method, const MethodSettings& settings,
                                 Adapter<float>& adapter, std::uint64_t seed,
                                 std::shared_ptr<const Device> device)
    : tolerance_(method.truncation(settings)),
      most_(settings.rank),
      adapter_(adapter),
      device_(std::move(device)) {
  const Stack& stack = adapter.stack();
  const std::unique_ptr<Adapter<float>> start =
      make_adapter<float>(method, stack, settings, device_);
  start->initialise(seed);
  if (start->parameters().size() != 3 * stack.sites.size())
    throw Error("[{}] has {} factors on {} sites, expected U, S and V of each", method.name,
                start->parameters().size(), stack.sites.size());
  for (const Site& site : stack.sites) {
    LowRankMatrix matrix{site.out, site.in, settings.rank, {}, {}, {}};
    for (const char name : {'U', 'S', 'V'}) {
      const Parameter<float>& parameter = parameter_of(*start, name, site);
      const std::vector<std::size_t> shape{name == 'U'   ? site.out
                                           : name == 'V' ? site.in
                                                         : settings.rank,
                                           settings.rank};
      if (parameter.shape != shape)
        throw Error("[{}] site {}: factor {} is [{}], expected [{}]", method.name, site.name, name,
                    fmt::join(parameter.shape, ", "), fmt::join(shape, ", "));
      factor_of(matrix, name).assign(parameter.value.span().begin(), parameter.value.span().end());
    }
    sites_.push_back(std::move(matrix));
    write_update(sites_.size() - 1);
  }
  largest_ = parameter_count();
}

void LowRankTraining::write_update(std::size_t site) {
  const std::vector<double> update = expand(sites_[site], *device_);
  std::ranges::transform(update, adapter_.parameters()[site].value.data(),
                         [](double value) { return static_cast<float>(value); });
}

bool LowRankTraining::step() {
  for (std::size_t site = 0; site < sites_.size(); ++site) {
    LowRankMatrix& matrix = sites_[site];
    const std::span<const float> update = adapter_.parameters()[site].value.span();
    if (!std::ranges::all_of(update, [](float value) { return std::isfinite(value); }))
      return false;
    target_.assign(update.begin(), update.end());
    matrix = low_rank_step(matrix, {target_.data(), matrix.out, matrix.in}, {tolerance_, most_},
                           *device_);
    write_update(site);
  }
  largest_ = std::max(largest_, parameter_count());
  return true;
}

std::map<std::string, std::size_t> LowRankTraining::ranks() const {
  std::map<std::string, std::size_t> ranks;
  for (std::size_t site = 0; site < sites_.size(); ++site)
    ranks[adapter_.stack().sites[site].name] = sites_[site].rank;
  return ranks;
}

double LowRankTraining::mean_rank() const {
  double sum = 0;
  for (const LowRankMatrix& site : sites_) sum += static_cast<double>(site.rank);
  return sum / static_cast<double>(sites_.size());
}

std::size_t LowRankTraining::parameter_count() const {
  std::size_t count = 0;
  for (const LowRankMatrix& site : sites_) count += site.rank * (site.out + site.in + site.rank);
  return count;
}

void LowRankTraining::save(const std::string& prefix, TrainingState& state) const {
  for (std::size_t index = 0; index < sites_.size(); ++index) {
    LowRankMatrix matrix = sites_[index];
    for (const char name : {'U', 'S', 'V'})
      state.doubles[fmt::format("{}{}.{}", prefix, name, adapter_.stack().sites[index].name)] =
          factor_of(matrix, name);
  }
}

void LowRankTraining::restore(const std::string& prefix, const TrainingState& state) {
  for (std::size_t index = 0; index < sites_.size(); ++index) {
    const std::string& site = adapter_.stack().sites[index].name;
    LowRankMatrix matrix{sites_[index].out, sites_[index].in, 0, {}, {}, {}};
    for (const char name : {'U', 'S', 'V'}) {
      const auto values = state.doubles_at(fmt::format("{}{}.{}", prefix, name, site));
      factor_of(matrix, name).assign(values.begin(), values.end());
    }
    matrix.rank = matrix.u.size() / matrix.out;
    if (matrix.rank == 0 || matrix.rank > std::min(matrix.out, matrix.in) ||
        matrix.u.size() != matrix.rank * matrix.out || matrix.v.size() != matrix.rank * matrix.in ||
        matrix.s.size() != matrix.rank * matrix.rank)
      throw Error(
          "training state: site {} has factors of {}, {} and {} numbers, which are of no rank",
          site, matrix.u.size(), matrix.s.size(), matrix.v.size());
    sites_[index] = std::move(matrix);
    write_update(index);
  }
}

void LowRankRule::save(TrainingState& state) const {
  whole_->save(state);
  state.counts["low-rank/largest"] = low_rank_.largest_parameter_count();
}

void LowRankRule::restore(const TrainingState& state) {
  whole_->restore(state);
  low_rank_.set_largest(state.count_at("low-rank/largest"));
}

bool LowRankRule::step(double learning_rate, double gradient_scale) {
  return whole_->step(learning_rate, gradient_scale) && low_rank_.step();
}

void LowRankTraining::store(Adapter<float>& adapter) const {
  for (std::size_t index = 0; index < sites_.size(); ++index) {
    LowRankMatrix matrix = sites_[index];
    for (const char name : {'U', 'S', 'V'}) {
      Parameter<float>& parameter = parameter_of(adapter, name, adapter_.stack().sites[index]);
      const std::vector<double>& values = factor_of(matrix, name);
      if (parameter.value.size() != values.size())
        throw Error("[{}] factor {} has {} numbers, expected {}", adapter.method(), parameter.name,
                    parameter.value.size(), values.size());
      std::ranges::transform(values, parameter.value.data(),
                             [](double value) { return static_cast<float>(value); });
    }
  }
}

}  // namespace rankfold
