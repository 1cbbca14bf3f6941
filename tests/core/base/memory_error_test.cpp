#include "core/base/memory_error.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <new>

#include "core/device/device.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

TEST(MemoryError, SaysForWhatFileOrStepHowMuchWasAskedFor) {
  constexpr std::size_t much = SIZE_MAX - 7;
  const auto device = make_cpu_device();
  EXPECT_EQ(message_of<MemoryError>([&] { device->allocate(much); }),
            "the memory does not suffice: 18446744073709551608 bytes were asked for");
  EXPECT_EQ(message_of<Error>(
                [&] { with_memory_for("step 3", 0, [&] { return device->allocate(much); }); }),
            "step 3: the memory does not suffice: 18446744073709551608 bytes were asked for");
  const auto take = []() -> int { throw std::bad_alloc(); };
  EXPECT_EQ(message_of<Error>([&] { with_memory_for("m/model.safetensors", 0, take); }),
            "m/model.safetensors: the memory does not suffice");
  EXPECT_EQ(message_of<Error>([&] { with_memory_for("m: tensor w", 12, take); }),
            "m: tensor w: the memory does not suffice: 12 bytes were asked for");
}

TEST(MemoryError, IsNamedByTheInnermostOfThoseWhoSayForWhat) {
  const auto fail = []() -> int { throw std::bad_alloc(); };
  EXPECT_EQ(message_of<Error>([&] {
              with_memory_for("the model", 0, [&] { return with_memory_for("tensor w", 8, fail); });
            }),
            "tensor w: the memory does not suffice: 8 bytes were asked for");
  EXPECT_EQ(with_memory_for("nothing", 0, [] { return 5; }), 5);
}

}  // namespace
}  // namespace rankfold
