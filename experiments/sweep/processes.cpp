#include "experiments/sweep/processes.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>

#include "core/error.h"
#include "core/text.h"

namespace rankfold {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds patience{10};

/// While it lives, the signals of a sweep wait to be asked for.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&signals_);
    for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) sigaddset(&signals_, number);
    pthread_sigmask(SIG_BLOCK, &signals_, &previous_);
  }
  ~BlockedSignals() {
    // Those of children that have been waited for already must not wait for the next sweep.
    const timespec now{0, 0};
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    while (sigtimedwait(&children, nullptr, &now) == SIGCHLD) {
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

 private:
  sigset_t signals_{}, previous_{};
};

class Runner {
 public:
  Runner(const std::vector<Job>& jobs, const JobOptions& options) : jobs_(jobs), options_(options) {
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
    std::size_t next = 0;
    while (next < jobs_.size() || !running_.empty()) {
      while (!stopped_ && next < jobs_.size() && running_.size() < options_.at_a_time)
        start(next++);
      if (stopped_ && running_.empty()) return false;
      const int number = signals_.wait();
      if (number == SIGINT || number == SIGTERM || number == SIGHUP) stop();
      if (stopped_ && Clock::now() - stop_time_ > patience) signal_all(SIGKILL);
      collect();
    }
    return !stopped_;
  }

 private:
  void start(std::size_t index) {
    const Job& job = jobs_[index];
    std::vector<char*> words, environment;
    for (const std::string& word : job.command) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    for (const std::string& variable : variables_)
      environment.push_back(const_cast<char*>(variable.c_str()));
    environment.push_back(nullptr);
    const int log = ::open(job.log.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (log < 0) throw Error("{}: cannot be written: {}", job.log.string(), std::strerror(errno));
    const pid_t parent = ::getpid();
    const pid_t process = ::fork();
    if (process == 0) become(words, environment, log, parent);
    const int failure = errno;
    ::close(log);
    if (process < 0)
      throw Error("{}: cannot be started: {}", job.command.front(), std::strerror(failure));
    // Both sides set the group, so that it exists whoever comes first.
    ::setpgid(process, process);
    running_.emplace(process, index);
    if (options_.started) options_.started(index);
  }

  /// In the child: only what is allowed between fork and exec.
  [[noreturn]] void become(const std::vector<char*>& words, const std::vector<char*>& environment,
                           int log, pid_t parent) const {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(127);
    const int nothing = ::open("/dev/null", O_RDONLY);
    if (nothing >= 0) ::dup2(nothing, STDIN_FILENO);
    ::dup2(log, STDOUT_FILENO);
    ::dup2(log, STDERR_FILENO);
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
      JobEnd end{child->second, 0, 0, stopped_};
      if (WIFSIGNALED(status))
        end.signal = WTERMSIG(status);
      else
        end.exit_status = WEXITSTATUS(status);
      child = running_.erase(child);
      if (options_.ended) options_.ended(end);
    }
  }

  const std::vector<Job>& jobs_;
  const JobOptions& options_;
  const BlockedSignals signals_;
  std::vector<std::string> variables_;
  std::map<pid_t, std::size_t> running_;
  bool stopped_ = false;
  Clock::time_point stop_time_;
};

}  // namespace

bool run_jobs(const std::vector<Job>& jobs, const JobOptions& options) {
  return Runner(jobs, options).run();
}

}  // namespace rankfold
