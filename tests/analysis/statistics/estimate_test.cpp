#include "analysis/statistics/estimate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <gtest/gtest.h>

#include "analysis/statistics/distributions.h"
#include "analysis/statistics/statistics_golden.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

using Values = std::vector<double>;
using Tasks = std::vector<std::vector<SeedScore>>;

const double infinite = std::numeric_limits<double>::infinity();

TEST(Distributions, AgreeWithScipy) {
  const auto& golden = statistics_golden();
  Largest beta("incomplete beta"), p("Student's p"), t("Student's quantile"), normal("normal p");
  for (const auto& item : golden.at("beta"))
    beta.add(incomplete_beta(item.at("a"), item.at("b"), item.at("x")), item.at("value"));
  for (const auto& item : golden.at("student"))
    p.add(student_t_two_sided(item.at("t"), item.at("nu")), item.at("p"));
  for (const auto& item : golden.at("quantile"))
    t.add(student_t_quantile(item.at("confidence"), item.at("nu")), item.at("t"));
  for (const auto& item : golden.at("normal"))
    normal.add(normal_two_sided(item.at("z")), item.at("p"));
  beta.expect_below(1e-11);
  p.expect_below(1e-10);
  t.expect_below(1e-11);
  normal.expect_below(1e-13);
}

TEST(Distributions, RefuseWhatIsNotDefined) {
  EXPECT_THROW(incomplete_beta(0, 1, 0.5), Error);
  EXPECT_THROW(incomplete_beta(1, 1, 1.5), Error);
  EXPECT_THROW(incomplete_beta(1, 1, not_a_number), Error);
  EXPECT_THROW(student_t_two_sided(1, 0), Error);
  EXPECT_THROW(student_t_quantile(1, 5), Error);
  EXPECT_EQ(student_t_two_sided(infinite, 5), 0);
}

TEST(Estimate, MeanAndStudentsIntervalAgreeWithScipy) {
  Largest difference("mean and interval");
  for (const auto& item : statistics_golden().at("means")) {
    const Values scores = item.at("scores");
    const Estimate found = estimate_mean(scores);
    difference.add(found.value.value(), item.at("mean"));
    difference.add(found.standard_error.value(), item.at("standard_error"));
    difference.add(found.interval.value().low, item.at("low"));
    difference.add(found.interval.value().high, item.at("high"));
    difference.add(interquartile_mean(scores), item.at("interquartile_mean"));
    EXPECT_EQ(found.count, scores.size());
  }
  difference.expect_below(1e-12);
}

TEST(Estimate, OneScoreHasNoInterval) {
  const Estimate one = estimate_mean(Values{0.7});
  EXPECT_EQ(one.value, 0.7);
  EXPECT_FALSE(one.standard_error);
  EXPECT_FALSE(one.interval);
}

TEST(Estimate, DivergedRunsAreCountedAndNotAveraged) {
  const Estimate some = estimate_mean(Values{0.5, not_a_number, 0.7, infinite, -infinite});
  EXPECT_DOUBLE_EQ(some.value.value(), 0.6);
  EXPECT_EQ(some.count, 2U);
  EXPECT_EQ(some.diverged, 3U);
  const Estimate all = estimate_mean(Values{not_a_number});
  EXPECT_FALSE(all.value);
  EXPECT_EQ(all.diverged, 1U);
}

TEST(Estimate, RefusesNothing) {
  EXPECT_THROW(estimate_mean({}), Error);
  EXPECT_THROW(estimate_mean(Values{1, 2}, unbounded, 1), Error);
  EXPECT_THROW(interquartile_mean({}), Error);
  EXPECT_THROW(interquartile_mean(Values{1, not_a_number}), Error);
  EXPECT_THROW(estimate_over_tasks({}), Error);
  EXPECT_THROW(estimate_over_tasks(Tasks{{{"1", 0.5}}, {}}), Error);
  EXPECT_THROW(estimate_over_tasks(Tasks{{{"1", 0.5}, {"1", 0.6}}}), Error);
  EXPECT_THROW(estimate_over_tasks(Tasks{{{"1", 0.5}}}, unbounded, 0), Error);
  EXPECT_THROW(estimate_interquartile_mean({}), Error);
}

TEST(Estimate, EqualScoresHaveNoDeviationToTheLastBit) {
  const Estimate equal = estimate_mean(Values(3, 0.1));  // 0.1 + 0.1 + 0.1 is not 0.3
  EXPECT_EQ(equal.value, 0.1);
  EXPECT_EQ(equal.standard_error, 0);
  EXPECT_EQ(equal.interval.value().low, 0.1);
  EXPECT_EQ(equal.interval.value().high, 0.1);
  const Estimate tasks =
      estimate_over_tasks(Tasks{{{"1", 0.1}, {"2", 0.1}}, {{"1", 0.7}, {"2", 0.7}}});
  EXPECT_EQ(tasks.standard_error, 0);
  EXPECT_EQ(tasks.interval.value().low, tasks.value);
}

TEST(Estimate, DoesNotDependOnTheScaleOfTheScores) {
  const Estimate one = estimate_mean(Values{1, 2, 4});
  for (const double scale : {1e-200, 1e200}) {
    const Estimate scaled = estimate_mean(Values{scale, 2 * scale, 4 * scale});
    EXPECT_NEAR(scaled.interval.value().high / scale, one.interval.value().high, 1e-12);
    EXPECT_NEAR(scaled.standard_error.value() / scale, one.standard_error.value(), 1e-13);
    const Tasks tasks = {{{"1", scale}, {"2", 2 * scale}}, {{"1", scale}, {"2", 4 * scale}}};
    EXPECT_NEAR(estimate_over_tasks(tasks).standard_error.value() / scale, 1, 1e-13);
  }
}

TEST(Estimate, IntervalsEndWhereTheQuantityDoes) {
  const Estimate high = estimate_mean(Values{0.9, 0.98}, {0, 1});
  EXPECT_EQ(high.interval.value().high, 1);
  EXPECT_NEAR(high.interval.value().low, 0.94 - 0.508248, 1e-6);
  const Estimate low = estimate_mean(Values{0.0, 0.1, 0.0}, {0, 1});
  EXPECT_EQ(low.interval.value().low, 0);
  const Estimate tasks =
      estimate_over_tasks(Tasks{{{"1", 0.9}, {"2", 0.98}}, {{"1", -0.7}, {"2", 0.9}}}, {-0.5, 1});
  EXPECT_EQ(tasks.interval.value().low, -0.5);
  EXPECT_EQ(tasks.interval.value().high, 1);
  // Rounded past the end: the mean stays inside its interval.
  EXPECT_EQ(estimate_mean(Values{1 + 1e-7, 1 + 1e-7}, {0, 1}).interval.value().high, 1 + 1e-7);
}

TEST(Estimate, InterquartileMeanLeavesAQuarterOutAtEitherEnd) {
  EXPECT_DOUBLE_EQ(interquartile_mean(Values{100, 1, 2, 3, 4, 5, 6, -100}), (2 + 3 + 4 + 5) / 4.0);
  EXPECT_DOUBLE_EQ(interquartile_mean(Values{1, 2, 6}), 3);
}

Tasks tasks_of(const nlohmann::json& given) {
  Tasks tasks;
  for (const auto& task : given) {
    tasks.emplace_back();
    for (const auto& score : task) tasks.back().push_back({score[0], score[1]});
  }
  return tasks;
}

// Student's interval of the seeds' means where all tasks have the same seeds, Welch's where none is
// shared (both from scipy), and between them the matrices of the quadratic form in numpy.
TEST(EstimateOverTasks, AgreesWithScipy) {
  Largest difference("mean over tasks and interval");
  for (const auto& item : statistics_golden().at("means_over_tasks")) {
    Tasks tasks = tasks_of(item.at("tasks"));
    for (auto& task : tasks) std::reverse(task.begin(), task.end());  // the order must not matter
    const Estimate found = estimate_over_tasks(tasks);
    difference.add(found.value.value(), item.at("mean"));
    difference.add(found.standard_error.value(), item.at("standard_error"));
    difference.add(found.interval.value().low, item.at("low"));
    difference.add(found.interval.value().high, item.at("high"));
  }
  difference.expect_below(1e-10);
}

TEST(EstimateOverTasks, OfOneTaskIsStudents) {
  const Estimate tasks = estimate_over_tasks(Tasks{{{"a", 0.5}, {"b", 0.7}, {"c", 0.8}}});
  const Estimate mean = estimate_mean(Values{0.5, 0.7, 0.8});
  EXPECT_DOUBLE_EQ(tasks.value.value(), mean.value.value());
  EXPECT_NEAR(tasks.standard_error.value(), mean.standard_error.value(), 1e-15);
  EXPECT_NEAR(tasks.interval.value().low, mean.interval.value().low, 1e-12);
}

// What one seed does to all tasks alike does not average out over tasks.
TEST(EstimateOverTasks, IsNoNarrowerForTasksThatFollowTheSeed) {
  const std::vector<SeedScore> task = {{"a", 0.5}, {"b", 0.7}, {"c", 0.8}};
  EXPECT_NEAR(estimate_over_tasks(Tasks(20, task)).standard_error.value(),
              estimate_over_tasks(Tasks{task}).standard_error.value(), 1e-15);
}

TEST(EstimateOverTasks, LeavesUnknownWhatATaskCannotTell) {
  const Estimate single = estimate_over_tasks(Tasks{{{"1", 1}, {"2", 2}}, {{"1", 4}}});
  EXPECT_DOUBLE_EQ(single.value.value(), 2.75);
  EXPECT_FALSE(single.standard_error);
  EXPECT_FALSE(single.interval);
  const Estimate diverged =
      estimate_over_tasks(Tasks{{{"1", 1}, {"2", 2}, {"3", not_a_number}}, {{"1", 5}, {"2", 7}}});
  EXPECT_DOUBLE_EQ(diverged.value.value(), (1.5 + 6) / 2);
  EXPECT_EQ(diverged.count, 4U);
  EXPECT_EQ(diverged.diverged, 1U);
  EXPECT_FALSE(estimate_over_tasks(Tasks{{{"1", 1}, {"2", 2}}, {{"1", infinite}}}).value);
}

TEST(EstimateOverTasks, TakesFiftyTasksThatLackSeeds) {
  Tasks tasks;
  for (int task = 0; task < 50; ++task) {
    tasks.emplace_back();
    for (int seed = 0; seed < 5; ++seed)
      if ((task + seed) % 4 != 0)
        tasks.back().push_back({std::to_string(seed), 0.5 + 0.01 * ((task * seed) % 7)});
  }
  const Estimate found = estimate_over_tasks(tasks, {0, 1});
  EXPECT_LT(found.interval.value().low, found.value.value());
  EXPECT_GT(found.interval.value().low, 0.3);
}

TEST(InterquartileMeanOverTasks, RestsOnTheWinsorisedScores) {
  Tasks tasks;
  for (int task = 0; task < 5; ++task)
    tasks.push_back({{"1", 0.1 * task}, {"2", 0.1 * task + 0.07}, {"3", 0.1 * task + 0.02}});
  const Estimate found = estimate_interquartile_mean(tasks);
  // Of 15 scores 3 are cut off at either end: those below 0.1 and above 0.4.
  Values means(3);
  for (const auto& task : tasks)
    for (std::size_t seed = 0; seed < 3; ++seed)
      means[seed] += std::clamp(task[seed].score, 0.1, 0.37) / 5;
  EXPECT_NEAR(found.standard_error.value(),
              estimate_mean(means).standard_error.value() * 15 / (15 - 6), 1e-14);
  tasks.pop_back();
  EXPECT_TRUE(estimate_interquartile_mean(tasks).value);
  EXPECT_FALSE(estimate_interquartile_mean(tasks).interval);
}

}  // namespace
}  // namespace rankfold
