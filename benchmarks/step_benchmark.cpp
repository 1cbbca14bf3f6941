#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>

#include "core/random.h"
#include "core/version.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"

// One training step of MiniLM (RANKFOLD_MINILM or .cache/minilm), 32 sequences of 128 tokens, the
// network's dropout on: every method at rank 8 on q and v.

namespace rankfold {
namespace {

constexpr std::size_t sequences = 32, length = 128;

Batch random_batch() {
  Batch batch;
  const RandomStream stream(1, "benchmark");
  batch.starts.push_back(0);
  for (std::size_t i = 0; i < sequences; ++i) {
    for (std::size_t j = 0; j < length; ++j)
      batch.ids.push_back(static_cast<std::int32_t>(1000 + stream.bits(i * length + j) % 20000));
    batch.starts.push_back(batch.ids.size());
    batch.labels.push_back(static_cast<float>(i % 2));
  }
  batch.type_ids.assign(batch.ids.size(), 0);
  return batch;
}

void step(benchmark::State& state, const Method& method) {
  const char* given = std::getenv("RANKFOLD_MINILM");
  const std::filesystem::path folder = given ? given : ".cache/minilm";
  if (!std::filesystem::exists(folder / "config.json")) {
    state.SkipWithError("no model: run scripts/fetch minilm, or set RANKFOLD_MINILM");
    return;
  }
  const auto backend = make_openblas_backend();
  const auto host = load_host(folder, {}, backend);
  const Stack stack = select_stack(
      host->catalogue(), method.default_targets.empty() ? "q,v" : method.default_targets, "all");
  const auto adapter = make_adapter<float>(
      method, stack, resolve_settings(method, {method.has_rank ? "8" : "", {}, "", {}}, stack),
      backend);
  adapter->initialise(1);
  host->attach(adapter.get());
  const Batch batch = random_batch();
  std::uint64_t index = 0;
  for (auto _ : state) {
    adapter->zero_gradients();
    host->zero_gradients();
    benchmark::DoNotOptimize(host->train_pass(batch, 1, index++));
  }
  state.counters["tokens/s"] = benchmark::Counter(
      static_cast<double>(batch.tokens() * state.iterations()), benchmark::Counter::kIsRate);
  state.counters["peak MiB"] = peak_memory_mib();
}

const int registered = [] {
  const Registry registry = builtin_registry();
  for (const Method& method : registry.methods())
    benchmark::RegisterBenchmark(("step/" + method.name).c_str(),
                                 [method](benchmark::State& state) { step(state, method); })
        ->Unit(benchmark::kMillisecond)
        ->UseRealTime()
        ->MinTime(3);
  return 0;
}();

}  // namespace
}  // namespace rankfold
