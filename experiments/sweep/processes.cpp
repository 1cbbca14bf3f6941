#include "experiments/sweep/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <map>

#include <fmt/core.h>

#include "core/base/system_error.h"
#include "core/base/text.h"

namespace rankfold {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{10};

/// While it lives, the signals of a sweep wait to be asked for; SIGPIPE is never asked for.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals_, number);
    sigset_t all = signals_;
    sigaddset(&all, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &all, &previous_);
  }
  ~BlockedSignals() {
    // Those of children that have been waited for already must not wait for the next sweep.
    const timespec now{0, 0};
    sigset_t leftover;
    sigemptyset(&leftover);
    for (const int number : {SIGCHLD, SIGPIPE}) sigaddset(&leftover, number);
    while (sigtimedwait(&leftover, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  const sigset_t& previous() const { return previous_; }
  /// The next signal, or 0 after half a second.
  int wait() const {
    const timespec half_second{0, 500'000'000};
    const int number = sigtimedwait(&signals_, nullptr, &half_second);
    return number < 0 ? 0 : number;
  }
  bool stop_is_pending() const {
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, SIGINT) == 1 || sigismember(&pending, SIGTERM) == 1 ||
           sigismember(&pending, SIGHUP) == 1;
  }

 private:
  sigset_t signals_{}, previous_{};
};

constexpr int descriptor_of_job = 3;
// Enough for the last lines of a process whose disk is full.
constexpr off_t log_reserve = 1 << 16;

/// The log, empty; -1 and the reason where it cannot be. It is a file: a pipe would keep the
/// process waiting for a reader.
int open_log(const std::filesystem::path& path, std::string& obstacle) {
  const std::string name = printable(path.string());
  const int log = ::open(path.c_str(), O_WRONLY | O_CREAT | O_NONBLOCK | O_CLOEXEC, 0666);
  struct stat status {};
  if (log < 0 || ::fstat(log, &status) != 0) {
    obstacle = fmt::format("{}: cannot be written: {}", name, system_reason(errno));
  } else if (!S_ISREG(status.st_mode)) {
    obstacle = name + ": is no regular file";
  } else if (::ftruncate(log, 0) != 0 ||
             (::fallocate(log, FALLOC_FL_KEEP_SIZE, 0, log_reserve) != 0 &&
              (errno == ENOSPC || errno == EDQUOT))) {
    obstacle = fmt::format("{}: cannot be written: {}", name, system_reason(errno));
  } else {
    return log;
  }
  if (log >= 0) ::close(log);
  return -1;
}

/// Gives back what the log did not use.
void trim_log(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode))
    static_cast<void>(::truncate(path.c_str(), status.st_size) == 0);
}

class Runner {
 public:
  Runner(std::size_t count, const JobOptions& options) : options_(options) {
    for (std::size_t job = 0; job < count; ++job) waiting_.push_back(job);
    for (char** entry = environ; *entry != nullptr; ++entry) variables_.emplace_back(*entry);
    for (const auto& [name, value] : options.environment) variables_.push_back(name + "=" + value);
  }
  ~Runner() {
    for (const auto& [process, job] : running_) ::kill(-process, SIGKILL);
    for (const auto& [process, job] : running_) ::waitpid(process, nullptr, 0);
  }
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  bool run() {
    while (!waiting_.empty() || !running_.empty()) {
      start_some();
      if (running_.empty() && (stopped_ || waiting_.empty())) break;
      const int number = signals_.wait();
      if (number == SIGINT || number == SIGTERM || number == SIGHUP) stop();
      if (stopped_ && Clock::now() - stop_time_ > patience) signal_all(SIGKILL);
      collect();
    }
    return !stopped_;
  }

 private:
  struct Running {
    std::size_t job;
    std::filesystem::path log;
  };

  /// Asks every waiting job once at most.
  void start_some() {
    for (std::size_t asked = waiting_.size();
         asked > 0 && !stopped_ && running_.size() < options_.at_a_time; --asked) {
      const std::size_t index = waiting_.front();
      waiting_.pop_front();
      Job job;
      const Turn turn = options_.prepare(index, job);
      if (turn == Turn::run) start(index, job);
      if (turn == Turn::wait) waiting_.push_back(index);
      // Jobs may take long to prepare, and many may have nothing to run.
      if (signals_.stop_is_pending()) return;
    }
  }

  void start(std::size_t index, const Job& job) {
    std::vector<char*> words, environment;
    for (const std::string& word : job.command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    for (const std::string& variable : variables_)
      environment.push_back(const_cast<char*>(variable.c_str()));
    environment.push_back(nullptr);
    JobEnd end{.job = index};
    const int log = open_log(job.log, end.obstacle);
    if (log >= 0) {
      const pid_t parent = ::getpid();
      const pid_t process = ::fork();
      if (process == 0) become(words, environment, log, job.descriptor, parent);
      if (process < 0)
        end.obstacle =
            fmt::format("{}: cannot be started: {}", job.command.front(), system_reason(errno));
      ::close(log);
      if (process > 0) {
        // Both sides set the group, so that it exists whoever comes first.
        ::setpgid(process, process);
        running_.emplace(process, Running{index, job.log});
      }
    }
    if (options_.started) options_.started(index);
    if (!end.obstacle.empty() && options_.ended) options_.ended(end);
  }

  /// In the child: only what is allowed between fork and exec.
  [[noreturn]] void become(const std::vector<char*>& words, const std::vector<char*>& environment,
                           int log, int descriptor, pid_t parent) const {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
    if (descriptor == descriptor_of_job)
      ::fcntl(descriptor, F_SETFD, 0);
    else if (descriptor >= 0)
      ::dup2(descriptor, descriptor_of_job);
    ::sigprocmask(SIG_SETMASK, &signals_.previous(), nullptr);
    ::execve(words.front(), words.data(), environment.data());
    constexpr char message[] = "rankfold: the program cannot be run\n";
    static_cast<void>(::write(STDERR_FILENO, message, sizeof message - 1) > 0);
    ::_exit(127);
  }

  void stop() {
    signal_all(stopped_ ? SIGKILL : SIGTERM);
    if (!stopped_) stop_time_ = Clock::now();
    stopped_ = true;
  }

  void signal_all(int number) const {
    for (const auto& [process, job] : running_) ::kill(-process, number);
  }

  void collect() {
    for (auto child = running_.begin(); child != running_.end();) {
      int status = 0;
      if (::waitpid(child->first, &status, WNOHANG) != child->first) {
        ++child;
        continue;
      }
      JobEnd end{.job = child->second.job, .stopped = stopped_};
      if (WIFSIGNALED(status))
        end.signal = WTERMSIG(status);
      else
        end.exit_status = WEXITSTATUS(status);
      trim_log(child->second.log);
      child = running_.erase(child);
      if (options_.ended) options_.ended(end);
    }
  }

  const JobOptions& options_;
  const BlockedSignals signals_;
  std::vector<std::string> variables_;
  std::deque<std::size_t> waiting_;
  std::map<pid_t, Running> running_;
  bool stopped_ = false;
  Clock::time_point stop_time_;
};

}  // namespace

bool run_jobs(std::size_t count, const JobOptions& options) {
  return Runner(count, options).run();
}

}  // namespace rankfold
