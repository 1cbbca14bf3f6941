#include "core/base/machine.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <thread>

#include <fmt/core.h>

#include "core/base/text.h"

namespace rankfold {

std::string version() {
  return RANKFOLD_VERSION;
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  return fmt::format("g++ {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
}

std::string cpu_model() {
  std::ifstream information("/proc/cpuinfo");
  for (std::string line; std::getline(information, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view all = line;
    const std::string_view value = trim(all.substr(colon + 1));
    if (trim(all.substr(0, colon)) == "model name" && !value.empty()) return std::string(value);
  }
  utsname system{};
  return ::uname(&system) == 0 ? system.machine : "unknown processor";
}

std::size_t cpu_count() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
    return static_cast<std::size_t>(CPU_COUNT(&allowed));
  return std::max(1U, std::thread::hardware_concurrency());
}

std::size_t memory_mib() {
  const long pages = ::sysconf(_SC_PHYS_PAGES);
  const long page_size = ::sysconf(_SC_PAGESIZE);
  if (pages <= 0 || page_size <= 0) return 0;
  return static_cast<std::size_t>(pages) * static_cast<std::size_t>(page_size) >> 20;
}

double peak_memory_mib() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  // Linux counts ru_maxrss in KiB.
  return static_cast<double>(usage.ru_maxrss) / 1024.0;
}

std::string machine_description() {
  utsname system{};
  const bool named = ::uname(&system) == 0;
  return printable(fmt::format("{}, {} processors, {} MiB memory, {} {}", cpu_model(), cpu_count(),
                               memory_mib(), named ? system.sysname : "unknown system",
                               named ? system.release : ""));
}

}  // namespace rankfold
