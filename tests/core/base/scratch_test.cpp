#include "core/base/scratch.h"

#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

TEST(ScratchFolder, IsNewEveryTimeAndGoesWithItsContent) {
  const TemporaryFolder folder;
  fs::path first;
  {
    const ScratchFolder one(folder.path), other(folder.path);
    EXPECT_NE(one.path(), other.path());
    EXPECT_TRUE(fs::is_empty(one.path()));
    EXPECT_EQ(one.path().parent_path(), folder.path);
    std::ofstream(one.path() / "file") << "x";
    first = one.path();
  }
  EXPECT_FALSE(fs::exists(first));
  EXPECT_EQ(folder.count(), 0U);
}

TEST(ScratchFolder, StaysWhereItWasKept) {
  const TemporaryFolder folder;
  {
    ScratchFolder scratch(folder.path);
    fs::rename(scratch.path(), folder.path / "kept");
    scratch.keep();
  }
  EXPECT_TRUE(fs::is_directory(folder.path / "kept"));
}

TEST(ScratchFolder, NamesAParentThatIsNotThere) {
  const TemporaryFolder folder;
  const std::string message =
      message_of<Error>([&] { const ScratchFolder scratch(folder.path / "missing"); });
  EXPECT_NE(message.find("missing"), std::string::npos) << message;
}

TEST(Leftovers, AreRemovedWhereNobodyHoldsThem) {
  const TemporaryFolder folder;
  const fs::path dead = folder.path / ".rankfold-tmp-0123456789abcdef",
                 dead_folder = folder.path / ".rankfold-tmp-1-0";
  std::ofstream(dead) << "half";
  fs::create_directories(dead_folder / "inside");
  std::ofstream(folder.path / "mine") << "x";
  const ScratchFolder alive(folder.path);
  AtomicFile written(folder.path / "file");
  remove_leftovers(folder.path);
  EXPECT_FALSE(fs::exists(dead));
  EXPECT_FALSE(fs::exists(dead_folder));
  EXPECT_TRUE(fs::exists(folder.path / "mine"));
  EXPECT_TRUE(fs::exists(alive.path()));
  written.write("whole", 5);
  written.commit();
  EXPECT_EQ(read_text(folder.path / "file"), "whole");
}

TEST(Leftovers, OfAKilledProcessAreRemoved) {
  const TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    const ScratchFolder scratch(folder.path);
    AtomicFile file(folder.path / "file");
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(folder.count(), 2U);
  remove_leftovers(folder.path);
  EXPECT_EQ(folder.count(), 0U);
}

TEST(Leftovers, OfAFolderThatIsMissingAreNone) {
  remove_leftovers("/nowhere/at/all");
}

}  // namespace
}  // namespace rankfold
