#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace rankfold {

/// One process to run.
struct Job {
  std::vector<std::string> command;  ///< program and its words
  std::filesystem::path log;         ///< takes standard output and error; overwritten
};

/// How a process ended.
struct JobEnd {
  std::size_t job = 0;   ///< index into the jobs
  int exit_status = 0;   ///< of a process that ended by itself
  int signal = 0;        ///< that ended it, else 0
  bool stopped = false;  ///< after this process was told to stop
};

struct JobOptions {
  std::size_t at_a_time = 1;
  /// Environment variables that the processes get besides this one's.
  std::vector<std::pair<std::string, std::string>> environment;
  std::function<void(std::size_t job)> started;
  std::function<void(const JobEnd&)> ended;
};

/// Runs the jobs in order, `at_a_time` of them at once, each in a process group of its own without
/// standard input. On SIGINT, SIGTERM or SIGHUP no further one is started, the running ones get
/// SIGTERM (SIGKILL after ten seconds or a second signal), and false is returned once all have
/// ended. Should this process die, they get SIGTERM. Throws Error when a process cannot be started.
bool run_jobs(const std::vector<Job>& jobs, const JobOptions& options);

}  // namespace rankfold
