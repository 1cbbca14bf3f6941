#include <benchmark/benchmark.h>

#include "core/random.h"
#include "decompositions/registry.h"

// Forward and backward of one 768 x 768 layer with 4096 tokens: frozen alone, and with every method
// at rank 8 on top. Compare a method's time with that of `frozen` in the same run.

namespace rankfold {
namespace {

constexpr std::size_t width = 768, tokens = 4096;

struct Layer {
  std::shared_ptr<const Backend> backend = make_openblas_backend();
  Buffer<float> weight{backend, width*width}, x{backend, tokens*width}, y{backend, tokens*width},
      dy{backend, tokens*width}, dx{backend, tokens*width};

  Layer() {
    for (auto* buffer : {&weight, &x, &dy})
      RandomStream(1, "benchmark").fill_normal(buffer->span(), 0.0, 0.02);
  }
  void forward() {
    backend->gemm(false, true, tokens, width, width, 1.0f, x.data(), width, weight.data(), width,
                  0.0f, y.data(), width);
  }
};

void frozen_layer(benchmark::State& state) {
  Layer layer;
  for (auto _ : state) {
    layer.forward();
    layer.backend->gemm(false, false, tokens, width, width, 1.0f, layer.dy.data(), width,
                        layer.weight.data(), width, 0.0f, layer.dx.data(), width);
  }
}

void adapted_layer(benchmark::State& state, const Method& method) {
  Layer layer;
  const Stack stack({{"layer", MatrixType::q, 0, width, width, 12}});
  const auto adapter = make_adapter<float>(
      method, stack, resolve_settings(method, {method.has_rank ? "8" : "", {}, "", {}}, stack),
      layer.backend);
  adapter->initialise(1);
  adapter->set_frozen({{layer.weight.data(), nullptr}});
  Trace<float> trace;
  for (auto _ : state) {
    adapter->forward(0, {layer.x.data(), tokens, width}, {layer.y.data(), tokens, width}, &trace);
    adapter->backward(0, {layer.x.data(), tokens, width}, {layer.dy.data(), tokens, width}, trace,
                      {layer.dx.data(), tokens, width});
  }
  state.counters["parameters"] = static_cast<double>(adapter->parameter_count());
}

const int registered = [] {
  const auto measure = [](auto* entry) {
    entry->Unit(benchmark::kMillisecond)->UseRealTime()->MinTime(0.5);
  };
  measure(benchmark::RegisterBenchmark("layer/frozen", frozen_layer));
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods())
    measure(benchmark::RegisterBenchmark(
        ("layer/" + method.name).c_str(),
        [method](benchmark::State& state) { adapted_layer(state, method); }));
  return 0;
}();

}  // namespace
}  // namespace rankfold
