#include <benchmark/benchmark.h>

#include "decompositions/registry.h"
#include "experiments/models/shapes.h"

// Counting the parameters of every method at rank 8 on the shape of RoBERTa-base.

namespace rankfold {
namespace {

void count_on_roberta(benchmark::State& state, const Method& method) {
  const SiteCatalogue sites = catalogue(find_shape("roberta-base"));
  const std::string targets = method.default_targets.empty() ? "q,v" : method.default_targets;
  const Stack stack = select_sites(method, sites, targets, "all", {});
  const MethodSettings settings =
      resolve_settings(method, {method.has_rank ? "8" : "", {}, "", {}}, stack);
  std::size_t counted = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(counted = count_parameters(method, stack, settings).trainable);
  state.counters["parameters"] = static_cast<double>(counted);
}

const int registered = [] {
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods())
    benchmark::RegisterBenchmark(
        ("count/" + method.name).c_str(),
        [method](benchmark::State& state) { count_on_roberta(state, method); });
  return 0;
}();

}  // namespace
}  // namespace rankfold
