#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure.h"
#include "analysis/figures/figure_plan.h"
#include "analysis/figures/gnuplot.h"
#include "analysis/logs/event_log.h"
#include "analysis/run_files.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> names(const std::vector<FigureLine>& lines) {
  std::vector<std::string> result;
  for (const FigureLine& line : lines) result.push_back(line.name);
  return result;
}

std::string failure(FigureKind kind, const std::vector<ResultRow>& rows) {
  try {
    plan_figure(kind, rows);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// With costs, and two learning rates for each run.
std::vector<ResultRow> measured() {
  std::vector<ResultRow> rows;
  for (const std::string lr : {"1e-3", "1e-2"}) {
    for (ResultRow row : two_tasks()) {
      row.settings["lr"] = lr;
      row.adapted_layers = row.rank == "1" ? 2 : 4;
      row.train_seconds = 12;
      row.tokens_per_second = 1000 + static_cast<double>(row.parameters);
      row.peak_memory_mib = 200 + std::stod(row.seed);
      rows.push_back(row);
    }
  }
  return rows;
}

TEST(CostFigure, ShowsSpeedAndMemoryAgainstParameters) {
  const FigurePlan shown = plan_figure(FigureKind::cost, measured());
  ASSERT_EQ(shown.panels.size(), 4U);
  EXPECT_EQ(shown.panels[0].title, "cola: speed");
  EXPECT_EQ(shown.panels[1].y_label, "peak memory, MiB");
  EXPECT_EQ(shown.panels[1].x_scale, AxisScale::log10);
  EXPECT_THAT(names(shown.panels[0].lines), ElementsAre("lora", "lotr"));
  const FigurePoint& point = shown.panels[1].lines[0].points[0];
  EXPECT_EQ(point.x, 1000);
  EXPECT_DOUBLE_EQ(*point.value.value, 201);  // of seeds 0, 1, 2 at both learning rates
  EXPECT_EQ(point.value.count, 6U);
  EXPECT_THAT(shown.note, HasSubstr("Mean of 6 runs"));
}

TEST(CostFigure, NeedsMeasuredRunsThatDidNotDiverge) {
  EXPECT_THAT(failure(FigureKind::cost, two_tasks()), HasSubstr("tokens_per_second"));
  std::vector<ResultRow> rows = measured();
  for (ResultRow& row : rows) row.score = std::nan("");
  EXPECT_THAT(failure(FigureKind::cost, rows), HasSubstr("tokens_per_second"));
}

TEST(LearningRateFigure, ShowsALineForEachMethodAndRank) {
  const FigurePlan shown = plan_figure(FigureKind::learning_rate, measured());
  ASSERT_EQ(shown.panels.size(), 2U);
  EXPECT_THAT(names(shown.panels[0].lines),
              ElementsAre("lora", "lora", "lotr", "lotr", "full", "none"));
  EXPECT_EQ(shown.panels[0].x_scale, AxisScale::log10);
  EXPECT_EQ(shown.rank_labels, RankLabels::at_line_ends);
  const FigureLine& line = shown.panels[0].lines[0];
  ASSERT_EQ(line.points.size(), 2U);
  EXPECT_DOUBLE_EQ(line.points[0].x, 1e-3);
  EXPECT_DOUBLE_EQ(line.points[1].x, 1e-2);
}

TEST(LearningRateFigure, NeedsPositiveRates) {
  EXPECT_THAT(failure(FigureKind::learning_rate, two_tasks()),
              AllOf(HasSubstr("learning rate of method"), HasSubstr("''"), HasSubstr("lr")));
  for (const std::string wrong : {"0", "-1", "nan", "fast"}) {
    std::vector<ResultRow> rows = measured();
    rows[0].settings["lr"] = wrong;
    EXPECT_THAT(failure(FigureKind::learning_rate, rows), HasSubstr("'" + wrong + "'"));
  }
}

/// What the other figures do not read of a run.json.
nlohmann::json whole_run(const std::string& method, int seed, double score) {
  nlohmann::json document = run_document("sst2", method, 8, seed, score);
  document["parameters"]["head"] = 2;
  document["epochs"] = nlohmann::json::array();
  document["examples_per_second"] = 10;
  return document;
}

/// A run in `folder`, scored after every 10 of its steps, each of `forwards` passes.
ResultRow scored_run(const std::filesystem::path& folder, const std::string& method, int seed,
                     std::size_t forwards, const std::vector<double>& scores) {
  nlohmann::json document = whole_run(method, seed, scores.back());
  document["steps"] = 10 * scores.size();
  document["forwards"] = 10 * scores.size() * forwards;
  document["evaluations"] = nlohmann::json::array();
  for (std::size_t i = 0; i < scores.size(); ++i)
    document["evaluations"].push_back({{"step", 10 * (i + 1)},
                                       {"loss", 0.5},
                                       {"scores", {{"accuracy", scores[i]}}},
                                       {"constant_predictions", false}});
  const auto place = folder / method / std::to_string(seed);
  write_run(place, document);
  ResultRow row = result("sst2", method, "8", seed, 1000, scores.back());
  row.metric = "accuracy";
  row.origin = (place / "run.json").string();
  return row;
}

class ConvergenceFigure : public testing::Test {
 protected:
  ResultRow run(const std::string& method, int seed, double seconds,
                const std::vector<double>& losses, const std::string& rank = "1") const {
    const auto folder = folder_.path / method / rank / std::to_string(seed);
    EventWriter events(folder);
    std::int64_t step = 0;
    for (const double loss : losses) {
      events.scalar("train/loss", loss, step += 10);
      events.scalar("train/grad_norm", 1, step);
    }
    events.close();
    ResultRow row = result("cola", method, rank, seed, 1000, 0.5);
    row.train_seconds = seconds;
    row.origin = (folder / "run.json").string();
    return row;
  }
  const TemporaryFolder folder_;
};

TEST_F(ConvergenceFigure, ShowsTheMeanLossByStepAndByTime) {
  const std::vector<ResultRow> rows = {run("lora", 0, 4, {2, 1}), run("lora", 1, 8, {4, 1.5})};
  const FigurePlan shown = plan_figure(FigureKind::convergence, rows);
  ASSERT_EQ(shown.panels.size(), 2U);
  EXPECT_THAT(shown.panels[0].title, "cola: by step");
  const auto& by_step = shown.panels[0].lines[0].points;
  ASSERT_EQ(by_step.size(), 2U);
  EXPECT_EQ(by_step[0].x, 10);
  EXPECT_DOUBLE_EQ(*by_step[0].value.value, 3);
  EXPECT_DOUBLE_EQ(*by_step[1].value.value, 1.25);
  EXPECT_TRUE(by_step[0].value.interval);
  const auto& by_time = shown.panels[1].lines[0].points;
  EXPECT_DOUBLE_EQ(by_time[0].x, 3);  // half of the runs' mean of 6 seconds
  EXPECT_DOUBLE_EQ(by_time[1].x, 6);
  EXPECT_NE(shown.panels[0].x_group, shown.panels[1].x_group);
}

TEST_F(ConvergenceFigure, DrawsTheStepsThatAllSeedsHaveAndThinsThem) {
  const FigurePlan common = plan_figure(
      FigureKind::convergence, {run("lora", 0, 4, {2, 1, 3}), run("lora", 1, 8, {4, 1.5})});
  EXPECT_EQ(common.panels[0].lines[0].points.size(), 2U);
  std::vector<double> losses;
  for (int i = 0; i < 250; ++i) losses.push_back(i);
  const FigurePlan thin = plan_figure(FigureKind::convergence, {run("lotr", 0, 4, losses)});
  const auto& points = thin.panels[0].lines[0].points;
  ASSERT_EQ(points.size(), 84U);
  EXPECT_DOUBLE_EQ(*points[0].value.value, 1);  // of 0, 1, 2
  EXPECT_DOUBLE_EQ(points[0].x, 30);
  EXPECT_DOUBLE_EQ(points.back().x, 2500);
}

TEST_F(ConvergenceFigure, DrawsTheBestSettingOfEachMethodWhereThereAreMany) {
  std::vector<ResultRow> rows;
  for (int rank = 1; rank <= 9; ++rank) {
    rows.push_back(run("lora", 0, 1, {1, 1}, std::to_string(rank)));
    rows.back().score = rank == 4 ? 0.9 : 0.1;
  }
  const FigurePlan shown = plan_figure(FigureKind::convergence, rows);
  EXPECT_THAT(names(shown.panels[0].lines), ElementsAre("lora, rank 4"));
  EXPECT_THAT(shown.note, HasSubstr("best-scoring setting"));
  rows.pop_back();
  EXPECT_EQ(plan_figure(FigureKind::convergence, rows).panels[0].lines.size(), 8U);
}

TEST_F(ConvergenceFigure, NeedsEventFilesBesideFinishedRuns) {
  EXPECT_THAT(failure(FigureKind::convergence, two_tasks()), HasSubstr("a folder of runs"));
  std::vector<ResultRow> rows = {run("lora", 0, 4, {})};
  EXPECT_THAT(failure(FigureKind::convergence, rows), HasSubstr("train/loss"));
  rows[0].score = std::nan("");
  EXPECT_THAT(failure(FigureKind::convergence, rows), HasSubstr("no finished run"));
}

TEST(ForwardsFigure, ShowsTheMeanScoreByThePassesOfTraining) {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& method, int seed, std::size_t forwards,
                       const std::vector<double>& scores) {
    return scored_run(folder.path, method, seed, forwards, scores);
  };
  const FigurePlan shown = plan_figure(
      FigureKind::forwards, {run("lora", 1, 1, {0.5, 0.7}), run("lora", 2, 1, {0.6, 0.9, 0.9}),
                             run("lotr", 1, 6, {0.5})});
  ASSERT_EQ(shown.panels.size(), 1u);
  EXPECT_EQ(shown.panels[0].x_label, "forward passes");
  const auto& lora = shown.panels[0].lines[0].points;
  ASSERT_EQ(lora.size(), 2u);
  EXPECT_DOUBLE_EQ(lora[0].x, 10);
  EXPECT_DOUBLE_EQ(*lora[0].value.value, 55);
  EXPECT_DOUBLE_EQ(*lora[1].value.value, 80);
  EXPECT_DOUBLE_EQ(shown.panels[0].lines[1].points[0].x, 60);
}

TEST(ForwardsFigure, NeedsRunsThatTellTheirPasses) {
  const TemporaryFolder folder;
  EXPECT_THAT(failure(FigureKind::forwards, two_tasks()), HasSubstr("a folder of runs"));
  const ResultRow row = scored_run(folder.path, "lora", 1, 1, {0.5});
  write_run(folder.path / "lora/1", whole_run("lora", 1, 0.5));
  EXPECT_THAT(failure(FigureKind::forwards, {row}), HasSubstr("forward passes"));
}

std::vector<SingularValue> spectrum() {
  return {{"q.0", 0, "q", 1, 3}, {"q.0", 0, "q", 2, 1}, {"v.0", 0, "v", 1, 2},
          {"q.1", 1, "q", 1, 2}, {"v.1", 1, "v", 1, 5}, {"v.1", 1, "v", 2, 1e-9}};
}

TEST(SpectrumFigure, ShowsALineForEachLayer) {
  const FigurePlan shown = plan_spectrum(spectrum());
  ASSERT_EQ(shown.panels.size(), 2U);
  EXPECT_EQ(shown.panels[0].title, "q");
  EXPECT_THAT(names(shown.panels[0].lines), ElementsAre("layer 0", "layer 1"));
  EXPECT_EQ(shown.panels[0].lines[0].points.size(), 2U);
  EXPECT_EQ(shown.panels[1].lines[1].points.size(), 1U);  // without what is rounding
  EXPECT_THROW(plan_spectrum({}), Error);
  EXPECT_THROW(plan_spectrum({{"q.0", 0, "q", 1, 0}}), Error);
}

TEST(Spectrum, IsReadAsItWasWritten) {
  const TemporaryFolder folder;
  const auto file = folder.path / "spectrum.csv";
  write_atomically(file, spectrum_csv(spectrum()));
  const std::vector<SingularValue> values = read_spectrum(file);
  ASSERT_EQ(values.size(), 6U);
  EXPECT_EQ(values[4].site, "v.1");
  EXPECT_EQ(values[4].layer, 1U);
  EXPECT_EQ(values[5].value, 1e-9);
  for (const std::string row :
       {"a,x,q,1,1", "a,0,q,0,1", "a,0,q,1,-1", "a,0,q,1,nan", "a,0,,1,1"}) {
    write_atomically(file, "site,layer,matrix,index,value\n" + row + "\n");
    EXPECT_THROW(read_spectrum(file), Error) << row;
  }
  write_atomically(file, "site,layer\na,0\n");
  EXPECT_THROW(read_spectrum(file), Error);
}

TEST_F(ConvergenceFigure, AndAllOthersAreDrawnInBothSizesWithTheSameBytes) {
  if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
  std::vector<ResultRow> fits = two_tasks(), depths = measured();
  for (ResultRow& row : fits) row.metric = "relative_error";
  for (ResultRow& row : depths)
    if (row.rank == "4") row.rank = "1";
  for (const std::string& kind : figure_kinds()) {
    std::vector<ResultRow> rows = kind == "error" ? fits : kind == "depth" ? depths : measured();
    if (kind == "convergence") rows = {run("lora", 0, 4, {2, 1}), run("lotr", 0, 8, {4, 2})};
    if (kind == "forwards") rows = {scored_run(folder_.path, "lora", 1, 2, {0.5, 0.7})};
    std::vector<std::string> drawn;
    for (const std::string size : {"single", "double", "double"}) {
      FigureRequest request{kind, rows, folder_.path / "figure.svg"};
      request.size = size;
      request.spectrum = spectrum();
      draw_figure(request);
      drawn.push_back(read_text(request.out));
    }
    EXPECT_THAT(drawn[0], HasSubstr("width=\"312\"")) << kind;  // 3.25 inches of 96 pixels
    EXPECT_THAT(drawn[1], HasSubstr("width=\"648\"")) << kind;
    EXPECT_EQ(drawn[1], drawn[2]) << kind;
  }
}

}  // namespace
}  // namespace rankfold
