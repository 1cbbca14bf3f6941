#include "experiments/tasks/metrics.h"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "folder.h"
#include "source_paths.h"

namespace rankfold {
namespace {

using ::testing::Key;
using ::testing::UnorderedElementsAre;

using Floats = std::vector<float>;
using Metric = double (*)(std::span<const float>, std::span<const float>);

void compare_with_golden(const char* kind, const std::map<std::string, Metric>& metrics) {
  const auto golden =
      nlohmann::json::parse(read_text(RANKFOLD_GOLDEN_DIR "/tasks/metrics.json")).at(kind);
  ASSERT_FALSE(golden.empty());
  for (const auto& item : golden) {
    const auto predictions = item.at("predictions").get<Floats>();
    const auto labels = item.at("labels").get<Floats>();
    for (const auto& [name, metric] : metrics) {
      EXPECT_NEAR(metric(predictions, labels), item.at("scores").at(name).get<double>(), 1e-12)
          << name << " of " << item.at("name");
    }
  }
}

TEST(Metrics, ClassesScoreAsInScikitLearn) {
  compare_with_golden(
      "classes",
      {{"accuracy", accuracy}, {"f1", f1}, {"matthews_correlation", matthews_correlation}});
}

TEST(Metrics, ValuesScoreAsInSciPy) {
  compare_with_golden("values", {{"pearson", pearson}, {"spearman", spearman}});
}

TEST(Metrics, AConstantSideGivesNoCorrelation) {
  // 0.1 is not representable: a mean of it, computed by summation, differs from it.
  const Floats constant(1001, 0.1F);
  Floats rising(1001);
  for (std::size_t i = 0; i < rising.size(); ++i) rising[i] = static_cast<float>(i);
  EXPECT_EQ(pearson(constant, rising), 0.0);
  EXPECT_EQ(pearson(rising, constant), 0.0);
  EXPECT_EQ(spearman(constant, rising), 0.0);
  EXPECT_EQ(pearson(Floats{1}, Floats{2}), 0.0);
}

TEST(Metrics, TiesShareTheirAverageRank) {
  // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 * 5).
  EXPECT_NEAR(spearman(Floats{1, 5, 5, 9}, Floats{1, 2, 3, 4}), 4.5 / std::sqrt(22.5), 1e-15);
}

TEST(Metrics, RefuseUnequalLengthsEmptyInputAndNonsense) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (Metric metric : {accuracy, f1, matthews_correlation, pearson, spearman}) {
    EXPECT_THROW(metric(Floats{1, 0}, Floats{1}), Error);
    EXPECT_THROW(metric(Floats{}, Floats{}), Error);
  }
  EXPECT_THROW(matthews_correlation(Floats{2, 0}, Floats{1, 0}), Error);
  EXPECT_THROW(f1(Floats{1, 0}, Floats{1, nan}), Error);
  EXPECT_THROW(pearson(Floats{1, nan}, Floats{1, 0}), Error);
  EXPECT_THROW(spearman(Floats{1, 0}, Floats{1, nan}), Error);
}

TEST(Predictions, AreTheLargestLogitAndTheLowestClassOfEquals) {
  EXPECT_THAT(predict(find_task("sst2"), Floats{1, 2, 3, -1, 0.5F, 0.5F}), ElementsAre(1, 0, 0));
  EXPECT_THAT(predict(find_task("stsb"), Floats{1.5F, -2}), ElementsAre(1.5F, -2));
}

TEST(Predictions, RefuseALogitThatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(message_of([&] {
                predict(find_task("cola"), Floats{1, 2, nan, 0});
              }),
              AllOf(HasSubstr("'cola'"), HasSubstr("nan at position 2"), HasSubstr("finite")));
  EXPECT_THAT(message_of([&] {
                predict(find_task("cola"), Floats{1, 2, 3});
              }),
              AllOf(HasSubstr("found 3 logits"), HasSubstr("multiple of 2")));
}

TEST(Scores, HoldEveryMetricOfTheTask) {
  for (const Task& task : tasks()) {
    if (task.prompt) continue;
    const Floats logits = task.regression    ? Floats{1, 2, 4}
                          : task.labels == 3 ? Floats{0, 1, 0, 1, 0, 0, 0, 1, 0}
                                             : Floats{0, 1, 1, 0, 0, 1};
    const Floats labels = task.regression ? Floats{1, 2, 3} : Floats{1, 0, 1};
    const auto scores = score(task, logits, labels);
    EXPECT_EQ(scores.size(), task.metrics.size());
    for (const std::string& metric : task.metrics) {
      ASSERT_EQ(scores.count(metric), 1) << metric;
      EXPECT_GT(scores.at(metric), 0.98);
    }
  }
  EXPECT_THAT(score(find_task("stsb"), Floats{1, 2}, Floats{1, 2}),
              UnorderedElementsAre(Key("pearson"), Key("spearman")));
}

TEST(Scores, AreThoseOfEachPart) {
  const Task& mnli = find_task("mnli");
  const Floats logits = {3, 2, 1, 0, 5, 1, 0, 1, 2, 9, 0, 0}, labels = {0, 1, 2, 2};
  const std::vector<std::size_t> parts = {0, 1, 0, 1};
  EXPECT_EQ(score(mnli, logits, labels, parts),
            (std::map<std::string, double>{{"accuracy", 1.0}, {"accuracy_mismatched", 0.5}}));
  EXPECT_EQ(score(mnli, logits, labels), (std::map<std::string, double>{{"accuracy", 0.75}}));
  const std::vector<std::size_t> matched(4);
  EXPECT_THAT(score(mnli, logits, labels, matched), UnorderedElementsAre(Key("accuracy")));
  EXPECT_EQ(majority_scores(mnli, labels, parts),
            (std::map<std::string, double>{{"accuracy", 0.5}, {"accuracy_mismatched", 0.5}}));
  EXPECT_THROW(score(mnli, logits, labels, std::vector<std::size_t>{0, 1}), Error);
}

TEST(Predictions, AreWrittenWithALogitForEachOfThreeClasses) {
  const Folder folder;
  const auto file = folder.path() / "predictions.tsv";
  const std::vector<Example> rows = {{"one", "two", 2}};
  write_predictions(file, find_task("mnli"), rows, Floats{0.5F, 0, 2});
  EXPECT_EQ(read_text(file),
            "index\tprediction\tlabel\tlogit_0\tlogit_1\tlogit_2\tsentence1\tsentence2\n"
            "0\t2\t2\t0.5\t0\t2\tone\ttwo\n");
}

TEST(Predictions, AreWrittenAsTsvWithTheLogitsOfEachClassAndTheText) {
  const Folder folder;
  const auto file = folder.path() / "new" / "predictions.tsv";
  const std::vector<Example> rows = {{"a \"b\"", "", 0}, {"tab\there\r\nend", "", 0}};
  write_predictions(file, find_task("cola"), rows, Floats{0.25F, -1.5F, 0.1F, 3});
  EXPECT_EQ(read_text(file),
            "index\tprediction\tlabel\tlogit_0\tlogit_1\tsentence\n"
            "0\t0\t0\t0.25\t-1.5\ta \"b\"\n"
            "1\t1\t0\t0.1\t3\ttab here  end\n");
  const std::vector<Example> pairs = {{"one", "two", 5}, {"three", "four", 0.2F}};
  write_predictions(file, find_task("stsb"), pairs, Floats{4.75F, 1e-9F});
  EXPECT_EQ(read_text(file),
            "index\tprediction\tlabel\tsentence1\tsentence2\n"
            "0\t4.75\t5\tone\ttwo\n"
            "1\t1e-09\t0.2\tthree\tfour\n");
}

TEST(Predictions, AreNotWrittenWhereRowsAndLogitsDiffer) {
  const Folder folder;
  const auto file = folder.path() / "predictions.tsv";
  const std::vector<Example> rows(2);
  EXPECT_THAT(message_of([&] {
                write_predictions(file, find_task("cola"), rows, Floats{1, 2});
              }),
              HasSubstr("1 predictions for 2 rows"));
  EXPECT_FALSE(std::filesystem::exists(file));
}

TEST(MeanLoss, IsTheCrossEntropyOrTheSquaredError) {
  const Task &classes = find_task("movies"), &numbers = find_task("stsb");
  const double first = std::log(1 + std::exp(-2.0)), second = std::log(1 + std::exp(1.0));
  EXPECT_NEAR(mean_loss(classes, Floats{1, 3, 0, 1}, Floats{1, 0}), (first + second) / 2, 1e-12);
  EXPECT_NEAR(mean_loss(classes, Floats{1001, 1003}, Floats{1}), first, 1e-12) << "no overflow";
  EXPECT_EQ(mean_loss(numbers, Floats{2, 5}, Floats{1, 3}), 2.5);
  EXPECT_THROW(mean_loss(classes, Floats{1, 2, 3}, Floats{1}), Error);
  EXPECT_THROW(mean_loss(classes, Floats{}, Floats{}), Error);
}

TEST(Predictions, AreConstantWhereEveryRowGetsOneAnswer) {
  const Task &classes = find_task("movies"), &numbers = find_task("stsb");
  EXPECT_TRUE(constant_predictions(classes, Floats{1, 2, 0, 5, -3, -2}));
  EXPECT_FALSE(constant_predictions(classes, Floats{1, 2, 0, 5, 3, 2}));
  EXPECT_TRUE(constant_predictions(numbers, Floats{2.5F, 2.5F, 2.5F}));
  EXPECT_FALSE(constant_predictions(numbers, Floats{2.5F, 2.5F, 2.6F}));
  EXPECT_FALSE(constant_predictions(numbers, Floats{2.5F})) << "one row tells nothing";
}

TEST(MajorityScores, AreThoseOfTheLargestClass) {
  const auto scores = majority_scores(find_task("movies"), Floats{1, 0, 1, 1});
  EXPECT_EQ(scores.at("accuracy"), 0.75);
  EXPECT_EQ(scores.at("f1"), 6.0 / 7);
  EXPECT_EQ(scores.at("matthews_correlation"), 0);
  EXPECT_EQ(majority_scores(find_task("movies"), Floats{1, 0}).at("f1"), 0)
      << "the lower of equals";
  EXPECT_TRUE(majority_scores(find_task("stsb"), Floats{1, 0}).empty());
}

}  // namespace
}  // namespace rankfold
