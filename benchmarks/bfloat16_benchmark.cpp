#include <benchmark/benchmark.h>

#include <fmt/core.h>

#include "core/base/random.h"
#include "core/device/bfloat16_weight.h"

// Products of a frozen weight with 4096 tokens in float32 and in bfloat16, forward (with the bias)
// and backward (added to dX). Compare within one run.

namespace rankfold {
namespace {

constexpr std::size_t tokens = 4096;

struct Layer {
  Layer(std::size_t out_width, std::size_t in_width) : out(out_width), in(in_width) {
    for (auto* buffer : {&weight, &bias, &x, &y})
      RandomStream(1, "benchmark").fill_normal(buffer->span(), 0.0, 0.02);
  }
  MatrixView<float> x_view() { return {x.data(), tokens, in}; }
  MatrixView<float> y_view() { return {y.data(), tokens, out}; }

  std::size_t out, in;
  std::shared_ptr<const Device> device = make_cpu_device();
  Buffer<float> weight{device, out*in}, bias{device, out}, x{device, tokens*in},
      y{device, tokens*out};
};

void measure(benchmark::State& state, std::size_t out, std::size_t in, bool bfloat16,
             bool backward) {
  if (const std::string obstacle = bfloat16_obstacle(); bfloat16 && !obstacle.empty()) {
    state.SkipWithError(obstacle.c_str());
    return;
  }
  Layer layer(out, in);
  std::unique_ptr<Bfloat16Weight> rounded;
  if (bfloat16) rounded = std::make_unique<Bfloat16Weight>(layer.weight.data(), out, in);
  for (auto _ : state) {
    if (rounded && backward)
      rounded->backward(layer.y_view(), layer.x_view(), true);
    else if (rounded)
      rounded->forward(layer.x_view(), layer.bias.data(), layer.y_view());
    else if (backward)
      layer.device->gemm(false, false, tokens, in, out, 1.0f, layer.y.data(), out,
                         layer.weight.data(), in, 1.0f, layer.x.data(), in);
    else
      layer.device->gemm(false, true, tokens, out, in, 1.0f, layer.x.data(), in,
                         layer.weight.data(), in, 0.0f, layer.y.data(), out);
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(2e-9 * static_cast<double>(tokens * out * in * state.iterations()),
                         benchmark::Counter::kIsRate);
}

const int registered = [] {
  struct Shape {
    std::size_t out, in;
  };
  for (const auto [out, in] : {Shape{384, 384}, Shape{1536, 384}, Shape{384, 1536}, Shape{768, 768},
                               Shape{3072, 768}, Shape{768, 3072}})
    for (const bool backward : {false, true})
      for (const bool bfloat16 : {false, true})
        benchmark::RegisterBenchmark(
            fmt::format("product/{}x{}/{}/{}", out, in, backward ? "backward" : "forward",
                        bfloat16 ? "bfloat16" : "float32")
                .c_str(),
            [=](benchmark::State& state) { measure(state, out, in, bfloat16, backward); })
            ->Unit(benchmark::kMillisecond)
            ->UseRealTime()
            ->MinTime(0.3);
  return 0;
}();

}  // namespace
}  // namespace rankfold
