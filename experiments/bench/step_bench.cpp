#include "experiments/bench/step_bench.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include "core/adapter/explain.h"
#include "core/base/error.h"
#include "core/base/machine.h"
#include "core/base/random.h"
#include "core/device/machine_rates.h"
#include "experiments/bench/timing.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"
#include "experiments/training/optimizer.h"
#include "experiments/training/training_session.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t warm_up_steps = 2;
constexpr std::uint64_t seed = 1;
constexpr double learning_rate = 1e-5;

bool has_weights(const std::string& model) {
  if (std::ranges::find(built_in_shapes(), model, &ModelShape::name) != built_in_shapes().end())
    return false;
  std::error_code failure;
  return fs::exists(fs::path(model) / "model.safetensors", failure) ||
         fs::exists(fs::path(model) / "model.safetensors.index.json", failure);
}

Batch random_batch(std::size_t sequences, std::size_t length, std::size_t vocabulary) {
  Batch batch;
  const RandomStream stream(seed, "bench/tokens");
  batch.starts.push_back(0);
  for (std::size_t sequence = 0; sequence < sequences; ++sequence) {
    for (std::size_t i = 0; i < length; ++i)
      batch.ids.push_back(static_cast<std::int32_t>(stream.bits(batch.ids.size()) % vocabulary));
    batch.starts.push_back(batch.ids.size());
    batch.labels.push_back(static_cast<float>(sequence % 2));
  }
  batch.type_ids.assign(batch.ids.size(), 0);
  batch.targets = batch.ids;
  return batch;
}

/// The session of the request's model.
TrainingSession make_session(const StepRequest& request, const Method& method, bool random_weights,
                             const std::shared_ptr<const Device>& device,
                             const std::function<void(const std::string&)>& message) {
  HostSettings wanted = host_settings(request.settings, seed);
  wanted.output = request.output;
  std::unique_ptr<Host> host = random_weights ? load_random_host(request.model, wanted, device)
                                              : load_host(request.model, wanted, device);
  TrainingSession session(std::move(host), method, request.settings, seed, device,
                          [&](const std::vector<std::string>& notes) {
                            for (const std::string& note : notes) message(note);
                          });
  if (request.length > session.host().max_tokens())
    throw UsageError("--length is {}; {} has {} positions", request.length, request.model,
                     session.host().max_tokens());
  session.begin(optimizer_settings(request.settings));
  return session;
}

void take_step(TrainingSession& session, const Batch& batch) {
  session.form_gradients(batch);
  session.update(learning_rate, clip_scale(session.norm(), 0));
}

void check_request(const StepRequest& request) {
  for (const auto& [name, value] : request.settings.values) check_setting(name, value);
  if (request.length == 0 || request.steps == 0)
    throw UsageError("length {}, steps {}: expected 1 or more of each", request.length,
                     request.steps);
  // Far beyond any batch, and small enough that no size overflows.
  constexpr std::size_t most_sequences = 1'000'000;
  if (request.settings.count("batch") > most_sequences)
    throw UsageError("--batch is {}; expected at most {}", request.settings.count("batch"),
                     most_sequences);
}

}  // namespace

double StepReport::other() const {
  double share = 1;
  for (const auto& [work, known] : profile) share -= known;
  return share;
}

StepReport bench_step(const StepRequest& request, const Registry& registry,
                      const std::function<void(const std::string&)>& message) {
  check_request(request);
  const RunSettings& settings = request.settings;
  const Method& method = registry.at(settings.text("method"));
  StepReport report;
  report.model = find_shape(request.model).name;
  report.random_weights = !has_weights(request.model);
  report.method = method.name;
  report.batch = settings.count("batch");
  report.length = request.length;
  report.steps = request.steps;
  report.threads = settings.text("threads").empty() ? cpu_count() : settings.count("threads");
  set_threads(static_cast<int>(report.threads));

  const auto plain = make_calibrated_device();
  const auto counting = std::make_shared<CountingDevice>(plain);
  TrainingSession session = make_session(request, method, report.random_weights, counting, message);
  const Batch batch =
      random_batch(report.batch, request.length, find_shape(request.model).vocabulary);
  if (report.random_weights)
    message(report.model + ": no weights are there; random ones serve, N(0, 0.02)");
  report.rank = method.has_rank ? session.method_settings().rank : 0;
  report.dropout = session.host().dropouts();
  report.plans = explain_plans(session.adapter(), report.batch * report.length);
  const bool zero_order = !session.projections().empty();
  if (zero_order) {
    for (std::size_t i = 0; i < warm_up_steps; ++i) session.host().mean_loss(batch);
    report.forward_peak_memory_mib = peak_memory_mib();
  }
  for (std::size_t i = 0; i < warm_up_steps; ++i) take_step(session, batch);
  report.peak_memory_mib = peak_memory_mib();

  LargeProduct product(plain);
  counting->reset();
  std::vector<double> seconds, rates, forwards;
  double sum = 0;
  for (std::size_t i = 0; i < request.steps; ++i) {
    rates.push_back(product.measure());
    if (zero_order) {
      session.host().mean_loss(batch);  // the large product took the weights out of the caches
      forwards.push_back(seconds_of([&] { session.host().mean_loss(batch); }));
    }
    seconds.push_back(seconds_of([&] { take_step(session, batch); }));
    sum += seconds.back();
  }

  std::size_t counted_steps = request.steps;
  if (zero_order) {  // the forward passes between the steps were counted as well
    counting->reset();
    sum = seconds_of([&] { take_step(session, batch); });
    counted_steps = 1;
  }
  const WorkCount count = counting->count();
  report.step_ms = 1e3 * median(seconds);
  if (zero_order) report.forward_ms = 1e3 * median(forwards);
  report.tokens_per_second =
      static_cast<double>(report.batch * report.length) / (report.step_ms / 1e3);
  report.flops = count.flops() / counted_steps;
  report.thin_flops = count.thin_flops / counted_steps;
  report.allocations = static_cast<double>(count.allocations) / static_cast<double>(counted_steps);
  const double rate = median(rates);
  report.large_sgemm_gflops = rate / 1e9;
  report.floor_ms = 1e3 * static_cast<double>(report.flops) / rate;
  report.share_of_floor = report.floor_ms / report.step_ms;
  for (const Work work : {Work::frozen_product, Work::adapter, Work::attention, Work::elementwise})
    report.profile[work] = count.seconds_of(work) / sum;
  return report;
}

}  // namespace rankfold
