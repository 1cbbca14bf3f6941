#include <fmt/core.h>

#include "experiments/tasks/task.h"
#include "folder.h"

namespace rankfold {
namespace {

constexpr const char* reviews =
    "review,stars,mood\n"
    "\"Good, really\",5,happy\n"
    "\"He said \"\"no\"\"\",1,sad\n"
    "Fine,3,neutral\n"
    "Fine again,10,happy\n";

TaskChoice choice_of(const std::filesystem::path& file, const char* text, const char* label) {
  return {.task = table_task_name(file), .data = file, .text = text, .label = label};
}

Dataset load(const TaskChoice& choice) {
  return load_dataset(find_task(choice), choice.data);
}

TEST(TableTask, ClassesAreTheLabelsSortedByBytesOrByValue) {
  const Folder folder;
  TaskChoice choice = choice_of(folder.write("my reviews.csv", reviews), "review", "mood");
  choice.dev = folder.write("dev.jsonl", "{\"review\": \"Bad\", \"mood\": \"sad\"}\n").string();
  const Task task = find_task(choice);
  EXPECT_EQ(task.name, "my reviews");
  EXPECT_THAT(task.classes, ElementsAre("happy", "neutral", "sad"));
  EXPECT_EQ(task.labels, 3);
  EXPECT_THAT(task.metrics, ElementsAre("accuracy"));
  const Dataset dataset = load(choice);
  ASSERT_EQ(dataset.train.size(), 4);
  EXPECT_EQ(dataset.train[1].text, "He said \"no\"");
  EXPECT_EQ(dataset.train[1].label, 2.0F);
  EXPECT_EQ(dataset.train[3].line, 5);
  EXPECT_EQ(dataset.dev[0].label, 2.0F);
  EXPECT_THAT(dataset.notes[0], HasSubstr("3 classes, numbered 0 happy, 1 neutral, 2 sad"));
  choice.label = "stars";
  EXPECT_THAT(find_task(choice).classes, ElementsAre("1", "3", "5", "10"));
}

TEST(TableTask, OneNumberIsOneClassHoweverJsonWritesIt) {
  const Folder folder;
  const auto file =
      folder.write("a.jsonl",
                   "{\"text\": \"x\", \"label\": 1}\n{\"text\": \"y\", \"label\": 0.0}\n"
                   "{\"text\": \"z\", \"label\": 1.0}\n");
  TaskChoice choice = choice_of(file, "", "");
  choice.dev = file.string();
  EXPECT_THAT(find_task(choice).classes, ElementsAre("0", "1"));
  EXPECT_EQ(load(choice).train[2].label, 1.0F);
}

TEST(TableTask, AModelsOwnClassesKeepTheirOrder) {
  const Folder folder;
  TaskChoice choice = choice_of(folder.write("a.csv", reviews), "review", "mood");
  choice.dev = choice.data.string();
  choice.classes = {"sad", "neutral", "happy"};
  EXPECT_EQ(load(choice).dev[1].label, 0.0F);
  choice.classes = {"sad", "happy"};
  EXPECT_THAT(message_of([&] { load(choice); }),
              EndsWith("a.csv:4: found label 'neutral' in column 'mood', expected one of sad, "
                       "happy"));
}

TEST(TableTask, ACorrelationMakesItARegression) {
  const Folder folder;
  TaskChoice choice = choice_of(folder.write("a.csv", reviews), "review", "stars");
  choice.dev = choice.data.string();
  choice.metric = "spearman";
  const Task task = find_task(choice);
  EXPECT_TRUE(task.regression);
  EXPECT_EQ(task.labels, 1);
  EXPECT_EQ(load(choice).train[3].label, 10.0F);
  choice.label = "mood";
  EXPECT_THAT(message_of([&] { load(choice); }),
              EndsWith("a.csv:2: found 'happy' in column 'mood', expected a number"));
}

std::string pairs(int count) {
  std::string rows = "first\tsecond\tlabel\n";
  for (int i = 0; i < count; ++i)
    rows +=
        fmt::format("premise {}\t\"hypothesis {}\t{}\n", i % 40, i % 50, i % 3 == 0 ? "a" : "b");
  return rows;
}

TEST(TableTask, WithoutDevAHashOfBothTextsDividesTheRows) {
  const Folder folder;
  const TaskChoice choice = choice_of(folder.write("a.tsv", pairs(400)), "first, second", "label");
  const Dataset dataset = load(choice);
  EXPECT_EQ(dataset.train.size() + dataset.held_out.size() + dataset.dev.size(), 400);
  EXPECT_GT(dataset.dev.size(), 20);
  EXPECT_GT(dataset.held_out.size(), 5);
  for (const Example& row : dataset.dev) EXPECT_EQ(table_split(row), Split::dev);
  EXPECT_EQ(dataset.dev[0].pair.substr(0, 12), "\"hypothesis ");
  EXPECT_EQ(dataset.shared, 0) << "every pair of texts stands there twice, on one side";
  EXPECT_LT(dataset.train[0].line, dataset.train[1].line);
  EXPECT_NE(texts_hash({"a", "b"}), texts_hash({"b", "a"}));
  EXPECT_NE(texts_hash({"a b", ""}), texts_hash({"a", "b"}));
}

TEST(TableTask, CountsRowsOfDevThatStandInTrain) {
  const Folder folder;
  TaskChoice choice = choice_of(folder.write("a.csv", reviews), "review", "mood");
  choice.dev = folder.write("dev.csv", "review,mood\nFINE  again,sad\nnew,sad\n").string();
  const Dataset dataset = load(choice);
  EXPECT_EQ(dataset.shared, 1);
  EXPECT_THAT(dataset.notes.back(), EndsWith("1 of the 2 rows of dev stand in train, too (the "
                                             "same texts)"));
}

TEST(TableTask, RefusesWhatItCannotMean) {
  const Folder folder;
  struct Case {
    const char *rows, *text, *label, *metric, *message;
  };
  const Case cases[] = {
      {"text,label\na,0.5\nb,1\n", "", "", "", "are numbers such as '0.5', which are no classes"},
      {"text,label\na,x\nb,x\n", "", "", "", "found one class in column 'label' ('x')"},
      {"text,label\na,x\nb,\n", "", "", "", "a.csv:3: found no label in column 'label'"},
      {"text,label\na,x\n ,y\n", "", "", "", "a.csv:3: found no text in column 'text'"},
      {"text,label\na,x\nb,y\n", "text,text", "", "", "--text is 'text,text'"},
      {"text,label\na,x\nb,y\n", "a,b,c", "", "", "expected one or two columns of text"},
      {"text,label\na,x\nb,y\n", "", "text", "", "and --label 'text'"},
      {"text,label\na,x\nb,y\n", "texts", "", "", "expected a header with column 'texts'"},
      {"text,label\na,x\nb,y\nc,z\n", "", "", "f1", "--metric f1 is for two classes"},
      {"text,label\na,x\nb,y\n", "", "", "bleu", "unknown metric 'bleu'"},
      {"text,label\na,x\na,y\n", "", "", "", "expected both; give --dev FILE"},
      {"text,label\na,\"x\n", "", "", "", "a.csv:2: the quote that opens here is never closed"},
  };
  for (const Case& wrong : cases) {
    TaskChoice choice = choice_of(folder.write("a.csv", wrong.rows), wrong.text, wrong.label);
    choice.metric = wrong.metric;
    EXPECT_THAT(message_of([&] { load(choice); }), HasSubstr(wrong.message)) << wrong.rows;
  }
  std::string ids = "text,label\n";
  for (int i = 0; i < 1001; ++i) ids += fmt::format("text {},{}\n", i, i);
  EXPECT_THAT(message_of([&] { load(choice_of(folder.write("ids.csv", ids), "", "")); }),
              HasSubstr("found 1001 different labels"));
  TaskChoice choice = choice_of(folder.write("a.csv", reviews), "review", "mood");
  choice.dev = "dev.txt";
  EXPECT_THAT(message_of([&] { load(choice); }), StartsWith("--dev dev.txt: expected a file"));
}

TEST(TableTask, OptionsOfATableAreRefusedForOtherTasks) {
  EXPECT_THAT(message_of([] { find_task(TaskChoice{.task = "cola", .text = "review"}); }),
              AllOf(StartsWith("--text is for a table of your own"), HasSubstr("cola")));
}

TEST(TableTask, AFileIsNoDataOfATaskWithAName) {
  EXPECT_THAT(message_of([] { find_task(TaskChoice{.task = "sst2", .data = "SST-2/dev.tsv"}); }),
              StartsWith("--data SST-2/dev.tsv: is a file; task sst2 needs the folder"));
}

TEST(TableTask, IsCalledAfterItsFile) {
  EXPECT_EQ(table_task_name("/data/reviews.csv"), "reviews");
  EXPECT_EQ(table_task_name("cola.tsv"), "cola.tsv") << "there is a task of that name";
}

}  // namespace
}  // namespace rankfold
