#include "experiments/bench/layer_bench.h"

#include <algorithm>
#include <optional>

#include <fmt/core.h>

#include "core/adapter/adapter.h"
#include "core/adapter/explain.h"
#include "core/adapter/frozen_product.h"
#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/random.h"
#include "core/device/machine_rates.h"
#include "experiments/bench/timing.h"

namespace rankfold {
namespace {

constexpr std::size_t warm_up_rounds = 2;

/// Frozen layers and the matrices of one forward and backward.
struct Layers {
  std::shared_ptr<const Device> device = make_calibrated_device();
  std::size_t width, tokens;
  std::vector<Buffer<float>> weights, biases;
  Buffer<float> x, y, dy, dx;

  explicit Layers(const LayerRequest& request)
      : width(request.width),
        tokens(request.tokens),
        x(device, tokens * width),
        y(device, tokens * width),
        dy(device, tokens * width),
        dx(device, tokens * width) {
    for (std::size_t site = 0; site < request.sites; ++site) {
      weights.emplace_back(device, width * width);
      biases.emplace_back(device, width);
      RandomStream(1, "bench/weight", site).fill_normal(weights.back().span(), 0.0, 0.02);
      RandomStream(1, "bench/bias", site).fill_normal(biases.back().span(), 0.0, 0.02);
    }
    RandomStream(1, "bench/x").fill_normal(x.span(), 0.0, 1.0);
    RandomStream(1, "bench/dy").fill_normal(dy.span(), 0.0, 0.02);
  }

  std::size_t sites() const { return weights.size(); }
  MatrixView<float> view(Buffer<float>& buffer) const { return {buffer.data(), tokens, width}; }

  FrozenLinear<float> frozen(std::size_t site) const {
    return {weights[site].data(), biases[site].data()};
  }
};

struct Times {
  double forward = 0, both = 0;
};

/// Y = X W^T + b, dX = dY W.
Times run_frozen(Layers& layers) {
  const MatrixView<float> x = layers.view(layers.x), y = layers.view(layers.y),
                          dy = layers.view(layers.dy), dx = layers.view(layers.dx);
  Times times;
  times.forward = seconds_of([&] {
    for (std::size_t site = 0; site < layers.sites(); ++site)
      frozen_forward<float>(*layers.device, layers.frozen(site), x, y, Bias::add);
  });
  times.both =
      times.forward + seconds_of([&] {
        for (std::size_t site = layers.sites(); site-- > 0;)
          frozen_backward<float>(*layers.device, layers.frozen(site), dy, dx, Into::overwrite);
      });
  return times;
}

/// The same with an adapter at every site; each overwrites Y and dX, as the frozen layers do.
Times run_adapted(Layers& layers, Adapter<float>& adapter, std::vector<Trace<float>>& traces) {
  const MatrixView<float> x = layers.view(layers.x), y = layers.view(layers.y),
                          dy = layers.view(layers.dy), dx = layers.view(layers.dx);
  Times times;
  times.forward = seconds_of([&] {
    for (std::size_t site = 0; site < layers.sites(); ++site) {
      const SiteMatrix<float> output{site, y};
      adapter.forward({&output, 1}, x, &traces[site]);
    }
  });
  times.both = times.forward + seconds_of([&] {
                 for (std::size_t site = layers.sites(); site-- > 0;) {
                   const SiteMatrix<const float> d_output{site, dy};
                   adapter.backward({&d_output, 1}, x, traces[site], dx, Into::overwrite);
                 }
               });
  return times;
}

void check_request(const LayerRequest& request, const Registry& registry) {
  if (request.width == 0 || request.tokens == 0 || request.sites == 0 || request.rounds == 0)
    throw UsageError("width {}, tokens {}, sites {}, rounds {}: expected 1 or more of each",
                     request.width, request.tokens, request.sites, request.rounds);
  const double width = static_cast<double>(request.width);
  const double numbers = 4 * static_cast<double>(request.tokens) * width +
                         static_cast<double>(request.sites) * width * (width + 1);
  const double mib = numbers * sizeof(float) / (1024 * 1024);
  if (mib > static_cast<double>(memory_mib()))
    throw UsageError(
        "width {}, tokens {}, sites {}: the frozen layers alone take {:.0f} MiB, expected at most "
        "the {} MiB of this machine",
        request.width, request.tokens, request.sites, mib, memory_mib());
  for (auto name = request.methods.begin(); name != request.methods.end(); ++name) {
    registry.at(*name);
    if (std::find(request.methods.begin(), name, *name) != name)
      throw UsageError("--method {}: stands twice", *name);
  }
}

LayerRow measure(const Method& method, const MethodSettings& settings, const Stack& stack,
                 std::size_t rounds, Layers& layers, std::vector<Times>& frozen) {
  const auto adapter = make_adapter<float>(method, stack, settings, layers.device);
  std::vector<FrozenLinear<float>> weights;
  for (std::size_t site = 0; site < layers.sites(); ++site) weights.push_back(layers.frozen(site));
  adapter->set_frozen(std::move(weights));
  adapter->initialise(1);
  std::vector<Trace<float>> traces(layers.sites());

  std::vector<double> forward, both, ratios;
  for (std::size_t round = 0; round < warm_up_rounds + rounds; ++round) {
    adapter->zero_gradients();
    Times with, without;
    if (round % 2 == 0) without = run_frozen(layers);
    with = run_adapted(layers, *adapter, traces);
    if (round % 2 == 1) without = run_frozen(layers);
    if (round < warm_up_rounds) continue;
    frozen.push_back(without);
    forward.push_back(with.forward);
    both.push_back(with.both);
    ratios.push_back(with.both / without.both);
  }
  return {method.name,
          method.has_rank ? settings.rank : 0,
          adapter->parameter_count(),
          1e3 * median(forward),
          1e3 * median(both),
          median(ratios),
          explain_plans(*adapter, layers.tokens)};
}

}  // namespace

std::size_t bench_heads(std::size_t width) {
  std::size_t heads = 12;
  while (width % heads != 0) --heads;
  return heads;
}

Stack bench_stack(std::size_t layers, std::size_t width) {
  std::vector<Site> sites;
  for (std::size_t layer = 0; layer < layers; ++layer)
    sites.push_back(
        {fmt::format("layer.{}", layer), MatrixType::q, layer, width, width, bench_heads(width)});
  return Stack(std::move(sites));
}

LayerReport bench_layer(const LayerRequest& request, const Registry& registry,
                        const std::function<void(std::size_t, std::size_t)>& progress) {
  check_request(request, registry);
  const Stack stack = bench_stack(request.sites, request.width);
  std::vector<std::pair<Method, MethodSettings>> chosen;
  LayerReport report;
  const bool named = !request.methods.empty();
  for (const std::string& name : named ? request.methods : registry.names()) {
    const Method& method = registry.at(name);
    try {
      const MethodSettings settings =
          resolve_settings(method, {method.has_rank ? request.rank : "", {}, "", {}}, stack);
      count_parameters(method, stack, settings);
      chosen.emplace_back(method, settings);
    } catch (const Error& error) {
      if (named) throw;
      report.skipped.push_back({name, error.what()});
    }
  }

  Layers layers(request);
  std::vector<Times> frozen;
  for (const auto& [method, settings] : chosen) {
    if (progress) progress(report.rows.size(), chosen.size());
    report.rows.push_back(measure(method, settings, stack, request.rounds, layers, frozen));
  }
  if (progress) progress(chosen.size(), chosen.size());
  if (frozen.empty())
    for (std::size_t round = 0; round < request.rounds; ++round)
      frozen.push_back(run_frozen(layers));
  std::vector<double> forward, both;
  for (const Times& times : frozen) {
    forward.push_back(times.forward);
    both.push_back(times.both);
  }
  report.frozen_forward_ms = 1e3 * median(forward);
  report.frozen_ms = 1e3 * median(both);
  return report;
}

}  // namespace rankfold
