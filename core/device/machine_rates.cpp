#include "core/device/machine_rates.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/elapsed.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/hash.h"
#include "core/base/json_field.h"
#include "core/base/json_reader.h"
#include "core/base/machine.h"
#include "core/device/one_thread.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

struct RateKey {
  const char* name;
  double MachineRates::*rate;
};
constexpr RateKey keys[] = {{"large_flops", &MachineRates::large_flops},
                            {"thin_flops", &MachineRates::thin_flops},
                            {"moved", &MachineRates::moved}};

/// The least seconds of several runs: what the machine can do.
double best_seconds(int runs, const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < runs; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, seconds_since(start));
  }
  return best;
}

/// A power of two within what machines differ by, times `base`.
double rounded_ratio(double rate, double base, double least, double most) {
  return base * std::exp2(std::round(std::log2(std::clamp(rate / base, least, most))));
}

}  // namespace

MachineRates nominal_rates() {
  return {2e11, 1e11, 3.125e9};
}

MachineRates measure_rates(const Device& device) {
  // On a machine that others use as well, threads that wait for each other measure the others.
  const OneThread alone;
  const double threads = alone.threads();
  const std::shared_ptr<const Device> memory = make_cpu_device(nominal_rates());
  constexpr std::size_t side = 512, width = 768, rows = 64, rank = 8;
  Buffer<float> a(memory, side * side), b(memory, side * side), c(memory, side * side);
  std::ranges::fill(a.span(), 0.5f);
  std::ranges::fill(b.span(), 0.25f);
  MachineRates rates;
  const double large = best_seconds(6, [&] {
    device.gemm(false, true, side, side, side, 1.0f, a.data(), side, b.data(), side, 0.0f, c.data(),
                side);
  });
  rates.large_flops = threads * 2.0 * side * side * side / large;
  // A block of tokens through a factor and back, as a TokenProgram does it.
  const double thin = best_seconds(40, [&] {
    device.gemm(false, true, rows, rank, width, 1.0f, a.data(), width, b.data(), width, 0.0f,
                c.data(), rank);
    device.gemm(true, false, rank, width, rows, 1.0f, c.data(), rank, a.data(), width, 0.0f,
                b.data(), width);
  });
  rates.thin_flops =
      rounded_ratio(threads * 2 * 2.0 * rows * width * rank / thin, rates.large_flops, 0.125, 1);
  constexpr std::size_t beyond_cache = std::size_t{1} << 23;
  // So many threads use up what the memory gives.
  const double sharing = std::min(threads, 4.0);
  Buffer<float> from(memory, beyond_cache), to(memory, beyond_cache);
  StridedLoop loop;
  loop.add({beyond_cache, 1, 0, 1});
  const double move =
      best_seconds(4, [&] { device.accumulate(loop, 1.0f, from.data(), nullptr, to.data()); });
  rates.moved =
      rounded_ratio(sharing * 3.0 * beyond_cache / move, rates.large_flops, 1.0 / 256, 1.0 / 16);
  return rates;
}

MachineRates read_rates(const fs::path& file) {
  const nlohmann::json document = read_json(file);
  const JsonField fields(document, file);
  MachineRates rates;
  for (const auto& [name, rate] : keys) {
    const JsonField field = fields.member(name);
    rates.*rate = field.number();
    if (!(rates.*rate > 0)) field.refuse(fmt::format("{}", rates.*rate), "a positive number");
  }
  return rates;
}

void write_rates(const MachineRates& rates, const fs::path& file) {
  nlohmann::ordered_json document;
  for (const auto& [name, rate] : keys) document[name] = rates.*rate;
  write_atomically(file, document.dump(2) + "\n");
}

fs::path rates_file() {
  fs::path folder;
  const char* cache = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  if (cache && *cache)
    folder = cache;
  else if (home && *home)
    folder = fs::path(home) / ".cache";
  else
    return {};
  const KernelReport kernels = kernel_report();
  const std::string machine = fmt::format("{}/{}/{}/{} threads/{}", cpu_model(), kernels.own,
                                          kernels.openblas, kernels.threads, version());
  return folder / "rankfold" / fmt::format("rates-{:016x}.json", fnv1a(machine));
}

MachineRates machine_rates(const Device& device) {
  if (const char* given = std::getenv("RANKFOLD_RATES"); given && *given)
    return std::string_view(given) == "nominal" ? nominal_rates() : read_rates(given);
  const fs::path file = rates_file();
  std::error_code failure;
  if (!file.empty() && fs::exists(file, failure)) {
    try {
      return read_rates(file);
    } catch (const Error&) {
      fs::remove(file, failure);  // nobody's choice: it is measured anew
    }
  }
  const MachineRates measured = measure_rates(device);
  if (file.empty()) return measured;
  try {
    // A link is made only where no other process made one first.
    const fs::path mine = fmt::format("{}.{}", file.string(), ::getpid());
    write_rates(measured, mine);
    fs::create_hard_link(mine, file, failure);
    fs::remove(mine, failure);
    return read_rates(file);
  } catch (const Error&) {
    return measured;  // where nothing can be kept, every process measures
  }
}

std::shared_ptr<const Device> make_calibrated_device() {
  return make_cpu_device(machine_rates(*make_cpu_device()));
}

}  // namespace rankfold
