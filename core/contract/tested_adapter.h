#pragma once

#include <cstddef>
#include <limits>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/contract/check_method.h"

// What the files of the contract share; nothing else includes it.

namespace rankfold::contract {

inline constexpr std::size_t tokens = 4;
inline constexpr double exact = 1e-11;  ///< two ways to sum the same products in double

using Values = std::vector<double>;

inline Values random_values(std::size_t size, const std::string& purpose) {
  Values values(size);
  RandomStream(7, purpose).fill_normal<double>(values, 0, 1);
  return values;
}

/// An adapter over frozen layers with inputs and output gradients for every site. Numbers are the
/// host's; a call on the adapter puts them into the device's memory and fetches what it computed.
template <class T>
struct TestedAdapter {
  Stack stack;
  std::shared_ptr<const Device> device;
  std::unique_ptr<Adapter<T>> adapter;
  std::vector<std::vector<T>> weights, biases, inputs, output_gradients;
  bool curved = false;    ///< the loss is no polynomial in the factors: there are norms,
  bool detached = false;  ///< which the method takes for constants
  bool starts = false;    ///< factors start by more than draws
  mutable bool changed_arguments = false;  ///< a call changed its X or dY

  TestedAdapter(const Method& method, const Stack& sites, const MethodSettings& settings,
                const std::shared_ptr<const Device>& on)
      : stack(sites), device(on), adapter(make_adapter<T>(method, sites, settings, on)) {
    const Declaration declaration = method.declare(stack.sites.front(), stack, settings);
    const auto& normalisation = declaration.normalisation;
    starts = static_cast<bool>(declaration.start);
    curved = normalisation.has_value();
    detached = curved && normalisation->detached;
    const auto draw = [](std::size_t size, const std::string& purpose) {
      const Values values = random_values(size, purpose);
      return std::vector<T>(values.begin(), values.end());
    };
    for (const Site& site : stack.sites) {
      weights.push_back(draw(site.out * site.in, "weight/" + site.name));
      biases.push_back(draw(site.out, "bias/" + site.name));
      inputs.push_back(draw(tokens * site.in, "input/" + site.name));
      output_gradients.push_back(draw(tokens * site.out, "gradient/" + site.name));
    }
    place_frozen();
    if (adapter->start_samples() != StartSamples::none) adapter->set_samples(draw_samples());
    // Every factor away from zero, or a product with one zero factor would hide the others.
    for (Parameter<T>& parameter : adapter->parameters())
      RandomStream(11, "factor/" + parameter.name)
          .fill_normal(HostWrite<T>(parameter.value).span(), 0.0, 0.6);
  }

  /// Gives the adapter the weights and biases as they are now.
  void place_frozen() {
    std::vector<FrozenLinear<T>> frozen;
    std::vector<Buffer<T>> placed;
    for (std::size_t i = 0; i < weights.size(); ++i) {
      placed.push_back(place(weights[i]));
      placed.push_back(place(biases[i]));
      frozen.push_back({placed[2 * i].data(), placed[2 * i + 1].data()});
    }
    adapter->set_frozen(std::move(frozen));
    placed_ = std::move(placed);
  }
  std::vector<SiteSamples> draw_samples() const {
    std::vector<SiteSamples> samples;
    for (const Site& site : stack.sites) {
      const Values x = random_values(2 * site.in * site.in, "samples/" + site.name);
      SiteSamples sample{Values(site.in * site.in),
                         random_values(site.out * site.in, "samples/gradient/" + site.name)};
      make_cpu_device()->gemm(true, false, site.in, site.in, 2 * site.in,
                              0.5 / static_cast<double>(site.in), x.data(), site.in, x.data(),
                              site.in, 0.0, sample.input_moments.data(), site.in);
      samples.push_back(std::move(sample));
    }
    return samples;
  }
  Buffer<T> place(const std::vector<T>& values) const {
    return Buffer<T>(device, std::span<const T>(values));
  }
  static std::vector<T> fetch(const Buffer<T>& buffer) {
    const HostRead<T> values(buffer);
    return {values.begin(), values.end()};
  }
  std::vector<T> frozen_output(std::size_t index) const {
    const Site& site = stack.sites[index];
    std::vector<T> y;
    for (std::size_t token = 0; token < tokens; ++token)
      y.insert(y.end(), biases[index].begin(), biases[index].end());
    make_cpu_device()->gemm(false, true, tokens, site.out, site.in, T{1}, inputs[index].data(),
                            site.in, weights[index].data(), site.in, T{1}, y.data(), site.out);
    return y;
  }
  std::vector<T> forward(std::size_t index, Trace<T>* trace) const {
    const Site& site = stack.sites[index];
    const Buffer<T> x = place(inputs[index]);
    Buffer<T> y = place(std::vector<T>(tokens * site.out, std::numeric_limits<T>::quiet_NaN()));
    adapter->forward(index, {x.data(), tokens, site.in}, {y.data(), tokens, site.out}, trace);
    changed_arguments |= fetch(x) != inputs[index];
    return fetch(y);
  }
  /// dX, added to `dx` unless that is empty, with the factors' gradients added up in the adapter.
  std::vector<T> backward(std::size_t index, const Trace<T>& trace, const std::vector<T>& dx) {
    const Site& site = stack.sites[index];
    const Buffer<T> x = place(inputs[index]), dy = place(output_gradients[index]);
    Buffer<T> sum = place(dx);
    adapter->backward(index, {x.data(), tokens, site.in}, {dy.data(), tokens, site.out}, trace,
                      dx.empty() ? MatrixView<T>() : MatrixView<T>(sum.data(), tokens, site.in));
    changed_arguments |= fetch(x) != inputs[index] || fetch(dy) != output_gradients[index];
    return fetch(sum);
  }
  std::vector<T> backward(std::size_t index) {
    Trace<T> trace;
    forward(index, &trace);
    return backward(index, trace, std::vector<T>(tokens * stack.sites[index].in, T{0}));
  }
  double loss(std::size_t site) const {
    const std::vector<T> y = forward(site, nullptr);
    return std::inner_product(y.begin(), y.end(), output_gradients[site].begin(), 0.0);
  }
  /// Of the sites that a parameter can reach.
  double loss(const Parameter<T>& parameter) const {
    double sum = 0;
    for (std::size_t site = 0; site < stack.sites.size(); ++site) {
      if (parameter.name == parameter.factor + "." + stack.sites[site].name) return loss(site);
      sum += loss(site);
    }
    return sum;
  }

 private:
  std::vector<Buffer<T>> placed_;
};

/// Of all values, or all gradients, one parameter after the other.
inline Values all_numbers(const Adapter<double>& adapter, Buffer<double> Parameter<double>::*part) {
  Values all;
  for (const Parameter<double>& parameter : adapter.parameters()) {
    const HostRead<double> numbers(parameter.*part);
    all.insert(all.end(), numbers.begin(), numbers.end());
  }
  return all;
}
inline Values all_gradients(const Adapter<double>& adapter) {
  return all_numbers(adapter, &Parameter<double>::gradient);
}

/// However a call is computed, the numbers are the same: by every plan, sites together or one by
/// one, in one call or many.
void check_plans(TestedAdapter<double>& tested, CheckReport& report);

}  // namespace rankfold::contract
