#include <exception>

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <xtensor/xnorm.hpp>
#include <xtensor/xnpy.hpp>
#include <xtensor/xtensor.hpp>

#include "core/fit/array_source.h"
#include "core/fit/fit.h"
#include "core/xtensor_views.h"
#include "decompositions/registry.h"

namespace {

using namespace rankfold;

/// One matrix of width x width in each layer, with four heads, named as `rankfold fit` names those
/// of an array: random starts are addressed by these names.
Stack layers_of(std::size_t layers, std::size_t width) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    sites.push_back({fmt::format("layer.{}", layer), MatrixType::q, layer, width, width, 4});
  return Stack(std::move(sites));
}

/// How many parameters a method has on a stack, and in which factors.
void count(const Method& method, const MethodSettings& settings, const Stack& stack) {
  const Count counted = count_parameters(method, stack, settings);
  fmt::print("{} parameters {}\n", method.name, counted.trainable);
  for (const FactorCount& factor : counted.factors)
    fmt::print("  {} of {} x {}\n", factor.copies, factor.name, fmt::join(factor.shape, "x"));
}

/// An adapter whose factors are set by hand, and the update of one site that follows from them.
void reconstruct_one(const Method& method, const MethodSettings& settings, const Stack& stack) {
  const auto adapter = make_adapter<double>(method, stack, settings, make_cpu_device());
  for (Parameter<double>& factor : adapter->parameters()) view_value(factor).fill(0.5);
  const xt::xtensor<double, 2> update = reconstruct(*adapter, 0);
  fmt::print("{} update {} x {}, each entry {}\n", method.name, update.shape(0), update.shape(1),
             update(0, 0));
}

/// The method's best approximation of given updates [layers, out, in].
void fit(const Method& method, const MethodSettings& settings, const Stack& stack,
         const xt::xtensor<double, 3>& updates) {
  const ArraySource<double> source({updates.data(), updates.size()}, stack);
  const FittedUpdates<double> fitted =
      fit_updates(method, stack, settings, source, FitSettings{}, make_cpu_device());
  const xt::xtensor<double, 2> first = reconstruct(*fitted.adapter, 0);
  const auto given =
      view_matrix(MatrixView<const double>(updates.data(), first.shape(0), first.shape(1)));
  fmt::print("{} relative error {:.12f}, of the first site {:.12f}\n", method.name,
             fitted.report.relative_error, xt::norm_l2(given - first)() / xt::norm_l2(given)());
}

}  // namespace

/// compare UPDATES.npy RANK METHOD...: counts, reconstructs and fits each method.
int main(int count_of_words, char** words) {
  if (count_of_words < 4) {
    fmt::print(stderr, "use: compare UPDATES.npy RANK METHOD...\n");
    return 2;
  }
  try {
    const xt::xtensor<double, 3> updates = xt::load_npy<double>(words[1]);
    const Stack stack = layers_of(updates.shape(0), updates.shape(1));
    const Registry registry = builtin_registry();
    for (int word = 3; word < count_of_words; ++word) {
      const Method& method = registry.at(words[word]);
      const MethodSettings settings =
          resolve_settings(method, {words[2], /*alpha=*/{}, /*preset=*/"", /*options=*/{}}, stack);
      count(method, settings, stack);
      reconstruct_one(method, settings, stack);
      fit(method, settings, stack, updates);
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 1;
  }
  return 0;
}
