#include "experiments/training/interrupt.h"

#include <unistd.h>

#include <csignal>

namespace rankfold {
namespace {

// A signal handler can reach nothing but a global flag.
volatile std::sig_atomic_t flag = 0;
struct sigaction previous_interrupt, previous_terminate, previous_alarm;
constexpr unsigned patience = 8;  // seconds; a sweep kills after ten

void remember(int) {
  flag = 1;
  ::alarm(patience);
}

void give_up(int) {
  constexpr char message[] = "rankfold: stopped in the middle of what it was asked to leave\n";
  static_cast<void>(::write(STDERR_FILENO, message, sizeof message - 1) > 0);
  ::_exit(1);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  flag = 0;
  struct sigaction action {};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  // The second signal meets the default handler again.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, &previous_interrupt);
  sigaction(SIGTERM, &action, &previous_terminate);
  action.sa_handler = give_up;
  sigaction(SIGALRM, &action, &previous_alarm);
}

InterruptGuard::~InterruptGuard() {
  ::alarm(0);
  sigaction(SIGALRM, &previous_alarm, nullptr);
  sigaction(SIGINT, &previous_interrupt, nullptr);
  sigaction(SIGTERM, &previous_terminate, nullptr);
}

bool InterruptGuard::requested() {
  return flag != 0;
}

}  // namespace rankfold
