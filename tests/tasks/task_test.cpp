#include "experiments/tasks/task.h"

#include <set>

#include "experiments/tasks/prompt_task.h"
#include "folder.h"

namespace rankfold {
namespace {

TEST(Tasks, HaveUniqueNamesAndConsistentShapes) {
  std::set<std::string> names;
  for (const Task& task : tasks()) {
    EXPECT_TRUE(names.insert(task.name).second) << task.name;
    EXPECT_FALSE(task.metrics.empty()) << task.name;
    // By a head, or asked in words alone.
    EXPECT_EQ(task.read == nullptr, task.prompt != nullptr) << task.name;
    if (task.prompt) continue;
    EXPECT_EQ(task.labels, task.regression ? 1 : task.classes.size()) << task.name;
    EXPECT_EQ(task.regression, task.classes.empty()) << task.name;
  }
  EXPECT_EQ(names.size(), 26);
  for (const PromptTask& asked : prompt_tasks()) EXPECT_TRUE(names.contains(asked.name));
}

TEST(Tasks, AreAskedInWordsWhereTheChoiceSaysSo) {
  for (const PromptTask& asked : prompt_tasks()) {
    const Task task = find_task(TaskChoice{.task = asked.name, .scoring = "prompt"});
    ASSERT_TRUE(task.prompt) << asked.name;
    EXPECT_EQ(task.prompt->prompt, asked.prompt);
    EXPECT_EQ(task.metrics, asked.metrics);
  }
  EXPECT_EQ(find_task(TaskChoice{.task = "sst2"}).prompt, nullptr);
  EXPECT_THAT(message_of([] { find_task(TaskChoice{.task = "cb"}); }),
              HasSubstr("--task cb: is asked in words alone; expected --scoring prompt"));
  EXPECT_THAT(message_of([] { find_task(TaskChoice{.task = "cola", .scoring = "prompt"}); }),
              HasSubstr("task cola has no prompt; expected one of cb, boolq"));
  EXPECT_THAT(
      message_of([] {
        find_task(TaskChoice{.task = "sst2", .scoring = "prompt", .prompt = "{text} {label}"});
      }),
      HasSubstr("--prompt is for a table of your own"));
  EXPECT_THAT(message_of([] {
                find_task(TaskChoice{.task = "own", .data = "own.csv", .prompt = "{text} {label}"});
              }),
              HasSubstr("--prompt is for --scoring prompt"));
  EXPECT_THAT(message_of([] {
                find_task(TaskChoice{.task = "own", .data = "own.csv", .scoring = "prompt"});
              }),
              HasSubstr("a table of your own has no prompt; expected --prompt such as"));
}

TEST(Tasks, ScoreFirstByGluesMetric) {
  EXPECT_EQ(find_task("cola").metrics[0], "matthews_correlation");
  EXPECT_EQ(find_task("sst2").metrics[0], "accuracy");
  EXPECT_EQ(find_task("stsb").metrics[0], "pearson");
  EXPECT_TRUE(find_task("stsb").has_pair);
  EXPECT_EQ(find_task("mrpc").metrics, (std::vector<std::string>{"accuracy", "f1"}));
  EXPECT_EQ(find_task("mnli").labels, 3);
  EXPECT_EQ(find_task("movies").metrics[0], "accuracy");
  EXPECT_EQ(find_task("movies-regression").metrics[0], "pearson");
}

TEST(Tasks, AnUnknownNameIsAnsweredWithTheNearest) {
  EXPECT_THAT(message_of([] { find_task("sst-2"); }),
              AllOf(HasSubstr("'sst-2'"), HasSubstr("did you mean 'sst2'")));
  EXPECT_THROW(find_task("movie"), UsageError);
}

}  // namespace
}  // namespace rankfold
