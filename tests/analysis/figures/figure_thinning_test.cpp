#include "analysis/figures/figure_thinning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure_plan.h"
#include "core/base/error.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;

const std::vector<std::string> rates = {"1e-4", "3e-4", "1e-3", "3e-3", "1e-2", "3e-2", "1e-1"};

/// Two methods, two ranks, seven rates; the best rate is 1e-3 for lora, and 1e-2 for lotr's rank 4.
std::vector<ResultRow> grid() {
  std::vector<ResultRow> rows;
  for (const std::string method : {"lora", "lotr"}) {
    for (const std::string rank : {"1", "4"}) {
      const std::string best = method == "lotr" && rank == "4" ? "1e-2" : "1e-3";
      for (const std::string& rate : rates) {
        for (int seed = 0; seed < 2; ++seed) {
          const double score = (rate == best ? 0.8 : 0.5) + 0.01 * seed + 0.1 * std::stoi(rank) / 4;
          rows.push_back(result("sst2", method, rank, seed, 1000 * std::stoi(rank), score));
          rows.back().settings["lr"] = rate;
        }
      }
    }
  }
  return rows;
}

TEST(ThinnedRows, AreAllWhereLinesCanBeToldApart) {
  std::vector<ResultRow> rows = grid();
  std::erase_if(rows, [](const ResultRow& row) {
    return row.settings.at("lr") != "1e-4" && row.settings.at("lr") != "1e-3";
  });
  EXPECT_EQ(thin_rows(FigureKind::parameter_efficiency, rows).rows.size(), rows.size());
  EXPECT_EQ(thin_rows(FigureKind::parameter_efficiency, rows).note, "");
}

TEST(ThinnedRows, HaveTheBestSettingAtEachPointOfAMethodWithMany) {
  const FigurePlan shown = plan_figure(FigureKind::parameter_efficiency, grid());
  ASSERT_EQ(shown.panels[0].lines.size(), 2U);
  EXPECT_EQ(shown.panels[0].lines[1].points.size(), 2U);
  EXPECT_DOUBLE_EQ(*shown.panels[0].lines[1].points[1].value.value, 90.5);
  EXPECT_EQ(shown.panels[0].lines[1].points[1].value.count, 2U);
  EXPECT_THAT(shown.note,
              AllOf(HasSubstr("Of up to 7 settings (lr) the best"), HasSubstr("flatters")));
}

TEST(ThinnedRows, NeverChooseAmongLayersTargetsAndRows) {
  std::vector<ResultRow> rows = grid();
  for (ResultRow& row : rows)
    row.settings["targets"] = "q,v," + row.settings.extract("lr").mapped();
  EXPECT_EQ(thin_rows(FigureKind::parameter_efficiency, rows).rows.size(), rows.size());
}

TEST(ThinnedRows, LeaveOutDivergedSettings) {
  std::vector<ResultRow> rows = grid();
  for (ResultRow& row : rows)
    if (row.settings["lr"] == "1e-4") row.score = std::nan("");
  const ThinnedRows thinned = thin_rows(FigureKind::parameter_efficiency, rows);
  for (const ResultRow& row : thinned.rows) EXPECT_TRUE(std::isfinite(*row.score));
}

TEST(ThinnedRows, HaveOneRankOfEachMethodAlongRates) {
  std::vector<ResultRow> rows;
  for (int rank = 1; rank <= 512; rank *= 2) {
    for (const std::string& rate : rates) {
      for (const char* method : {"lora", "lotr"}) {
        const bool best = rank == (method == std::string("lora") ? 64 : 8) && rate == "1e-3";
        rows.push_back(
            result("sst2", method, std::to_string(rank), 1, 100 * rank, best ? 0.9 : 0.5));
        rows.back().settings["lr"] = rate;
      }
    }
  }
  const FigurePlan shown = plan_figure(FigureKind::learning_rate, rows);
  ASSERT_EQ(shown.panels[0].lines.size(), 2U);
  EXPECT_EQ(shown.panels[0].lines[0].points[0].rank, "64");
  EXPECT_EQ(shown.panels[0].lines[1].points[0].rank, "8");
  EXPECT_EQ(shown.panels[0].lines[0].points.size(), 7U);
  EXPECT_EQ(shown.panels[0].lines[0].name, "lora, rank 64");
  EXPECT_EQ(shown.panels[0].lines[0].csv_name, "lora");
  EXPECT_THAT(shown.note, HasSubstr("Of each method's ranks the best-scoring one."));
}

TEST(ThinnedRows, HaveTheMiddleRankOfCountsAlongDepth) {
  std::vector<ResultRow> rows;
  for (int rank = 1; rank <= 512; rank *= 2) {
    for (const int layers : {2, 4}) {
      rows.push_back(result("", "lora", std::to_string(rank), 1, 100 * rank * layers, 0));
      rows.back().score.reset();
      rows.back().metric.clear();
      rows.back().layers = "first:" + std::to_string(layers);
    }
  }
  const FigurePlan shown = plan_figure(FigureKind::depth, rows);
  ASSERT_EQ(shown.panels[0].lines.size(), 1U);
  EXPECT_EQ(shown.panels[0].lines[0].points[0].rank, "16");
  EXPECT_THAT(shown.note, HasSubstr("the middle one"));
}

}  // namespace
}  // namespace rankfold
