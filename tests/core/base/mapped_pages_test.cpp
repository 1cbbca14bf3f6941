#include "core/base/mapped_pages.h"

#include <unistd.h>

#include <csignal>
#include <filesystem>

#include <gtest/gtest.h>

#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

TEST(MappedPages, NameTheFileThatBecameShorterWhileItWasMapped) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder.path / "weights";
  write_atomically(file, std::string(100'000, 'x'));
  EXPECT_EXIT(
      {
        report_lost_pages();
        MappedFile first(file);
        const MappedFile mapped(std::move(first));
        std::filesystem::resize_file(file, 10);
        volatile const std::byte* bytes = mapped.bytes().data();
        const std::byte lost = bytes[90'000];
        ::_exit(lost == std::byte{0} ? 3 : 4);
      },
      testing::ExitedWithCode(1), "rankfold: .*/weights: became shorter");
}

TEST(MappedPages, LeaveOtherSignalsOfTheKindAsTheyAre) {
  EXPECT_EXIT(
      {
        report_lost_pages();
        std::raise(SIGBUS);
        std::raise(SIGBUS);
      },
      testing::KilledBySignal(SIGBUS), "");
}

}  // namespace
}  // namespace rankfold
