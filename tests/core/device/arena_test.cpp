#include "core/device/arena.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>

namespace rankfold {
namespace {

TEST(Arena, GivesAlignedMemoryThatStaysWhereItIsWhileItGrows) {
  Arena arena(make_cpu_device());
  float* first = arena.take(3);
  std::fill_n(first, 3, 1.0f);
  for (std::size_t i = 1; i < 50; ++i) {
    float* more = arena.take(i * 100);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(more) % 64, 0u);
    std::fill_n(more, i * 100, 2.0f);
  }
  EXPECT_EQ(first[0] + first[1] + first[2], 3.0f);
}

TEST(Arena, GivesTheSameMemoryAgainAfterARelease) {
  Arena arena(make_cpu_device());
  arena.take(10);
  float* second = nullptr;
  {
    const ArenaScope scope(arena);
    second = arena.take(100);
    arena.take(100000);
  }
  EXPECT_EQ(arena.take(100), second);
}

TEST(Arena, IsOneBlockWithRoomForTheLargestUseAfterAReset) {
  Arena arena(make_cpu_device());
  for (const std::size_t uses : {40, 7, 40, 25}) {
    arena.reset();
    for (std::size_t i = 0; i < uses; ++i) arena.take(1000);
  }
  arena.reset();
  const std::size_t capacity = arena.capacity();
  const float* begin = arena.take(1000);
  for (std::size_t i = 1; i < 40; ++i) EXPECT_EQ(arena.take(1000), begin + i * 1008);
  EXPECT_EQ(arena.capacity(), capacity);
}

TEST(Arena, HoldsLittleMoreThanItsLargestUse) {
  Arena arena(make_cpu_device());
  for (int step = 0; step < 5; ++step) {
    arena.reset();
    for (int i = 0; i < 100; ++i) {
      const ArenaScope scope(arena);
      arena.take(16000);
    }
    arena.take(16000);
    arena.take(16000);
  }
  EXPECT_LE(arena.capacity(), 40000u);
}

}  // namespace
}  // namespace rankfold
