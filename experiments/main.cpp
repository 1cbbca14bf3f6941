#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/address_space.h"
#include "core/base/mapped_pages.h"
#include "experiments/commands/command.h"

namespace {

/// OpenBLAS takes its memory while the program is loaded, and would wait for ever where a limit on
/// the address space does not let it. The system calls this before the libraries begin; the C
/// library does not know the environment yet.
void check_address_space(int, char**, char** environment) {
  cpu_set_t processors;
  long threads = ::sched_getaffinity(0, sizeof processors, &processors) == 0
                     ? CPU_COUNT(&processors)
                     : ::sysconf(_SC_NPROCESSORS_ONLN);
  for (char** entry = environment; *entry != nullptr; ++entry) {
    for (const std::string_view name : {"OPENBLAS_NUM_THREADS=", "OMP_NUM_THREADS="}) {
      if (!std::string_view(*entry).starts_with(name)) continue;
      const long wanted = std::strtol(*entry + name.size(), nullptr, 10);
      if (wanted > 0) threads = std::min(threads, wanted);
    }
  }
  // One more for whoever calls it, and room for what is computed.
  constexpr std::size_t room = std::size_t{64} << 20;
  if (rankfold::has_address_space(
          static_cast<std::size_t>(threads + 1) * rankfold::bytes_of_a_thread + room))
    return;
  constexpr std::string_view message =
      "rankfold: the limit of address space (ulimit -v) leaves less than the 136 MiB that OpenBLAS "
      "takes for each thread and once more; expected a higher limit, or a lower OMP_NUM_THREADS\n";
  static_cast<void>(::write(STDERR_FILENO, message.data(), message.size()) > 0);
  ::_exit(1);
}

__attribute__((section(".preinit_array"),
               used)) void (*before_libraries)(int, char**, char**) = check_address_space;

/// A file that is opened while standard input, output or error is closed takes its place, and what
/// is meant for the user is written into it. Reading finds an end there, writing fails as before.
void occupy_standard_streams() {
  int descriptor = 0;
  do {
    descriptor = ::open("/dev/null", O_RDONLY);
  } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
  if (descriptor > STDERR_FILENO) ::close(descriptor);
}

/// Threads that wait for each other by spinning starve other processes on the same cores, and
/// threads that sleep at once lose time whenever they are woken. OpenMP reads how long to spin when
/// the program is loaded: commands that compute start once more with some microseconds of it,
/// unless the user chose.
void spin_briefly(int count, char** words) {
  constexpr std::string_view computing[] = {"finetune", "rerun", "evaluate",
                                            "generate", "bench", "check"};
  const std::string_view command = count > 1 ? words[1] : "";
  if (std::ranges::find(computing, command) == std::end(computing)) return;
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("GOMP_SPINCOUNT", "2000", 1);
  ::execv("/proc/self/exe", words);  // returns only if it failed; then threads spin for long
}

}  // namespace

int main(int count, char** words) {
  occupy_standard_streams();
  spin_briefly(count, words);
  rankfold::report_lost_pages();
  // A file above the limit of sizes is an error like a full disk, not an end without a word.
  ::signal(SIGXFSZ, SIG_IGN);
  return rankfold::run_command(std::vector<std::string>(words + (count > 0 ? 1 : 0), words + count),
                               std::cout, std::cerr);
}
