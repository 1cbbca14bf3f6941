#include "experiments/training/interrupt.h"

#include <gtest/gtest.h>

#include <csignal>

namespace rankfold {
namespace {

TEST(InterruptGuard, RemembersASignalInsteadOfEndingTheProcess) {
  for (int signal : {SIGINT, SIGTERM}) {
    const InterruptGuard guard;
    EXPECT_FALSE(InterruptGuard::requested());
    std::raise(signal);
    EXPECT_TRUE(InterruptGuard::requested());
  }
}

TEST(InterruptGuard, LetsASecondSignalEndTheProcess) {
  EXPECT_EXIT(
      {
        const InterruptGuard guard;
        std::raise(SIGINT);
        std::raise(SIGINT);
      },
      testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace rankfold
