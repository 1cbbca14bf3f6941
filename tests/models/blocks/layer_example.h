#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/adapter/registry.h"
#include "decompositions/registry.h"
#include "experiments/models/blocks/host_linear.h"
#include "experiments/models/blocks/layer_norm.h"
#include "models/double_reference.h"

namespace rankfold {

/// What examples of layers share: three sequences, weights in float that stay where they are and
/// the same in double for the formula, an adapter on some of the linear layers.
class LayerExample {
 public:
  struct Result {
    std::vector<float> y, dx;
    std::vector<std::vector<float>> gradients;  ///< of factors, then norms, then others
  };

 protected:
  static constexpr std::size_t hidden = 12;
  static constexpr double dropout = 0.25;
  static constexpr auto epsilon = static_cast<float>(1e-3);

  std::size_t tokens() const { return starts_.back(); }
  std::size_t sequences() const { return starts_.size() - 1; }

  FrozenLinear<float> linear(const std::string& name, std::size_t out, std::size_t in,
                             reference::Linear& formula, bool has_bias = true) {
    weights_.push_back(reference::normal(out * in, name + "w", 0.3));
    biases_.push_back(has_bias ? reference::normal(out, name + "b", 0.3) : std::vector<float>(out));
    formula.weight = reference::in_double(weights_.back());
    formula.bias = reference::in_double(biases_.back());
    return {weights_.back().data(), has_bias ? biases_.back().data() : nullptr};
  }

  /// Formula is a norm with weight, shift and epsilon.
  template <class Formula>
  LayerNorm norm(const std::string& name, std::size_t width, bool has_shift, bool trains,
                 Formula& formula) {
    LayerNorm result;
    result.epsilon = epsilon;
    formula.epsilon = epsilon;
    weights_.push_back(reference::normal(width, name + "w"));
    formula.weight = reference::in_double(weights_.back());
    result.weight = weights_.back().data();
    if (trains) result.weight_gradient = norm_gradients_.emplace_back(width).data();
    if (!has_shift) return result;
    biases_.push_back(reference::normal(width, name + "b"));
    formula.shift = reference::in_double(biases_.back());
    result.shift = biases_.back().data();
    if (trains) result.shift_gradient = norm_gradients_.emplace_back(width).data();
    return result;
  }

  /// Puts a method of rank 2 with numbers of its own on the targets among the linears, and the same
  /// on what formula_of gives of each site, a reference::Linear&.
  template <class FormulaOf>
  void adapt(const SiteCatalogue& catalogue, const std::string& name, const std::string& targets,
             std::span<HostLinear* const> linears, const FormulaOf& formula_of) {
    const Registry registry = builtin_registry();
    const Method& method = registry.at(name);
    const Stack stack = select_stack(catalogue, targets, "all");
    adapter_ = make_adapter<float>(
        method, stack, resolve_settings(method, {method.has_rank ? "2" : "", {}, "", {}}, stack),
        device_);
    for (Parameter<float>& parameter : adapter_->parameters())
      std::ranges::copy(reference::normal(parameter.value.size(), parameter.name, 0.2),
                        parameter.value.span().begin());
    std::vector<FrozenLinear<float>> frozen;
    for (std::size_t site = 0; site < stack.sites.size(); ++site)
      for (HostLinear* linear : linears) {
        if (linear->site().name != stack.sites[site].name) continue;
        frozen.push_back(linear->frozen());
        frozen_in_double_.push_back(formula_of(stack.sites[site]));
        linear->attach(adapter_.get(), site);
      }
    adapter_->set_frozen(frozen);
    double_adapter_ = reference::in_double(*adapter_, name, "2", frozen_in_double_);
    for (std::size_t site = 0; site < stack.sites.size(); ++site) {
      reference::Linear& formula = formula_of(stack.sites[site]);
      formula.adapter = double_adapter_.get();
      formula.site = site;
    }
  }

  /// Where a site is in the catalogue, whose order is that of the layer's linears.
  static std::size_t place(const SiteCatalogue& catalogue, const Site& site) {
    return static_cast<std::size_t>(std::ranges::find(catalogue.sites, site.name, &Site::name) -
                                    catalogue.sites.begin());
  }

  void add_gradients(std::vector<std::vector<float>>& all) const {
    if (adapter_)
      for (const Parameter<float>& parameter : std::as_const(*adapter_).parameters())
        all.emplace_back(parameter.gradient.span().begin(), parameter.gradient.span().end());
    all.insert(all.end(), norm_gradients_.begin(), norm_gradients_.end());
  }
  void add_factors(std::vector<std::span<double>>& unknowns) const {
    if (double_adapter_)
      for (Parameter<double>& parameter : double_adapter_->parameters())
        unknowns.push_back(parameter.value.span());
  }

  const std::shared_ptr<const Device> device_ = make_cpu_device();
  const std::vector<std::size_t> starts_ = {0, 4, 5, 8};
  const std::vector<float> x_ = reference::normal(8 * hidden, "x");
  reference::Rows input_{MatrixView<const float>(x_.data(), 8, hidden)};
  std::deque<std::vector<float>> weights_, biases_, norm_gradients_;

 private:
  std::vector<reference::Linear> frozen_in_double_;
  std::unique_ptr<Adapter<float>> adapter_;
  std::unique_ptr<Adapter<double>> double_adapter_;
};

/// Compares what the example computes with its formula, and its gradients with differences of the
/// formula: of x where `below`, and of all that trains.
template <class Example>
void expect_the_formula(Example& example, const LayerExample::Result& found, bool training,
                        bool below) {
  EXPECT_LT(reference::relative_error(found.y, example.apply().values), 1e-6);
  if (!training) return;
  const std::vector<std::span<double>> unknowns = example.unknowns();
  ASSERT_EQ(unknowns.size(), 1 + found.gradients.size());
  for (std::size_t i = 0; i < unknowns.size(); ++i) {
    if (i == 0 && !below) continue;
    const std::vector<double> expected =
        reference::central_differences(unknowns[i], [&] { return example.loss(); });
    EXPECT_LT(reference::relative_error(i == 0 ? found.dx : found.gradients[i - 1], expected), 5e-6)
        << i;
  }
}

}  // namespace rankfold
