#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/commands/command.h"

namespace {

/// Threads that wait for each other by spinning starve other processes on the same cores, and
/// threads that sleep at once lose time whenever they are woken. OpenMP reads how long to spin when
/// the program is loaded: commands that compute start once more with some microseconds of it,
/// unless the user chose.
void spin_briefly(int count, char** words) {
  const std::string_view command = count > 1 ? words[1] : "";
  if (command != "finetune" && command != "evaluate" && command != "bench" && command != "check")
    return;
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("GOMP_SPINCOUNT", "2000", 1);
  ::execv("/proc/self/exe", words);  // returns only if it failed; then threads spin for long
}

}  // namespace

int main(int count, char** words) {
  spin_briefly(count, words);
  return rankfold::run_command(std::vector<std::string>(words + (count > 0 ? 1 : 0), words + count),
                               std::cout, std::cerr);
}
