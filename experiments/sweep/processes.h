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
  int descriptor = -1;  ///< open in the process, as number 3, for as long as it runs; -1: none
};

/// What becomes of a job whose turn it is.
enum class Turn {
  run,   ///< as it was filled in
  wait,  ///< not now: others go first, and it is asked again later
  skip   ///< there is nothing to run
};

/// How a process ended.
struct JobEnd {
  std::size_t job = 0;        ///< its number
  int exit_status = 0;        ///< of a process that ended by itself
  int signal = 0;             ///< that ended it, else 0
  bool stopped = false;       ///< after this process was told to stop
  std::string obstacle = {};  ///< why it could not be started, else ""
};

struct JobOptions {
  std::size_t at_a_time = 1;
  /// Environment variables that the processes get besides this one's.
  std::vector<std::pair<std::string, std::string>> environment;
  /// Fills in the job, or says why not. What it opened is let go of in `started`.
  std::function<Turn(std::size_t job, Job&)> prepare;
  std::function<void(std::size_t job)> started;  ///< or could not be
  std::function<void(const JobEnd&)> ended;
};

/// Runs the jobs 0 to `count` - 1 in order but for those that must wait, `at_a_time` of them at
/// once, each in a process group of its own without standard input. On SIGINT, SIGTERM or SIGHUP no
/// further one is started, the running ones get SIGTERM (SIGKILL after ten seconds or a second
/// signal), and false is returned once all have ended. Should this process die, they get SIGTERM. A
/// log has room for a last message even where the disk fills up. Meanwhile a reader that closes
/// this process's standard output or error (SIGPIPE) does not end it.
bool run_jobs(std::size_t count, const JobOptions& options);

}  // namespace rankfold
