#pragma once

namespace rankfold {

/// While it lives, SIGINT and SIGTERM are remembered instead of ending the process; a second one
/// ends it at once, and so does a wait of eight seconds for nobody who asks (a library that does
/// not come back). The previous handlers come back afterwards. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool requested();
};

}  // namespace rankfold
