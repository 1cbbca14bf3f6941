#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "analysis/figure_rows.h"
#include "analysis/figures/figure.h"
#include "analysis/figures/gnuplot.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class FigureFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (!gnuplot_is_installed()) GTEST_SKIP() << "gnuplot is not installed: no figure is drawn";
  }
  fs::path path(const std::string& name) const { return folder_.path / name; }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path))
      names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  /// Read from `source`, a line each.
  std::vector<ResultRow> rows_of(const fs::path& source) const {
    std::vector<ResultRow> rows = two_tasks();
    for (std::size_t i = 0; i < rows.size(); ++i)
      rows[i].origin = source.string() + ":" + std::to_string(i + 2);
    return rows;
  }
  std::string failure(const FigureRequest& request) const {
    return message_of<Error>([&] { draw_figure(request); });
  }
  const std::vector<SingularValue> values_ = {{"q.0", 0, "q", 1, 3}, {"q.0", 0, "q", 2, 1}};
  const TemporaryFolder folder_;
};

TEST_F(FigureFiles, NeverReplaceTheTableThatTheyAreDrawnFrom) {
  write_atomically(path("in.csv"), "kept");
  const fs::path csv = draw_figure({"rank", rows_of(path("in.csv")), path("in.pdf")});
  EXPECT_EQ(csv, path("in.drawn.csv"));
  EXPECT_EQ(read_text(path("in.csv")), "kept");
  EXPECT_THAT(read_text(csv), StartsWith(csv_beginning));
  // However it is named.
  fs::create_symlink(path("in.csv"), path("link.csv"));
  EXPECT_EQ(draw_figure({"rank", rows_of(path("in.csv")), path("link.svg")}),
            path("link.drawn.csv"));
  EXPECT_EQ(read_text(path("in.csv")), "kept");
}

TEST_F(FigureFiles, NeverReplaceTheSpectrumThatTheyAreDrawnFrom) {
  write_atomically(path("spectrum.csv"), "site,layer,matrix,index,value\n");
  FigureRequest request{.kind = "spectrum", .rows = {}, .out = path("spectrum.svg")};
  request.spectrum = values_;
  request.inputs = {path("spectrum.csv")};
  EXPECT_EQ(draw_figure(request), path("spectrum.drawn.csv"));
  EXPECT_THAT(read_text(path("spectrum.csv")), StartsWith("site,"));
  request.inputs.push_back(path("spectrum.drawn.csv"));
  EXPECT_THROW(draw_figure(request), UsageError);
  request.rows = two_tasks();
  EXPECT_THROW(draw_paper(request, folder_.path / "."), UsageError);
  EXPECT_FALSE(fs::exists(path("rank.pdf")));
}

TEST_F(FigureFiles, OfAPaperLeaveTheResultsAlone) {
  write_atomically(path("spectrum.csv"), "site,layer,matrix,index,value\n");
  write_atomically(path("rank.csv"), "task,model\n");
  FigureRequest request{.kind = "", .rows = rows_of(path("rank.csv")), .out = ""};
  request.spectrum = values_;
  request.inputs = {path("spectrum.csv")};
  draw_paper(request, folder_.path);
  EXPECT_THAT(read_text(path("spectrum.csv")), StartsWith("site,"));
  EXPECT_THAT(read_text(path("rank.csv")), StartsWith("task,"));
  EXPECT_THAT(read_text(path("rank.drawn.csv")), StartsWith(csv_beginning));
}

TEST_F(FigureFiles, DoNotReplaceFilesOfOtherFormats) {
  const std::vector<ResultRow> rows = two_tasks();
  write_atomically(path("a.csv"), "my,own,table\n");
  EXPECT_THAT(failure({"rank", rows, path("a.svg")}),
              AllOf(HasSubstr("a.csv"), HasSubstr("CSV of drawn values")));
  EXPECT_FALSE(fs::exists(path("a.svg")));
  write_atomically(path("b.pdf"), "text");
  EXPECT_THAT(failure({"rank", rows, path("b.pdf")}), HasSubstr("is no PDF file"));
  write_atomically(path("c.tex"), "\\documentclass{article}\n");
  EXPECT_THAT(failure({"rank", rows, path("c.tex")}), HasSubstr("c.tex"));
  EXPECT_FALSE(fs::exists(path("c.csv")));
  // Their own are replaced.
  for (const char* name : {"d.svg", "d.pdf", "d.png", "d.tex"}) {
    draw_figure({"rank", rows, path(name)});
    draw_figure({"rank", rows, path(name)});
  }
}

TEST_F(FigureFiles, OfAPaperAreWrittenTogetherOrNotAtAll) {
  write_atomically(path("figures.tex"), "\\section{mine}\n");
  const std::string message = message_of<Error>(
      [&] { draw_paper({.kind = "", .rows = two_tasks(), .out = ""}, folder_.path); });
  EXPECT_THAT(message, HasSubstr("figures.tex"));
  EXPECT_THAT(files(), testing::ElementsAre("figures.tex"));
}

TEST_F(FigureFiles, LeaveNothingBehindWhereOneCannotBeWritten) {
  fs::create_directory(path("a.svg"));
  EXPECT_NE(failure({"rank", two_tasks(), path("a.svg")}), "");
  EXPECT_THAT(files(), testing::ElementsAre("a.svg"));
  write_atomically(path("file"), "x");
  EXPECT_NE(failure({"rank", two_tasks(), path("file/b.svg")}), "");
  draw_figure({"rank", two_tasks(), path("new/folder/c.svg")});
  EXPECT_TRUE(fs::exists(path("new/folder/c.csv")));
}

}  // namespace
}  // namespace rankfold
