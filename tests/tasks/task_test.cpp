#include "experiments/tasks/task.h"

#include <set>

#include "folder.h"

namespace rankfold {
namespace {

TEST(Tasks, HaveUniqueNamesAndConsistentShapes) {
  std::set<std::string> names;
  for (const Task& task : tasks()) {
    EXPECT_TRUE(names.insert(task.name).second) << task.name;
    EXPECT_EQ(task.labels, task.regression ? 1 : task.classes.size()) << task.name;
    EXPECT_EQ(task.regression, task.classes.empty()) << task.name;
    EXPECT_FALSE(task.metrics.empty()) << task.name;
  }
  EXPECT_EQ(names.size(), 17);
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
