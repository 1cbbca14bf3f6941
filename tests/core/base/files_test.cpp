#include "core/base/files.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::HasSubstr;
namespace fs = std::filesystem;

std::string text_of(const MappedFile& file) {
  const auto bytes = file.bytes();
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Files, ReadsWhatWasWritten) {
  const TemporaryFolder folder;
  const std::string text("a\0b\n", 4);
  write_atomically(folder.path / "file", text);
  EXPECT_EQ(read_text(folder.path / "file"), text);
  EXPECT_EQ(text_of(MappedFile(folder.path / "file")), text);
}

TEST(Files, HandlesFilesLargerThanOneRead) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100000; ++i) text += std::to_string(i);
  write_atomically(folder.path / "file", text);
  EXPECT_EQ(read_text(folder.path / "file"), text);
}

TEST(Files, HandlesEmptyFiles) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "file", "");
  EXPECT_EQ(read_text(folder.path / "file"), "");
  EXPECT_EQ(MappedFile(folder.path / "file").bytes().size(), 0);
}

TEST(Files, ReadsFilesThatTellNoSize) {
  EXPECT_FALSE(read_text("/proc/self/status").empty());
}

TEST(Files, NamesAMissingFile) {
  EXPECT_EQ(message_of<Error>([] { read_text("/no/such/file"); }), "/no/such/file: no such file");
  EXPECT_EQ(message_of<Error>([] { MappedFile("/no/such/file"); }), "/no/such/file: no such file");
}

TEST(Files, RefusesAFolder) {
  const TemporaryFolder folder;
  const std::string expected = folder.path.string() + ": is a folder";
  EXPECT_THAT(message_of<Error>([&] { read_text(folder.path); }), HasSubstr(expected));
  EXPECT_THAT(message_of<Error>([&] { MappedFile file(folder.path); }), HasSubstr(expected));
  EXPECT_THAT(message_of<Error>([&] { write_atomically(folder.path, ""); }), HasSubstr(expected));
}

TEST(Files, RefusesAFileBeyondTheLimit) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "file", "12345");
  EXPECT_EQ(read_text(folder.path / "file", 5), "12345");
  EXPECT_THAT(message_of<Error>([&] { read_text(folder.path / "file", 4); }),
              HasSubstr("larger than the 4 bytes"));
  EXPECT_THAT(message_of<Error>([&] { read_text("/dev/zero", 100000); }),
              HasSubstr("/dev/zero: is larger"));
}

TEST(Files, MakesMissingFoldersAndReplacesOldContent) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a" / "b" / "file";
  write_atomically(file, "old and longer");
  write_atomically(file, "new");
  EXPECT_EQ(read_text(file), "new");
}

TEST(Files, AParentThatIsAFileIsNamed) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "file", "");
  EXPECT_THAT(message_of<Error>([&] { write_atomically(folder.path / "file" / "x", ""); }),
              HasSubstr("file/x: "));
}

TEST(Files, ReadersSeeTheOldContentUntilCommit) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "file";
  write_atomically(file, "old");
  AtomicFile output(file);
  output.write("new", 3);
  EXPECT_EQ(read_text(file), "old");
  output.commit();
  EXPECT_EQ(read_text(file), "new");
  EXPECT_EQ(folder.count(), 1);
}

TEST(Files, WithoutCommitNothingIsLeftBehind) {
  const TemporaryFolder folder;
  {
    AtomicFile output(folder.path / "file");
    output.write("part", 4);
    EXPECT_EQ(folder.count(), 1);
  }
  EXPECT_EQ(folder.count(), 0);
}

TEST(Files, TwoWritersOfOneFileDoNotMix) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "file";
  AtomicFile first(file), second(file);
  first.write("first", 5);
  second.write("second", 6);
  first.commit();
  EXPECT_EQ(read_text(file), "first");
  second.commit();
  EXPECT_EQ(read_text(file), "second");
}

TEST(Files, WritesThroughALinkAndKeepsPermissions) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "file", "old");
  fs::permissions(folder.path / "file", fs::perms::owner_read | fs::perms::owner_write);
  fs::create_symlink("file", folder.path / "link");
  write_atomically(folder.path / "link", "new");
  EXPECT_TRUE(fs::is_symlink(folder.path / "link"));
  EXPECT_EQ(read_text(folder.path / "file"), "new");
  EXPECT_EQ(fs::status(folder.path / "file").permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
}

TEST(Files, ADeviceIsWrittenNotReplaced) {
  write_atomically("/dev/null", "text");
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(Files, AFullDiskIsAnError) {
  if (!fs::is_character_file("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  EXPECT_THAT(message_of<Error>([] { write_atomically("/dev/full", "text"); }),
              HasSubstr("/dev/full: cannot be written: No space left on device"));
}

TEST(Files, AFileSizeLimitLeavesTheOldContentAndNoRest) {
  // A limit on file sizes makes write fail part of the way, as a full disk does.
  const TemporaryFolder folder;
  const fs::path file = folder.path / "file";
  write_atomically(file, "old");
  const auto write_much = [&file] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 16, 1 << 16};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string message =
        message_of<Error>([&] { write_atomically(file, std::string(1 << 20, 'x')); });
    ::_exit(message.find("File too large") != std::string::npos ? 0 : 1);
  };
  EXPECT_EXIT(write_much(), testing::ExitedWithCode(0), "");
  EXPECT_EQ(read_text(file), "old");
  EXPECT_EQ(folder.count(), 1);
}

TEST(Files, AMissingPermissionIsNamed) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may write everywhere: run as another user";
  const TemporaryFolder folder;
  fs::permissions(folder.path, fs::perms::owner_read | fs::perms::owner_exec);
  EXPECT_THAT(message_of<Error>([&] { write_atomically(folder.path / "file", "text"); }),
              HasSubstr("file: cannot be written: Permission denied"));
  fs::permissions(folder.path, fs::perms::owner_all);
}

TEST(Files, ANameWithALineEndStaysOneLine) {
  EXPECT_EQ(message_of<Error>([] { read_text("/no\nfile"); }), "/no\\nfile: no such file");
}

TEST(Files, AMappedFileMoves) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "a", "first");
  write_atomically(folder.path / "b", "second");
  MappedFile first(folder.path / "a"), second(folder.path / "b");
  first = std::move(second);
  EXPECT_EQ(text_of(first), "second");
  const MappedFile third = std::move(first);
  EXPECT_EQ(text_of(third), "second");
}

TEST(Files, APipeIsNotWaitedFor) {
  const TemporaryFolder folder;
  const fs::path pipe = folder.path / "run.json";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(message_of<Error>([&] { read_text(pipe); }),
            pipe.string() + ": is a pipe or device, expected a file");
  EXPECT_EQ(message_of<Error>([&] { MappedFile{pipe}; }),
            pipe.string() + ": is a pipe or device, expected a file");
  EXPECT_EQ(read_text("/dev/null"), "");
}

TEST(FindFiles, FollowsEveryLinkedFolderOnce) {
  const TemporaryFolder folder, other;
  write_atomically(folder.path / "b" / "run.json", "1");
  write_atomically(folder.path / "a" / "deep" / "run.json", "2");
  write_atomically(folder.path / "a" / "other.json", "3");
  write_atomically(other.path / "run.json", "4");
  fs::create_directory_symlink(other.path, folder.path / "linked");
  fs::create_directory_symlink(folder.path, folder.path / "a" / "loop");
  const FileSearch found = find_files(folder.path, "run.json");
  EXPECT_THAT(found.files, testing::ElementsAre(folder.path / "a" / "deep" / "run.json",
                                                folder.path / "b" / "run.json",
                                                folder.path / "linked" / "run.json"));
  EXPECT_THAT(found.passed_over, testing::IsEmpty());
}

TEST(FindFiles, NamesAFolderByItsOwnNameAndNeverClimbs) {
  const TemporaryFolder above;
  const fs::path root = above.path / "root";
  write_atomically(above.path / "outside" / "run.json", "1");
  write_atomically(root / "run_5" / "run.json", "2");
  fs::create_directory_symlink("run_5", root / "latest");
  fs::create_directory_symlink("run_5", root / "zlatest");
  fs::create_directory_symlink("..", root / "up");
  fs::create_directory_symlink("gone", root / "moved");
  fs::create_directory_symlink("round", root / "round");
  const FileSearch found = find_files(root, "run.json");
  EXPECT_THAT(found.files, testing::ElementsAre(root / "run_5" / "run.json"));
  EXPECT_THAT(found.passed_over,
              testing::ElementsAre(HasSubstr("moved: No such file"), HasSubstr("round: Too many"),
                                   HasSubstr("up: links to a folder that holds this one")));
}

TEST(FindFiles, PassesOverWhatIsNoFileAndSaysSo) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "a" / "run.json", "1");
  fs::create_directory(folder.path / "p");
  ASSERT_EQ(::mkfifo((folder.path / "p" / "run.json").c_str(), 0600), 0);
  fs::create_symlink("run.json", folder.path / "run.json");
  const FileSearch found = find_files(folder.path, "run.json");
  EXPECT_THAT(found.files, testing::ElementsAre(folder.path / "a" / "run.json"));
  ASSERT_EQ(found.passed_over.size(), 2U);
  EXPECT_THAT(found.passed_over[0], HasSubstr("p/run.json: is a pipe or device"));
  EXPECT_THAT(found.passed_over[1], HasSubstr("Too many levels of symbolic links"));
  EXPECT_THAT(message_of<Error>([&] { find_files(folder.path / "none", "run.json"); }),
              HasSubstr("cannot be searched: No such file"));
}

TEST(Outputs, ReplaceNeitherAnInputNorAFileOfAnotherFormat) {
  const TemporaryFolder folder;
  const fs::path file = folder.path / "a.csv";
  write_atomically(file, "method,rank\n");
  fs::create_hard_link(file, folder.path / "same.csv");
  const std::vector<fs::path> inputs = {folder.path / "other.csv", folder.path / "." / "a.csv"};
  EXPECT_THAT(message_of<Error>([&] { expect_not_an_input(file, inputs); }),
              HasSubstr("would replace"));
  EXPECT_THAT(message_of<Error>([&] { expect_not_an_input(folder.path / "same.csv", inputs); }),
              HasSubstr("would replace"));
  EXPECT_THAT(message_of<Error>([&] { expect_not_an_input(folder.path / "new.csv", inputs); }), "");
  const std::string_view parquet[] = {"PAR1"};
  EXPECT_THAT(message_of<Error>([&] { expect_replaceable(file, "Parquet file", parquet); }),
              HasSubstr("a.csv: exists and is no Parquet file"));
  EXPECT_EQ(
      message_of<Error>([&] { expect_replaceable(folder.path / "new", "Parquet file", parquet); }),
      "");
  write_atomically(file, "PAR1...");
  EXPECT_EQ(message_of<Error>([&] { expect_replaceable(file, "Parquet file", parquet); }), "");
}

TEST(Outputs, ReplaceNoFileOfAFolderThatIsRead) {
  const TemporaryFolder folder;
  const std::vector<fs::path> inputs = {folder.path / "results"};
  for (const char* name : {"run.json", "model.safetensors", "dev.tsv", "vocab.txt", "fits.csv",
                           "events.out.tfevents.1.host.1.0"}) {
    const fs::path file = folder.path / "results" / "deep" / name;
    EXPECT_EQ(message_of<Error>([&] { expect_not_an_input(file, inputs); }), "") << name;
    write_atomically(file, "x");
    EXPECT_THAT(message_of<Error>([&] { expect_not_an_input(file, inputs); }),
                HasSubstr("would replace"))
        << name;
  }
  // What was drawn from a folder may lie in it.
  write_atomically(folder.path / "results" / "rank.pdf", "%PDF");
  EXPECT_EQ(
      message_of<Error>([&] { expect_not_an_input(folder.path / "results/rank.pdf", inputs); }),
      "");
  write_atomically(folder.path / "results-2" / "run.json", "x");
  EXPECT_EQ(
      message_of<Error>([&] { expect_not_an_input(folder.path / "results-2/run.json", inputs); }),
      "");
}

TEST(Files, APipeThatNobodyReadsIsNotWaitedFor) {
  const TemporaryFolder folder;
  const fs::path pipe = folder.path / "run.json";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THAT(message_of<Error>([&] { write_atomically(pipe, "x"); }),
              HasSubstr("a pipe that nobody reads"));
}

}  // namespace
}  // namespace rankfold
