#include "core/base/folder_lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <optional>

#include <gtest/gtest.h>

#include "temporary_folder.h"

namespace rankfold {
namespace {

bool is_free(const std::filesystem::path& folder) {
  return message_of<FolderInUse>([&] { const FolderLock lock(folder); }).empty();
}

TEST(FolderLock, RefusesASecondOwnerByNameAndLeavesNoFile) {
  const TemporaryFolder folder;
  std::optional<FolderLock> lock(folder.path);
  const std::string message = message_of<FolderInUse>([&] { const FolderLock other(folder.path); });
  EXPECT_NE(message.find(folder.path.string()), std::string::npos) << message;
  EXPECT_EQ(folder.count(), 0U);
  std::filesystem::create_directory(folder.path / "below");
  EXPECT_TRUE(is_free(folder.path / "below"));
  lock.reset();
  EXPECT_TRUE(is_free(folder.path));
}

TEST(FolderLock, EndsWithAKilledOwner) {
  const TemporaryFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const FolderLock lock(folder.path);
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    while (true) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_FALSE(is_free(folder.path));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(is_free(folder.path));
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(FolderLock, IsTheChildsOwnWhereItInheritsTheDescriptor) {
  const TemporaryFolder folder;
  std::optional<FolderLock> lock(folder.path);
  const pid_t child = ::fork();
  if (child == 0) {
    // As behind exec: a copy without FD_CLOEXEC.
    constexpr int handed_on = 3;
    if (lock->descriptor() == handed_on) ::fcntl(handed_on, F_SETFD, 0);
    if (lock->descriptor() != handed_on) ::dup2(lock->descriptor(), handed_on);
    ::_exit(is_free(folder.path) ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_FALSE(is_free(folder.path)) << "the parent has it still";
}

TEST(FolderLock, NamesAFolderThatCannotBeOpened) {
  const std::string message = message_of<Error>([] { const FolderLock lock("/nowhere/at/all"); });
  EXPECT_NE(message.find("/nowhere/at/all: cannot be opened"), std::string::npos) << message;
}

}  // namespace
}  // namespace rankfold
