#pragma once

#include <filesystem>

#include "core/device/device.h"

namespace rankfold {

/// Rates of no machine in particular.
MachineRates nominal_rates();

/// Measures this machine in about a tenth of a second, on one thread, and scales to the threads
/// that are set. The ratios to `large_flops`, which alone decide plans, are rounded to powers of
/// two within the range of real machines, so that noise hardly ever changes a plan.
MachineRates measure_rates(const Device& device);

/// Reads rates from a JSON file as write_rates makes it. Throws Error naming the file and the key:
/// no file, no JSON, a number that is missing or not positive.
MachineRates read_rates(const std::filesystem::path& file);
void write_rates(const MachineRates& rates, const std::filesystem::path& file);

/// Where the rates of this machine (CPU, kernels, threads, version) are kept:
/// $XDG_CACHE_HOME/rankfold or ~/.cache/rankfold; empty where neither is known.
std::filesystem::path rates_file();

/// The rates that plans go by, for the threads that are set: what the environment variable
/// RANKFOLD_RATES names (a file, or "nominal"), else those kept in rates_file, else measured now
/// and kept there. Of processes that measure at the same time the first to finish is believed by
/// all.
MachineRates machine_rates(const Device& device);

/// The CPU with machine_rates, for the threads that are set: what training and benchmarks run on.
std::shared_ptr<const Device> make_calibrated_device();

}  // namespace rankfold
