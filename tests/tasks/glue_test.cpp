#include <cstdlib>

#include <gmock/gmock.h>

#include "experiments/tasks/task.h"
#include "folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* cola =
    "gj04\t1\t\tThe dog slept.\n"
    "gj04\t0\t*\tThe dog \"sleeping.\n"
    "gj04\t0\t??\tDog the caf\xC3\xA9.\n";
constexpr const char* sst2 = "sentence\tlabel\na fine film \t1\nno wit , no plot \t0\n";
constexpr const char* stsb =
    "index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n"
    "0\tmain-captions\tMSRvid\t2012test\t0001\tnone\tnone\tA cat sits.\tA cat is "
    "\"sitting.\t5.000\n"
    "1\tmain-news\tMSRpar\t2013\t0002\tnone\tnone\tRain fell.\tIt is dry.\t0.25\n";

Dataset load(const Folder& folder, const char* task, std::size_t max_train = 0) {
  return load_dataset(find_task(task), folder.path(), max_train);
}

TEST(Glue, ReadsColaWithoutHeader) {
  const Folder folder;
  folder.write("train.tsv", cola);
  folder.write("dev.tsv", "gj04\t1\t\tIt rained.");
  const Dataset dataset = load(folder, "cola");
  ASSERT_EQ(dataset.train.size(), 3);
  EXPECT_EQ(dataset.train[0].text, "The dog slept.");
  EXPECT_EQ(dataset.train[0].label, 1.0F);
  EXPECT_EQ(dataset.train[1].text, "The dog \"sleeping.");
  EXPECT_EQ(dataset.train[1].label, 0.0F);
  EXPECT_EQ(dataset.train[2].text, "Dog the caf\xC3\xA9.");
  EXPECT_TRUE(dataset.train[0].pair.empty());
  ASSERT_EQ(dataset.dev.size(), 1);
  EXPECT_EQ(dataset.dev[0].text, "It rained.");
  EXPECT_TRUE(dataset.held_out.empty());
  EXPECT_EQ(dataset.duplicates_removed, 0);
}

TEST(Glue, ReadsSst2AndKeepsTheTextByteForByte) {
  const Folder folder;
  folder.write("train.tsv", sst2);
  folder.write("dev.tsv", sst2);
  const Dataset dataset = load(folder, "sst2");
  ASSERT_EQ(dataset.train.size(), 2);
  EXPECT_EQ(dataset.train[0].text, "a fine film ");
  EXPECT_EQ(dataset.train[1].label, 0.0F);
}

TEST(Glue, ReadsStsbPairsByHeaderName) {
  const Folder folder;
  folder.write("train.tsv", stsb);
  folder.write("dev.tsv", "score\tsentence2\tsentence1\n1.5\tsecond\tfirst\n");
  const Dataset dataset = load(folder, "stsb");
  ASSERT_EQ(dataset.train.size(), 2);
  EXPECT_EQ(dataset.train[0].text, "A cat sits.");
  EXPECT_EQ(dataset.train[0].pair, "A cat is \"sitting.");
  EXPECT_EQ(dataset.train[0].label, 5.0F);
  EXPECT_EQ(dataset.train[1].label, 0.25F);
  EXPECT_EQ(dataset.dev[0].text, "first");
  EXPECT_EQ(dataset.dev[0].pair, "second");
}

TEST(Glue, ToleratesCarriageReturnsAndAByteOrderMark) {
  const Folder folder;
  folder.write("train.tsv", "\xEF\xBB\xBFsentence\tlabel\r\ngood\t1\r\nbad\t0\r\n");
  folder.write("dev.tsv", "sentence\tlabel\r\ngood\t1");
  const Dataset dataset = load(folder, "sst2");
  EXPECT_EQ(dataset.train[0].text, "good");
  EXPECT_EQ(dataset.train[1].label, 0.0F);
}

TEST(Glue, MaxTrainKeepsTheFirstRowsOfTrainOnly) {
  const Folder folder;
  folder.write("train.tsv", cola);
  folder.write("dev.tsv", cola);
  const Dataset dataset = load(folder, "cola", 2);
  ASSERT_EQ(dataset.train.size(), 2);
  EXPECT_EQ(dataset.train[1].text, "The dog \"sleeping.");
  EXPECT_EQ(dataset.dev.size(), 3);
  EXPECT_EQ(load(folder, "cola", 100).train.size(), 3);
}

TEST(Glue, FindsTheTasksFolderInAnyCase) {
  const auto& task = find_task("sst2");
  for (const char* name : {"SST-2", "sst-2", "sst2", "Sst2"}) {
    const Folder folder;
    folder.write(fs::path(name) / "train.tsv", sst2);
    folder.write(fs::path(name) / "dev.tsv", sst2);
    folder.write(fs::path("CoLA") / "train.tsv", cola);
    EXPECT_EQ(load_dataset(task, folder.path()).train.size(), 2) << name;
  }
}

TEST(Glue, PrefersTheExactNameOfGlue) {
  const Folder folder;
  for (const char* name : {"STS-B", "sts-b", "stsb"}) {
    folder.write(fs::path(name) / "train.tsv", stsb);
    folder.write(fs::path(name) / "dev.tsv", stsb);
  }
  folder.write(fs::path("STS-B") / "train.tsv", "sentence1\tsentence2\tscore\nexact\tname\t3\n");
  EXPECT_EQ(load(folder, "stsb").train[0].text, "exact");
}

TEST(Glue, NamesWhatIsMissing) {
  const Folder folder;
  const std::string root = folder.path().string();
  EXPECT_THAT(message_of([&] { load(folder, "cola"); }),
              AllOf(StartsWith(root), HasSubstr("train.tsv"), HasSubstr("CoLA")));
  EXPECT_THAT(message_of([&] { load_dataset(find_task("cola"), folder.path() / "none"); }),
              StartsWith(root + "/none: found no such folder"));
  folder.write("train.tsv", cola);
  EXPECT_THAT(message_of([&] { load(folder, "cola"); }), StartsWith(root + "/dev.tsv: no such"));
}

TEST(Glue, NamesFileAndLineOfBrokenRows) {
  struct Case {
    const char* task;
    const char* train;
    const char* line;
    const char* expected;
  };
  const Case cases[] = {
      {"cola", "gj04\t1\t\tFine.\ngj04\t1\tShort.\n", ":2:", "expected 4"},
      {"cola", "gj04\t2\t\tFine.\n", ":1: found label '2'", "expected 0 or 1"},
      {"cola", "gj04\t\t\tFine.\n", ":1: found label ''", "expected 0 or 1"},
      {"cola", "gj04\t1\t\t \n", ":1: found no text in column 4", "expected a sentence"},
      {"cola", "gj04\t1\t\tFine.\n\n", ":2: found 1 TAB", "expected 4"},
      {"cola", "gj04\t1\t\tcaf\xE9\n", ":1: found byte 0xE9 at position 12", "valid UTF-8"},
      {"cola", sst2, ":1: found 2 TAB", "expected 4"},
      {"sst2", "sentence\tlabel\nfine\t1.0\n", ":2: found label '1.0'", "expected 0 or 1"},
      {"sst2", "sentence\tlabel\nfine\n", ":2: found 1 TAB", "expected 2"},
      {"sst2", "sentence\tlabel\n", ": found a header and no rows", "expected rows"},
      {"sst2", "index\tsentence\n0\tfine\n", ":1: found columns 'index, sentence'", "'label'"},
      {"sst2", "", ": found an empty file", "expected rows"},
      {"stsb", "sentence1\tsentence2\tscore\na\tb\t5.5\n", ":2: found score '5.5'", "0 to 5"},
      {"stsb", "sentence1\tsentence2\tscore\na\tb\tfive\n", ":2: found score 'five'", "0 to 5"},
      {"stsb", "sentence1\tsentence2\tscore\na\t\t5\n", ":2: found no text in column 2",
       "sentence"},
      {"stsb", "sentence1\tsentence2\na\tb\n", ":1: found columns", "'score'"},
  };
  for (const Case& broken : cases) {
    const Folder folder;
    const auto file = folder.write("train.tsv", broken.train);
    EXPECT_THAT(message_of([&] { load(folder, broken.task); }),
                AllOf(StartsWith(file.string() + broken.line), HasSubstr(broken.expected)))
        << broken.task << ": " << broken.train;
  }
}

TEST(Glue, RowsOfTheRealDataAreComplete) {
  const char* root = std::getenv("RANKFOLD_GLUE");
  if (root == nullptr) GTEST_SKIP() << "set RANKFOLD_GLUE to a folder with CoLA, SST-2 and STS-B";
  struct Rows {
    const char* task;
    std::size_t train, dev;
  };
  for (const auto& [task, train, dev] :
       {Rows{"cola", 8551, 1043}, Rows{"sst2", 67349, 872}, Rows{"stsb", 5749, 1500}}) {
    const Dataset dataset = load_dataset(find_task(task), root);
    EXPECT_EQ(dataset.train.size(), train) << task;
    EXPECT_EQ(dataset.dev.size(), dev) << task;
  }
}

}  // namespace
}  // namespace rankfold
