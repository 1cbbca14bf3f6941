#include "core/base/address_space.h"

#include <sys/resource.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace rankfold {
namespace {

TEST(AddressSpace, IsThereWithoutALimit) {
  EXPECT_TRUE(has_address_space(std::size_t{1} << 30));
}

#ifndef __SANITIZE_ADDRESS__  // which needs terabytes of it
TEST(AddressSpace, EndsWhereTheLimitIs) {
  EXPECT_EXIT(
      {
        rlimit limit = {};
        limit.rlim_cur = limit.rlim_max = std::size_t{8} << 30;
        ::setrlimit(RLIMIT_AS, &limit);
        ::_exit(has_address_space(std::size_t{1} << 20) && !has_address_space(std::size_t{9} << 30)
                    ? 0
                    : 1);
      },
      testing::ExitedWithCode(0), "");
}
#endif

}  // namespace
}  // namespace rankfold
