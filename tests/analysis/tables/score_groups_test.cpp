#include "analysis/tables/score_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/figure_rows.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> names_of(const ScoreGroups& groups) {
  std::vector<std::string> names;
  for (const ScoreGroups::Line& line : groups.lines) names.push_back(line.method + " " + line.rank);
  return names;
}

TEST(ScoreGroups, HoldRunsThatDifferInTaskAndSeedAloneByMethodAndRankAsANumber) {
  std::vector<ResultRow> rows = two_tasks();
  rows.push_back(result("sst2", "lora", "16", 0, 16000, 0.8));
  const ScoreGroups groups = group_scores(rows);
  EXPECT_THAT(names_of(groups),
              ElementsAre("lora 1", "lora 4", "lora 16", "lotr 1", "lotr 4", "full ", "none "));
  ASSERT_EQ(groups.columns.size(), 2U);
  EXPECT_EQ(groups.columns[0].task, "cola");
  EXPECT_THAT(groups.settings, IsEmpty());
  const Estimate& estimate = groups.lines[0].scores.at({"sst2", "accuracy"});
  EXPECT_EQ(estimate.count, 3U);
  EXPECT_NEAR(*estimate.value, 0.51, 1e-15);
  EXPECT_FALSE(groups.lines[2].scores.contains({"cola", "matthews_correlation"}));
}

TEST(ScoreGroups, TellRunsApartByTheSettingsThatVaryWithinAMethod) {
  std::vector<ResultRow> rows = two_tasks();
  for (ResultRow& row : rows) {
    row.settings["lr"] = row.method == "lora" ? "1e-3" : "1e-4";
    row.settings["batch"] = row.seed == "0" && row.method == "lotr" ? "8" : "16";
  }
  const ScoreGroups groups = group_scores(rows);
  EXPECT_THAT(groups.settings, ElementsAre("batch"));
  EXPECT_EQ(groups.lines.size(), 6U + 2U);
}

TEST(ScoreGroups, LeaveOutRowsWithoutAScore) {
  std::vector<ResultRow> rows = {result("sst2", "lora", "1", 0, 1000, 0.5)};
  rows.front().score.reset();
  EXPECT_THAT(group_scores(rows).lines, IsEmpty());
}

}  // namespace
}  // namespace rankfold
