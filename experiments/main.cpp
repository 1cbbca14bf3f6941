#include <unistd.h>

#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/commands/command.h"

namespace {

/// Threads that spin while they wait starve each other where processes share cores, and OpenMP
/// reads how to wait when the program is loaded: commands that compute start once more with
/// sleeping waits, unless the user chose.
void wait_without_spinning(int count, char** words) {
  const std::string_view command = count > 1 ? words[1] : "";
  if (command != "finetune" && command != "evaluate" && command != "bench") return;
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::execv("/proc/self/exe", words);  // returns only if it failed; then threads spin
}

}  // namespace

int main(int count, char** words) {
  wait_without_spinning(count, words);
  return rankfold::run_command(std::vector<std::string>(words + (count > 0 ? 1 : 0), words + count),
                               std::cout, std::cerr);
}
