#pragma once

namespace rankfold {

/// While it lives, SIGINT and SIGTERM are remembered instead of ending the process; a second one
/// ends it at once. The previous handlers come back afterwards. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  static bool requested();
};

}  // namespace rankfold
