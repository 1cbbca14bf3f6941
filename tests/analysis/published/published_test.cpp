#include "analysis/published/published.h"

#include <algorithm>
#include <cmath>
#include <map>

#include <gmock/gmock.h>

#include "core/base/error.h"

namespace rankfold {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const std::vector<PublishedScore>& published() {
  static const auto cells = read_published(published_tables());
  return cells;
}

bool has_flag(const PublishedScore& cell, const std::string& flag) {
  return std::find(cell.flags.begin(), cell.flags.end(), flag) != cell.flags.end();
}

/// The one cell that is asked for.
PublishedScore find(const std::string& paper, const std::string& table, const std::string& task,
                    const std::string& model, const std::string& method, const std::string& setting,
                    const std::string& metric) {
  for (const PublishedScore& cell : published()) {
    if (cell.paper == paper && cell.table == table && cell.task == task && cell.model == model &&
        cell.method == method && cell.setting == setting && cell.metric == metric) {
      return cell;
    }
  }
  throw Error("no such cell: {} {} {} {} {} {}", paper, table, task, model, method, setting);
}

TEST(Published, HoldsAsManyCellsAsTheTables) {
  std::map<std::string, int> cells;
  for (const PublishedScore& cell : published()) ++cells[cell.paper + " " + cell.table];
  EXPECT_THAT(cells, UnorderedElementsAre(
                         Pair("LoTR glue/lora.csv", 6 * 7), Pair("LoTR glue/lotr.csv", 6 * 7),
                         Pair("LoRETTA 1", 14 * 9), Pair("LoRETTA 2", 7 * 7),
                         Pair("LoRETTA 4", 4 * 4), Pair("LoRETTA 6", 2 * 4 * 2),
                         Pair("LoRETTA 7", 3 * 3), Pair("LoRETTA 11", 2 * 6 * 3),
                         Pair("DoRA commonsense", 10 + 3 + 3), Pair("DoRA mt-bench", 2 * 4),
                         Pair("DoRA llava", 3), Pair("DoRA vl-bart-image-text", 3),
                         Pair("DoRA vl-bart-video-text", 3), Pair("TensLoRA+ README", 4 * 2)));
}

TEST(Published, EveryCellIsAFiniteScore) {
  for (const PublishedScore& cell : published())
    EXPECT_TRUE(std::isfinite(cell.score) && cell.score > 0) << cell.origin;
}

TEST(Published, HoldsWhatTheSourcesPrint) {
  const auto lotr = find("LoTR", "glue/lotr.csv", "cola", "roberta-base", "lotr", "rank=32",
                         "matthews_correlation");
  EXPECT_DOUBLE_EQ(lotr.score, 0.5260722438494364);
  EXPECT_EQ(lotr.parameters, 75264);
  EXPECT_EQ(lotr.unit, ScoreUnit::fraction);

  const auto adapter =
      find("LoRETTA", "1", "rte", "microsoft/deberta-base", "loretta_adp", "", "accuracy");
  EXPECT_DOUBLE_EQ(adapter.score, 75.50);
  EXPECT_EQ(adapter.parameters, 100000);
  EXPECT_THAT(adapter.flags, ElementsAre("re-aligned"));

  const auto drop = find("LoRETTA", "2", "drop", "Llama-2-7B", "loretta_adp", "", "f1");
  EXPECT_DOUBLE_EQ(drop.score, 51.60);
  EXPECT_EQ(drop.parameters, 880000);

  const auto ablation = find("LoRETTA", "11", "mrpc", "microsoft/deberta-base", "loretta_rep",
                             "head=none norms-trained=no", "f1");
  EXPECT_DOUBLE_EQ(ablation.score, 87.5);
  EXPECT_EQ(ablation.parameters, 14000);

  const auto dora = find("DoRA", "commonsense", "commonsense-average", "LLaMA3-8B", "dora",
                         "rank=32", "accuracy");
  EXPECT_DOUBLE_EQ(dora.score, 85.2);
  EXPECT_FALSE(dora.parameters);
  EXPECT_FALSE(dora.deviation);

  EXPECT_DOUBLE_EQ(find("TensLoRA+", "README", "cola", "roberta-base", "tenslora+",
                        "rank=8 lambda=16", "matthews_correlation")
                       .score,
                   0.5658);
}

TEST(Published, AveragesAreThoseOfTheirRowsUnlessFlagged) {
  struct Row {
    double sum = 0;
    int cells = 0;
    const PublishedScore* average = nullptr;
  };
  std::map<std::vector<std::string>, Row> rows;
  for (const PublishedScore& cell : published()) {
    if (cell.paper != "LoRETTA" || (cell.table != "1" && cell.table != "4")) continue;
    Row& row = rows[{cell.table, cell.model, cell.method, cell.setting}];
    if (cell.task == "average") {
      row.average = &cell;
    } else {
      row.sum += cell.score;
      ++row.cells;
    }
  }
  ASSERT_EQ(rows.size(), 18U);
  for (const auto& [key, row] : rows) {
    ASSERT_NE(row.average, nullptr) << key[2];
    // The sources round or cut at two digits.
    if (!has_flag(*row.average, "average-differs")) {
      EXPECT_NEAR(row.average->score, row.sum / row.cells, 0.01) << row.average->origin;
    }
  }
}

TEST(Published, LotrTablesCountTheFormulaAndAConstant) {
  for (const PublishedScore& cell : published()) {
    if (cell.paper != "LoTR") continue;
    const std::int64_t r = std::stoll(cell.setting.substr(cell.setting.find('=') + 1));
    const std::int64_t expected =
        cell.method == "lotr" ? 2 * 768 * r + 24 * r * r : 24 * 2 * 768 * r;
    EXPECT_EQ(cell.parameters.value() - 1536, expected) << cell.origin;
  }
}

TEST(Published, RefusesWhatIsNoTableOfScores) {
  const auto message = [&](const std::string& text) -> std::string {
    const PublishedTable table{"table.csv", text};
    try {
      read_published({&table, 1});
    } catch (const Error& error) {
      return error.what();
    }
    return "accepted";
  };
  const std::string header =
      "paper,table,task,model,method,setting,parameters,metric,unit,score,deviation,flag,source\n";
  EXPECT_EQ(message(header + "p,1,cola,m,lora,r=1,10,f1,percent,50,,,s\n"), "accepted");
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,10,f1,percent,nan,,,s\n"),
              AllOf(HasSubstr("table.csv:2"), HasSubstr("score 'nan'")));
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,10,f1,fraction,50,,,s\n"),
              HasSubstr("from -1 to 1"));
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,10,f1,percent,101,,,s\n"),
              HasSubstr("from -100 to 100"));
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,10,f1,stars,50,,,s\n"),
              HasSubstr("unit 'stars'"));
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,0.1M,f1,percent,50,,,s\n"),
              HasSubstr("parameters '0.1M'"));
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,10,f1,percent,50,-1,,s\n"),
              HasSubstr("deviation '-1'"));
  EXPECT_THAT(message(header + "p,1,cola,m,,r=1,10,f1,percent,50,,,s\n"), HasSubstr("no method"));
  EXPECT_THAT(message(header + "p,1,cola,m,lora,r=1,10,f1,percent,50,,,s\n"
                               "p,1,cola,m,lora,r=1,10,f1,percent,51,,,s\n"),
              AllOf(HasSubstr("table.csv:3"), HasSubstr("table.csv:2")));
  EXPECT_THAT(message("paper,table\np,1\n"), HasSubstr("task"));
  EXPECT_THAT(message(""), HasSubstr("empty"));
}

}  // namespace
}  // namespace rankfold
