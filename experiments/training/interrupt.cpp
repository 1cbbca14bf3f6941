#include "experiments/training/interrupt.h"

#include <csignal>

namespace rankfold {
namespace {

// A signal handler can reach nothing but a global flag.
volatile std::sig_atomic_t flag = 0;
struct sigaction previous_interrupt, previous_terminate;

}  // namespace

InterruptGuard::InterruptGuard() {
  flag = 0;
  struct sigaction action {};
  action.sa_handler = [](int) { flag = 1; };
  sigemptyset(&action.sa_mask);
  // The second signal meets the default handler again.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, &previous_interrupt);
  sigaction(SIGTERM, &action, &previous_terminate);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &previous_interrupt, nullptr);
  sigaction(SIGTERM, &previous_terminate, nullptr);
}

bool InterruptGuard::requested() {
  return flag != 0;
}

}  // namespace rankfold
