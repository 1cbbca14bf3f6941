#include <cstdlib>

#include "experiments/tasks/task.h"
#include "folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

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
  EXPECT_THAT(message_of([&] { load(folder, "cola"); }),
              StartsWith(root + ": found none of dev.tsv, "));
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
      {"cola", "gj04\t1\t\t \n", ":1: found no text in column 'sentence'", "a sentence"},
      {"cola", "gj04\t1\t\tFine.\n\n", ":2: found 1 TAB", "expected 4"},
      {"cola", "gj04\t1\t\tcaf\xE9\n", ":1: found byte 0xE9 at position 12", "valid UTF-8"},
      {"cola", sst2, ":1: found 2 TAB", "expected 4"},
      {"sst2", "sentence\tlabel\nfine\t1.0\n", ":2: found label '1.0'", "expected 0 or 1"},
      {"sst2", "sentence\tlabel\nfine\n", ":2: found 1 TAB", "expected 2"},
      {"sst2", "sentence\tlabel\n", ": found a header and no rows", "expected rows"},
      {"sst2", "index\tsentence\n0\tfine\n", ":1: found columns 'index, sentence'", "'label'"},
      {"sst2", "", ": found an empty file", "expected rows"},
      {"stsb", "sentence1\tsentence2\tscore\na\tb\t5.5\n", ":2: found '5.5' in column 'score'",
       "0 to 5"},
      {"stsb", "sentence1\tsentence2\tscore\na\tb\tfive\n", ":2: found 'five' in column 'score'",
       "0 to 5"},
      {"stsb", "sentence1\tsentence2\tscore\na\t\t5\n", ":2: found no text in column 'sentence2'",
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

/// One row of each class, in the files as GLUE ships them.
struct Shipped {
  const char* task;
  const char* file;
  const char* rows;
  std::vector<float> labels;
  const char *text, *pair;  ///< of the first row
};

TEST(Glue, ReadsEveryTaskAsGlueShipsIt) {
  const Shipped all[] = {
      {"mrpc",
       "MRPC/",
       "\xEF\xBB\xBFQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n"
       "1\t702876\t702977\tAmrozi said \"yes.\tHe agreed.\n0\t1\t2\tA\tB\n",
       {1, 0},
       "Amrozi said \"yes.",
       "He agreed."},
      {"qqp",
       "QQP/",
       "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n"
       "133273\t213221\t213222\tHow is life?\tIs life hard?\t0\n1\t2\t3\tA\tB\t1\n",
       {0, 1},
       "How is life?",
       "Is life hard?"},
      {"qnli",
       "QNLI/",
       "index\tquestion\tsentence\tlabel\n0\tWhen did it start?\tIt ended.\tnot_entailment\n"
       "1\tA\tB\tentailment\n",
       {1, 0},
       "When did it start?",
       "It ended."},
      {"rte",
       "RTE/",
       "index\tsentence1\tsentence2\tlabel\n0\tIt rained.\tIt was wet.\tentailment\n"
       "1\tA\tB\tnot_entailment\n",
       {0, 1},
       "It rained.",
       "It was wet."},
      {"wnli",
       "WNLI/",
       "index\tsentence1\tsentence2\tlabel\n0\tThe pin fell.\tThe pin did.\t1\n1\tA\tB\t0\n",
       {1, 0},
       "The pin fell.",
       "The pin did."},
  };
  for (const Shipped& task : all) {
    const Folder folder;
    folder.write(fs::path(task.file) / "train.tsv", task.rows);
    folder.write(fs::path(task.file) / "dev.tsv", task.rows);
    const Dataset dataset = load(folder, task.task);
    ASSERT_EQ(dataset.train.size(), 2) << task.task;
    for (std::size_t i = 0; i < 2; ++i)
      EXPECT_EQ(dataset.train[i].label, task.labels[i]) << task.task;
    EXPECT_EQ(dataset.dev[0].text, task.text);
    EXPECT_EQ(dataset.dev[0].pair, task.pair);
    EXPECT_EQ(dataset.shared, 2) << task.task;
    EXPECT_THAT(dataset.notes.back(), HasSubstr("2 of the 2 rows of dev stand in train"));
  }
}

constexpr const char* mnli_header =
    "index\tpromptID\tpairID\tgenre\tsentence1_binary_parse\tsentence2_binary_parse\t"
    "sentence1_parse\tsentence2_parse\tsentence1\tsentence2\t";

std::string mnli_row(const std::string& texts, const std::string& labels) {
  return "0\t1\t1c\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\t" + texts + '\t' + labels + '\n';
}

TEST(Glue, ScoresBothPartsOfMnli) {
  const Folder folder;
  folder.write("train.tsv", std::string(mnli_header) + "label1\tgold_label\n" +
                                mnli_row("A man sits.\tHe rests.", "neutral\tneutral") +
                                mnli_row("A\tB", "contradiction\tcontradiction"));
  const std::string header =
      std::string(mnli_header) + "label1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n";
  folder.write(
      "dev_matched.tsv",
      header + mnli_row("C\tD", "neutral\tneutral\tneutral\tentailment\tneutral\tneutral"));
  const Dataset alone = load(folder, "mnli");
  EXPECT_EQ(alone.dev.size(), 1);
  EXPECT_THAT(alone.notes.back(), HasSubstr("there are no mismatched scores"));

  folder.write("dev_mismatched.tsv", header + mnli_row("E\tF", "-\t-\t-\t-\t-\tentailment") +
                                         mnli_row("G\tH", "-\t-\t-\t-\t-\tcontradiction"));
  const Dataset dataset = load(folder, "mnli");
  EXPECT_EQ(dataset.train[0].pair, "He rests.");
  EXPECT_EQ(dataset.train[0].label, 1.0F);
  EXPECT_EQ(dataset.train[1].label, 2.0F);
  ASSERT_EQ(dataset.dev.size(), 3);
  EXPECT_EQ(dataset.dev[0].part, 0);
  EXPECT_EQ(dataset.dev[1].part, 1);
  EXPECT_EQ(dataset.dev[1].label, 0.0F);
  EXPECT_EQ(dataset.scored_files[dataset.dev[2].part].filename(), "dev_mismatched.tsv");
  folder.write("dev_mismatched.tsv", header + mnli_row("E\tF", "-\t-\t-\t-\t-\t-"));
  EXPECT_THAT(message_of([&] { load(folder, "mnli"); }),
              AllOf(HasSubstr("dev_mismatched.tsv:2: found label '-' in column 'gold_label'"),
                    EndsWith("expected 0 to 2 (entailment, neutral, contradiction)")));
}

TEST(Glue, LeavesOutBrokenRowsOfQqpAndCountsThem) {
  const Folder folder;
  const std::string header = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n";
  folder.write("train.tsv", header +
                                "1\t2\t3\tA?\tB?\t0\n2\t3\t4\tcut off\n"
                                "3\t4\t5\tC?\t\t0\n4\t5\t6\tD?\tE?\t\n5\t6\t7\tF?\tG?\t1\n");
  folder.write("dev.tsv", header + "1\t2\t3\tH?\tI?\t0\n");
  const Dataset dataset = load(folder, "qqp");
  ASSERT_EQ(dataset.train.size(), 2);
  EXPECT_EQ(dataset.train[1].line, 6);
  EXPECT_EQ(dataset.broken_removed, 3);
  EXPECT_THAT(dataset.notes[0], HasSubstr("train.tsv: left out 3 rows"));
  const auto file = folder.write("dev.tsv", header + "1\t2\t3\tH?\tI?\t0\t0\n");
  EXPECT_THAT(message_of([&] { load(folder, "qqp"); }),
              StartsWith(file.string() + ":2: found 7 TAB-separated columns"));
}

TEST(Glue, ReadsJsonLinesOfSuperGlueAndOfTheHub) {
  const Folder folder;
  folder.write("RTE/train.jsonl",
               "{\"premise\": \"It \\\"rained\\\".\", \"hypothesis\": \"It was wet.\", \"label\": "
               "\"not_entailment\", \"idx\": 0}\n");
  folder.write("RTE/val.jsonl",
               "{\"premise\": \"A\", \"hypothesis\": \"B\", \"label\": \"entailment\"}\n");
  const Dataset rte = load(folder, "rte");
  EXPECT_EQ(rte.train[0].text, "It \"rained\".");
  EXPECT_EQ(rte.train[0].pair, "It was wet.");
  EXPECT_EQ(rte.train[0].label, 1.0F);
  EXPECT_EQ(rte.dev[0].label, 0.0F);

  const std::string row =
      "{\"question\": \"Q\", \"sentence\": \"S\", \"sentence1\": \"A\", \"sentence2\": \"B\", "
      "\"premise\": \"P\", \"hypothesis\": \"H\", \"question1\": \"Q1\", \"question2\": \"Q2\", "
      "\"label\": 1, \"idx\": 7}\n";
  for (const char* name : {"train.jsonl", "validation.jsonl", "validation_matched.jsonl"})
    folder.write(name, row);
  const std::pair<const char*, std::string> texts[] = {
      {"cola", "S "},  {"sst2", "S "},  {"stsb", "A B"}, {"mrpc", "A B"}, {"qqp", "Q1 Q2"},
      {"mnli", "P H"}, {"qnli", "Q S"}, {"rte", "A B"},  {"wnli", "A B"}};
  for (const auto& [task, expected] : texts) {
    const Dataset dataset = load(folder, task);
    EXPECT_EQ(dataset.dev.at(0).text + " " + dataset.dev[0].pair, expected) << task;
    EXPECT_EQ(dataset.train.at(0).label, 1.0F) << task;
  }
}

TEST(Glue, NamesLineAndKeyOfBrokenJsonRows) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"sentence\": \"A\", \"label\": -1}",
       "found label '-1' in column 'label', expected 0 or 1"},
      {"{\"sentence\": \"A\", \"label\": 1.5}", "found label '1.5' in column 'label'"},
      {"{\"sentence\": \"A\", \"label\": null}", "key 'label': found null"},
      {"{\"sentence\": \"A\"}", "key 'label': found missing"},
      {"{\"sentence\": [\"A\"], \"label\": 1}", "key 'sentence': found an array"},
      {"{\"sentence\": \"\", \"label\": 1}", "found no text in column 'sentence'"},
  };
  for (const auto& [row, expected] : cases) {
    const Folder folder;
    const std::string fine = "{\"sentence\": \"fine\", \"label\": 1}\n";
    const auto file = folder.write("train.jsonl", fine + row + "\n");
    folder.write("dev.jsonl", fine);
    EXPECT_THAT(message_of([&] { load(folder, "sst2"); }),
                AllOf(StartsWith(file.string() + ":2: "), HasSubstr(expected)));
  }
}

TEST(Glue, RowsOfTheRealDataAreComplete) {
  const char* root = std::getenv("RANKFOLD_GLUE");
  if (root == nullptr) GTEST_SKIP() << "set RANKFOLD_GLUE to a folder with GLUE's folders";
  struct Rows {
    const char* task;
    std::size_t train, dev;
  };
  const Rows all[] = {{"cola", 8551, 1043},          {"sst2", 67349, 872},   {"stsb", 5749, 1500},
                      {"mrpc", 3668, 408},           {"qqp", 363846, 40430}, {"qnli", 104743, 5463},
                      {"mnli", 392702, 9815 + 9832}, {"rte", 2490, 277},     {"wnli", 635, 71}};
  for (const auto& [name, train, dev] : all) {
    const std::string task = name;
    Dataset dataset;
    try {
      dataset = load_dataset(find_task(task), root);
    } catch (const Error& missing) {
      EXPECT_THAT(missing.what(), HasSubstr("nor a folder")) << task;
      continue;
    }
    EXPECT_EQ(dataset.train.size(), train) << task;
    EXPECT_EQ(dataset.dev.size(), dev) << task;
  }
}

}  // namespace
}  // namespace rankfold
