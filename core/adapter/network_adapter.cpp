#include "core/adapter/network_adapter.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/network/start.h"

namespace rankfold {
namespace {

/// Rows that contraction orders are chosen for; any number may be run.
constexpr std::size_t planned_tokens = 4096;

std::vector<Place> places_of(const std::vector<Declaration>& declarations) {
  std::vector<Place> places;
  for (const Declaration& declaration : declarations) places.push_back(declaration.place);
  return places;
}

std::vector<std::size_t> magnitude_sizes(Normalisation::Kind kind, const Site& site) {
  switch (kind) {
    case Normalisation::Kind::rows:
      return {site.out};
    case Normalisation::Kind::rows_then_columns:
      return {site.out, site.in};
    case Normalisation::Kind::whole:
      return {1, 1};
  }
  return {};
}

}  // namespace

template <class T>
NetworkAdapter<T>::NetworkAdapter(std::string method, const Stack& stack,
                                  const std::vector<Declaration>& declarations,
                                  std::shared_ptr<const Device> device)
    : Adapter<T>(std::move(method), stack, places_of(declarations), device) {
  FactorCopies copies(this->method_);
  for (std::size_t index = 0; index < stack.sites.size(); ++index)
    copies.add(stack.sites[index], declarations[index]);
  add_parameters(copies);
  PlanCache cache;
  for (std::size_t index = 0; index < stack.sites.size(); ++index) {
    const Site& site = stack.sites[index];
    const std::string what = fmt::format("[{}] site {}", this->method_, site.name);
    CompiledSite compiled;
    const auto own = copies.of_site(index);
    compiled.factors.assign(own.begin(), own.end());
    const auto find_parameter = [&](const Factor& factor) { return copies.number(factor, index); };
    const Place place = declarations[index].place;
    const std::size_t last = place == Place::before ? site.in : site.out;
    std::size_t width = place == Place::after ? site.out : site.in;
    for (const Stage& stage : declarations[index].stages) {
      for (const Mode& mode : stage.network.in)
        if (place == Place::beside &&
            std::ranges::find(stage.network.out, mode.name, &Mode::name) != stage.network.out.end())
          throw Error("{}: mode '{}' stands in out and in beside the weight, expected in one", what,
                      mode.name);
      CompiledStage ready{
          compile_network(stage.network, planned_tokens, find_parameter, cache, what),
          stage.activation};
      if (ready.network.in != width)
        throw Error("{}: a stage reads {} numbers, expected {}", what, ready.network.in, width);
      width = ready.network.out;
      compiled.stages.push_back(std::move(ready));
    }
    if (!compiled.stages.empty() && width != last)
      throw Error("{}: the update has {} outputs, expected {}", what, width, last);
    if (place == Place::beside && compiled.stages.size() > 1)
      throw Error("{}: an update beside the weight has one stage, got {}", what,
                  compiled.stages.size());
    if (is_linear(declarations[index])) {
      for (const CompiledStage& stage : compiled.stages)
        compiled.reconstructions.emplace_back(stage.network, this->parameters_);
      compiled.purely_linear =
          place == Place::beside && !compiled.stages.empty() &&
          std::ranges::none_of(compiled.stages.front().network.terms, &CompiledTerm::constant);
    }
    if (const auto& normalisation = declarations[index].normalisation) {
      if (!compiled.purely_linear)
        throw Error("{}: only a plain weight update can be normalised", what);
      const std::vector<std::size_t> expected = magnitude_sizes(normalisation->kind, site);
      std::vector<std::size_t> found;
      for (const Factor& magnitude : normalisation->magnitudes) {
        if (!magnitude.trainable)
          throw Error("{}: magnitude '{}' is frozen, expected a trainable one", what,
                      magnitude.name);
        compiled.magnitudes.push_back(find_parameter(magnitude));
        found.push_back(this->parameters_[compiled.magnitudes.back()].value.size());
      }
      if (found != expected)
        throw Error("{}: magnitudes of [{}] numbers, expected [{}]", what, fmt::join(found, ", "),
                    fmt::join(expected, ", "));
      compiled.normalised.emplace(normalisation->kind, normalisation->detached, site.out, site.in,
                                  device);
    }
    compiled.start = declarations[index].start;
    if (declarations[index].samples != StartSamples::none)
      start_samples_ = declarations[index].samples;
    sites_.push_back(std::move(compiled));
  }
}

template <class T>
void NetworkAdapter<T>::add_parameters(const FactorCopies& copies) {
  for (std::size_t copy = 0; copy < copies.size(); ++copy) {
    const FactorForm& form = copies.form(copy);
    Parameter<T> parameter;
    parameter.name = copies.name(copy);
    if (!form.size)
      throw Error("[{}] factor '{}' is too large: {}", this->method_, parameter.name,
                  fmt::join(form.shape, "x"));
    parameter.factor = form.factor;
    parameter.shape = form.shape;
    parameter.trainable = form.trainable;
    parameter.storage = form.storage;
    parameter.initialiser = form.initialiser;
    parameter.value = Buffer<T>(this->device_, *form.size);
    if (form.trainable) parameter.gradient = Buffer<T>(this->device_, *form.size);
    this->parameters_.push_back(std::move(parameter));
  }
}

/// Sites without a stage stay as they are.
template <class T>
bool NetworkAdapter<T>::is_weight_update(std::size_t site) const {
  const CompiledSite& compiled = sites_.at(site);
  return !is_virtual(this->stack_.sites[site].matrix) &&
         compiled.reconstructions.size() == compiled.stages.size();
}

template <class T>
bool NetworkAdapter<T>::needs_frozen() const {
  for (std::size_t site = 0; site < sites_.size(); ++site)
    if (sites_[site].normalised || (this->places_[site] != Place::beside &&
                                    !sites_[site].stages.empty() && is_weight_update(site)))
      return true;
  return std::ranges::any_of(this->parameters_, [](const Parameter<T>& parameter) {
    return parameter.storage == Storage::weight;
  });
}

template <class T>
bool NetworkAdapter<T>::adds_bias(std::size_t site) const {
  const std::vector<CompiledStage>& stages = sites_.at(site).stages;
  if (stages.empty() || !is_weight_update(site)) return false;
  const auto adds = [](const CompiledStage& stage) {
    return std::ranges::any_of(stage.network.terms, &CompiledTerm::constant);
  };
  return std::ranges::any_of(stages, adds) ||
         (this->places_[site] == Place::after && this->frozen_[site].bias);
}

template <class T>
const T* NetworkAdapter<T>::frozen_weight(std::size_t index) const {
  const T* weight = this->frozen_[index].weight;
  if (!weight)
    throw Error("[{}] site {}: the update depends on the frozen weight, which was not given",
                this->method_, this->stack_.sites[index].name);
  return weight;
}

template <class T>
void NetworkAdapter<T>::do_start(std::uint64_t seed) {
  for (std::size_t index = 0; index < sites_.size(); ++index) {
    const CompiledSite& compiled = sites_[index];
    if (!compiled.start) continue;
    const Site& site = this->stack_.sites[index];
    const auto find = [&](std::string_view name) -> Parameter<T>& {
      for (const std::size_t factor : compiled.factors)
        if (this->parameters_[factor].factor == name) return this->parameters_[factor];
      throw Error("[{}] site {}: its start asks for a factor '{}' that it does not have",
                  this->method_, site.name, name);
    };
    const auto sampled = [&](std::vector<double> SiteSamples::*part, const char* what) {
      if (this->samples_.empty() || (this->samples_[index].*part).empty())
        throw Error("[{}] site {}: its start reads the task's {}, which only training has",
                    this->method_, site.name, what);
      return this->samples_[index].*part;
    };
    Start start(
        site, fmt::format("start/{}", this->method_), seed,
        {[&](std::string_view name) {
           const HostRead<T> values(find(name).value);
           return std::vector<double>(values.begin(), values.end());
         },
         [&](std::string_view name, std::span<const double> values) {
           Parameter<T>& parameter = find(name);
           if (values.size() != parameter.value.size())
             throw Error("[{}] site {}: factor '{}' starts with {} numbers, expected {}",
                         this->method_, site.name, name, values.size(), parameter.value.size());
           std::ranges::transform(values, HostWrite<T>(parameter.value).data(),
                                  [](double value) { return static_cast<T>(value); });
         },
         [&] {
           const HostRead<T> weight(*this->device_, frozen_weight(index), site.out * site.in);
           return std::vector<double>(weight.begin(), weight.end());
         },
         [&] { return sampled(&SiteSamples::input_moments, "inputs"); },
         [&] { return sampled(&SiteSamples::weight_gradient, "gradients"); }});
    compiled.start(start);
  }
}

template class NetworkAdapter<float>;
template class NetworkAdapter<double>;

}  // namespace rankfold
