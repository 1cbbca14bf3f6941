#include <array>
#include <memory>
#include <span>
#include <vector>

#include <benchmark/benchmark.h>

#include "core/base/random.h"
#include "core/device/machine_rates.h"
#include "experiments/models/host.h"

// Examples of two options of one token behind a prompt of 150 to 200 tokens, as boolq's, scored on
// the shape of SmolLM2: whole, and behind prompts that are computed once. Compare within one run.

namespace rankfold {
namespace {

constexpr std::size_t examples = 8;

Batch make_batch(bool shared) {
  const RandomStream stream(1, "benchmark");
  Batch batch;
  batch.starts = {0};
  std::uint64_t drawn = 0;
  const auto add = [&](std::span<const std::int32_t> ids, std::size_t labelled,
                       std::size_t prefix) {
    batch.ids.insert(batch.ids.end(), ids.begin(), ids.end());
    batch.targets.resize(batch.ids.size() - labelled, Batch::left_out);
    batch.targets.insert(batch.targets.end(), ids.end() - static_cast<std::ptrdiff_t>(labelled),
                         ids.end());
    batch.starts.push_back(batch.ids.size());
    if (shared) batch.prefixes.push_back(prefix);
  };
  for (std::size_t i = 0; i < examples; ++i) {
    std::vector<std::int32_t> prompt(150 + 7 * i);
    for (std::int32_t& id : prompt) id = static_cast<std::int32_t>(stream.bits(drawn++) % 49'000);
    const std::size_t at = batch.sequences();
    if (shared) add(prompt, 0, no_prefix);
    for (const std::int32_t option : {11, 12}) {
      if (shared) {
        add(std::array{option}, 1, at);
      } else {
        prompt.push_back(option);
        add(prompt, 1, no_prefix);
        prompt.pop_back();
      }
    }
  }
  return batch;
}

void score_options(benchmark::State& state) {
  static const std::unique_ptr<Host> host = [] {
    HostSettings settings;
    settings.output = HostOutput::language_model;
    return load_random_host("smollm2-135m", settings, make_calibrated_device());
  }();
  const Batch batch = make_batch(state.range(0) != 0);
  host->answer_scores(batch);
  for (auto _ : state) benchmark::DoNotOptimize(host->answer_scores(batch));
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * examples));
}

BENCHMARK(score_options)
    ->ArgName("shared")
    ->Arg(0)
    ->Arg(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace rankfold
