#pragma once

#include <cstddef>
#include <string>

namespace rankfold {

/// The version of rankfold, e.g. "0.1.0".
std::string version();

/// The compiler that built the program, e.g. "g++ 12.2.0".
std::string compiler();

/// The processor's model as the system names it, e.g. "AMD EPYC 7763 64-Core Processor"; the
/// architecture (e.g. "aarch64") where it names none.
std::string cpu_model();

/// The logical processors that this process may use.
std::size_t cpu_count();

/// The machine's memory in MiB (0 where the system does not tell).
std::size_t memory_mib();

/// The largest resident memory of this process so far in MiB (2^20 bytes).
double peak_memory_mib();

/// One line for result files: "<cpu model>, <n> processors, <m> MiB memory, <kernel and release>".
std::string machine_description();

}  // namespace rankfold
