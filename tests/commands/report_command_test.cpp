#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/figures/figure.h"
#include "command_line.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ReportCommand : public testing::Test {
 protected:
  ReportCommand() {
    write("results.csv",
          "task,model,method,rank,seed,parameters,metric,score\n"
          "cola,m,lora,8,1,8000,matthews_correlation,0.5\n"
          "cola,m,lora,16,1,16000,matthews_correlation,nan\n");
  }
  void write(const std::string& name, const std::string& text) const {
    write_atomically(folder_.path / name, text);
  }
  std::string path(const std::string& name) const { return (folder_.path / name).string(); }
  const TemporaryFolder folder_;
};

TEST_F(ReportCommand, WritesThePageIntoAFolderThatItMakes) {
  const Outcome made = call(
      {"report", path("results.csv"), "--out", path("new/page.html"), "--title", "Scores <b>"});
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(made.out, path("new/page.html") + "\n");
  EXPECT_EQ(made.err, "");
  EXPECT_THAT(read_text(path("new/page.html")), HasSubstr("<title>Scores &lt;b&gt;</title>"));
}

TEST_F(ReportCommand, TellsWhatItMadeAsJson) {
  const Outcome made = call("report --json --out " + path("page.html") + " " + path("results.csv"));
  ASSERT_EQ(made.status, 0) << made.err;
  EXPECT_EQ(made.json()["runs"], 2);
  EXPECT_EQ(made.json()["bytes"], std::filesystem::file_size(path("page.html")));
  EXPECT_EQ(made.json()["figures"][0], "parameter-efficiency");
  EXPECT_EQ(made.json()["figures"].size() + made.json()["left_out"].size(), figure_kinds().size());
}

TEST_F(ReportCommand, NamesRunsThatItCannotRead) {
  write("runs/sweep.json", R"({"runs": [{"folder": "later", "settings": {"method": "lora"}}]})");
  write("runs/bad/run.json", "{");
  const Outcome made = call("report " + path("runs") + " --out " + path("page.html"));
  EXPECT_EQ(made.status, 0);
  EXPECT_THAT(made.err,
              AllOf(testing::StartsWith(path("runs/bad/run.json") + ": is not valid JSON"),
                    testing::EndsWith("; left out of figures and scores\n")));
}

TEST_F(ReportCommand, RefusesWrongCallsAndLeavesNoFileBehind) {
  std::filesystem::create_directories(path("empty"));
  write("empty/notes.txt", "");
  write("file", "");
  const auto refused = [&](const std::string& words, int status) {
    const Outcome outcome = call("report " + words);
    EXPECT_EQ(outcome.status, status) << words;
    EXPECT_EQ(outcome.error_lines(), 1u) << outcome.err;
    return outcome.err;
  };
  const std::string out = " --out " + path("page.html");
  EXPECT_THAT(refused(path("results.csv"), 2), HasSubstr("--out is missing"));
  EXPECT_THAT(refused(out, 2), HasSubstr("INPUT is missing"));
  EXPECT_THAT(refused(path("results.csv") + " --out " + path("results.csv"), 2),
              AllOf(HasSubstr("'.csv'"), HasSubstr(".html")));
  EXPECT_THAT(refused(path("missing") + out, 1), HasSubstr("not found"));
  EXPECT_THAT(refused(path("empty") + out, 1), HasSubstr("found no run.json"));
  EXPECT_THAT(refused(path("empty/notes.txt") + out, 1), HasSubstr("notes.txt"));
  EXPECT_FALSE(std::filesystem::exists(path("page.html")));
  EXPECT_THAT(refused(path("results.csv") + " --out " + path("file/page.html"), 1),
              HasSubstr("page.html"));
  EXPECT_THAT(refused(path("results.csv") + " --out /dev/full", 1), HasSubstr("/dev/full"));
}

}  // namespace
}  // namespace rankfold
