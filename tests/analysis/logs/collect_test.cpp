#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <fstream>
#include <set>

#include "analysis/log_folders.h"
#include "analysis/logs/log_tree.h"
#include "analysis/logs/utf8_text.h"
#include "core/base/csv.h"
#include "source_paths.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Collect = LogFolders;

TEST_F(Collect, GivesTheRowsOfLotr) {
  const fs::path golden = fs::path(RANKFOLD_GOLDEN_DIR) / "logs";
  request_.logs = {golden / "tree"};
  request_.names = {"model", "method", "task", "lr", "rank", "seed"};
  const CollectReport report = collect(request_);
  const CsvTable expected = read_csv(golden / "expected.csv");
  EXPECT_EQ(report.files, 4u);
  EXPECT_EQ(report.rows, expected.rows.size());
  EXPECT_THAT(report.index,
              ElementsAre("model", "method", "task", "lr", "rank", "tag", "step", "seed"));
  EXPECT_THAT(report.columns, ElementsAre("value"));
  EXPECT_TRUE(report.problems.empty());
  const ScalarTable found = table();
  ASSERT_EQ(found.rows, expected.rows.size());
  for (std::size_t row = 0; row < found.rows; ++row)
    for (const std::string& name : expected.columns) {
      const std::string& text = expected.rows[row].fields[expected.position(name)];
      const std::size_t column = found.position(name);
      if (found.columns[column].type == ColumnType::text)
        EXPECT_EQ(found.text(column, row), text);
      else if (text.empty())
        EXPECT_TRUE(std::isnan(found.number(column, row)));
      else
        EXPECT_EQ(found.number(column, row), std::stod(text)) << name << " of row " << row;
    }
  EXPECT_EQ(found.columns[found.position("rank")].type, ColumnType::int64);
  EXPECT_EQ(found.columns[found.position("lr")].type, ColumnType::float64);
}

TEST_F(Collect, MergesOnDiskWhatItSortsInMemory) {
  for (int file = 0; file < 30; ++file)
    write(std::to_string(file % 3) + "/" + std::to_string(file % 7) + "/" + std::to_string(file),
          [&](EventWriter& writer) {
            for (int i = 0; i < 40; ++i) {
              const int step = (i * 7 + file) % 23;  // not in order, some twice
              writer.scalar(i % 3 == 0 ? "train/loss" : "eval/loss", i + 100 * file, step);
            }
          });
  const std::vector<std::vector<std::string>> indices = {
      {}, {"tag", "1"}, {"step"}, {"1", "step", "0", "tag", "2"}, {"2"}, {"tag"}, {"0", "step"}};
  std::set<std::string> different;
  for (const auto& index : indices) {
    request_.index = index;
    request_.rows_in_memory = 1 << 20;
    request_.fan_in = 4096;
    request_.threads = 1;
    collect(request_);
    const std::string in_memory = read_text(request_.out);
    different.insert(in_memory);
    EXPECT_EQ(table().rows, 30u * 40u);
    request_.rows_in_memory = 100;
    request_.fan_in = 2;
    request_.threads = 3;
    collect(request_);
    EXPECT_EQ(read_text(request_.out), in_memory) << "index of " << index.size();
  }
  EXPECT_EQ(different.size(), indices.size());
}

TEST_F(Collect, KeepsEqualRowsInTheOrderOfTheirFiles) {
  write("a/1", 1), write("a/2", 2), write("b/1", 3);
  request_.index = {"tag", "step"};
  collect(request_);
  EXPECT_EQ(column("value"), "1 2 3");
  request_.index = {"tag", "1"};
  collect(request_);
  EXPECT_EQ(column("value"), "1 3 2");
}

TEST_F(Collect, ReadsNumbersAsPythonDoes) {
  const auto value = [](const char* text) { return folder_value(text); };
  using Value = std::variant<std::int64_t, double, std::string>;
  for (const auto& [text, whole] :
       {std::pair("8", 8), {"+8", 8}, {"-8", -8}, {"007", 7}, {"1_000", 1000}, {" 5 ", 5}})
    EXPECT_EQ(value(text), Value(std::int64_t{whole})) << text;
  for (const auto& [text, number] : {std::pair("5e-4", 5e-4),
                                     {"1.000000e-03", 1e-3},
                                     {".5", 0.5},
                                     {"5.", 5.0},
                                     {"-2.5", -2.5},
                                     {"inf", HUGE_VAL},
                                     {"-Infinity", -HUGE_VAL},
                                     {"1_0.5", 10.5}})
    EXPECT_EQ(value(text), Value(number)) << text;
  EXPECT_TRUE(std::isnan(std::get<double>(value("NaN"))));
  for (const char* text : {"0x10", "lora", "1_", "_1", "1__0", "--5", "+-5", "", "8x8x4", "5e",
                           "1 2", "99999999999999999999"})
    EXPECT_EQ(value(text), Value(std::string(text))) << text;
}

TEST_F(Collect, InfersTypesOverAllFiles) {
  write("1/1/a"), write("2/1e-3/2"), write("2/nan/3");
  collect(request_);
  const ScalarTable found = table();
  EXPECT_EQ(found.columns[found.position("0")].type, ColumnType::int64);
  EXPECT_EQ(found.columns[found.position("1")].type, ColumnType::float64);
  EXPECT_EQ(found.columns[found.position("2")].type, ColumnType::text);
  EXPECT_EQ(column("1"), "1 0.001 ");  // what is missing comes last
  EXPECT_EQ(column("2"), "a 2 3");
}

TEST_F(Collect, NamesColumnsByNamedFolders) {
  write("cola/lr=1e-3/rank=8/seed=2"), write("cola/rank=4/seed=1/lr=5e-4");
  write("cola/lr=1e-3/seed=10/set=a%3Db%28c%29"), write("mrpc/rank=/seed=3");
  request_.names = {"task"};
  const CollectReport report = collect(request_);
  EXPECT_THAT(report.index, ElementsAre("task", "lr", "rank", "set", "tag", "step", "seed"));
  EXPECT_EQ(column("task"), "cola cola cola mrpc");
  EXPECT_EQ(column("lr"), "0.0005 0.001 0.001 ");
  EXPECT_EQ(column("rank"), "4 8  ");
  EXPECT_EQ(column("seed"), "1 2 10 3");
  EXPECT_EQ(column("set"), "  a=b(c) ");
}

TEST_F(Collect, KeepsAnyNameAsText) {
  const std::vector<std::string> names = {"a,b",      "\"quoted\" 'too'", "<b>&amp;",
                                          "größe 秩", "new\nline",        "bad \xff byte"};
  for (const std::string& name : names) write(name + "/1");
  collect(request_);
  std::set<std::string> found;
  const ScalarTable all = table();
  for (std::size_t row = 0; row < all.rows; ++row) found.insert(all.text(all.position("0"), row));
  for (const std::string& name : names)
    EXPECT_TRUE(found.contains(name) || name.back() == 'e') << name;
  EXPECT_TRUE(found.contains("bad \\xff byte"));
}

TEST_F(Collect, WritesOnlyUtf8) {
  EXPECT_EQ(utf8_text("plain größe 秩 \xf0\x9f\x99\x82"), "plain größe 秩 \xf0\x9f\x99\x82");
  EXPECT_EQ(utf8_text("\xc0\x80"), "\\xc0\\x80");                    // longer than needed
  EXPECT_EQ(utf8_text("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(utf8_text("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
  EXPECT_EQ(utf8_text("a\xe2\x82"), "a\\xe2\\x82");                  // cut off
}

TEST_F(Collect, KeepsWhatComesBeforeDamage) {
  const auto three = [](EventWriter& writer) {
    for (int step = 1; step <= 3; ++step) writer.scalar("train/loss", step, step);
  };
  const fs::path whole = write("a/1", three), cut = write("a/2", three),
                 damaged = write("a/3", three);
  const std::string bytes = read_text(whole);
  fs::resize_file(cut, bytes.size() - 5);
  std::string changed = bytes;
  changed[changed.size() - 6] ^= 1;  // in the value of step 3
  std::ofstream(damaged, std::ios::binary) << changed;
  std::ofstream(logs_ / "a" / "1" / "events.out.tfevents.none") << "no event file at all";
  const CollectReport report = collect(request_);
  EXPECT_EQ(report.rows, 3u + 2u + 2u);
  ASSERT_EQ(report.problems.size(), 3u);
  EXPECT_EQ(report.problems[0].file.filename(), "events.out.tfevents.none");
  EXPECT_THAT(report.problems[0].text, HasSubstr("damaged record at byte 0: "));
  EXPECT_EQ(report.problems[1].file, cut);
  EXPECT_THAT(report.problems[1].text, HasSubstr("ends inside a record, at byte "));
  EXPECT_EQ(report.problems[2].file, damaged);
  EXPECT_THAT(report.problems[2].text, HasSubstr("damaged record at byte "));
}

TEST_F(Collect, ChoosesTagsByTheirBeginning) {
  write("a/1", [](EventWriter& writer) {
    for (const char* tag : {"train/loss", "test/loss", "train/grad_norm", "eval/accuracy_x",
                            "parameters/adapter", "xeval/loss"})
      writer.scalar(tag, 1, 1);
  });
  collect(request_);
  EXPECT_EQ(column("tag"), "eval/accuracy_x parameters/adapter train/loss");
  request_.tags = "te|train/g";
  collect(request_);
  EXPECT_EQ(column("tag"), "test/loss train/grad_norm");
  request_.tags = "(";
  EXPECT_THAT(failure(), HasSubstr("--tags: '(' is no regular expression of Python"));
  EXPECT_EQ(status_, 2);
  request_.tags = "none";
  EXPECT_THAT(failure(), HasSubstr("found no scalar whose tag begins with none"));
}

TEST_F(Collect, ReadsTagsAsPythonDoes) {
  write("a/1", [](EventWriter& writer) {
    for (const char* tag : {"loss_1", "loss_d", "eval/loss", "train/loss"})
      writer.scalar(tag, 1, 1);
  });
  request_.tags = "loss_\\d";
  collect(request_);
  EXPECT_EQ(column("tag"), "loss_1");
  request_.tags = "(?!train)\\w+/(?:loss)";
  collect(request_);
  EXPECT_EQ(column("tag"), "eval/loss");
}

TEST_F(Collect, ReadsSeveralTrees) {
  write("a/1", 1), write("b/1", 2);
  request_.logs = {logs_ / "b", logs_ / "a"};
  request_.index = {"step"};
  collect(request_);
  EXPECT_EQ(column("value"), "2 1");
  request_.logs = {logs_, logs_ / "a"};
  EXPECT_THAT(failure(), HasSubstr("is the same file as"));
}

TEST_F(Collect, RefusesTreesThatMakeNoTable) {
  fs::create_directories(logs_ / "a");
  EXPECT_THAT(failure(), AllOf(HasSubstr(logs_.string()), HasSubstr("found no event file")));
  request_.logs = {folder_.path / "missing"};
  EXPECT_THAT(failure(), HasSubstr("missing: is no folder"));
  request_.logs = {logs_};
  const fs::path shallow = write("a/b");
  write("c/d/e");
  EXPECT_THAT(failure(), AllOf(HasSubstr("c/d/e"), HasSubstr("lies below 3 folders without a name"),
                               HasSubstr(shallow.string() + " below 2")));
  fs::remove_all(logs_ / "c");
  const fs::path at_root = write(".");
  EXPECT_THAT(failure(),
              AllOf(HasSubstr(at_root.filename().string()), HasSubstr("lies directly in")));
  fs::remove(at_root);
  write("a/x=1/b/x=2");
  EXPECT_THAT(failure(), HasSubstr("'x' is given twice in its path"));
  fs::remove_all(logs_ / "a" / "x=1");
  write("a/b/step=1");
  EXPECT_THAT(failure(), HasSubstr("'step' is the name of a column that event files fill"));
  fs::remove_all(logs_ / "a" / "b" / "step=1");
  write("a/b/0=1");
  EXPECT_THAT(failure(), HasSubstr("two columns are named '0'"));
  EXPECT_FALSE(fs::exists(request_.out));
  EXPECT_EQ(status_, 1);
}

TEST_F(Collect, RefusesWrongNames) {
  write("a/b");
  const auto refuse = [&](const std::string& text) {
    EXPECT_THAT(failure(), HasSubstr(text));
    EXPECT_EQ(status_, 2);
  };
  request_.names = {"task", "task"};
  refuse("--name: 'task' is given twice");
  request_.names = {"value"};
  refuse("--name: 'value' is the name of a column that event files fill");
  request_.names = {"bad \xff byte"};
  refuse("--name: 'bad \\xff byte' is not UTF-8");
  request_.names = {"task", "model", "rank"};
  refuse("--name has 3 names (task model rank)");
  request_.names = {"task"};
  request_.index = {"tsak"};
  refuse("did you mean 'task'?");
  request_.index = {"task", "task"};
  refuse("--index: 'task' is given twice");
  request_.index = {"value"};
  refuse("value is what is indexed");
  request_.index = {};
  request_.level = 23;
  refuse("--level is 23; expected a level of zstd, 1 to 22");
}

TEST_F(Collect, LeavesNothingHalfWritten) {
  for (int file = 0; file < 20; ++file) write("a/" + std::to_string(file));
  write_atomically(request_.out, "PAR1 the old file");
  int calls = 0;
  request_.stop_requested = [&] { return ++calls == 10; };
  EXPECT_THAT(failure(), HasSubstr("stopped"));
  request_.stop_requested = nullptr;
  EXPECT_EQ(read_text(request_.out), "PAR1 the old file");
  request_.out = "/dev/full";
  EXPECT_THAT(failure(), HasSubstr("/dev/full: cannot be written: No space left on device"));
  const auto names = fs::directory_iterator(folder_.path / "out");
  EXPECT_EQ(std::distance(begin(names), end(names)), 1);
}

/// No file of this process grows beyond so many bytes, as on a full disk.
class FileLimit {
 public:
  explicit FileLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{bytes, before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(Collect, SaysWhatCouldNotBeWritten) {
  for (int file = 0; file < 8; ++file)
    write("a/" + std::to_string(file), [](EventWriter& writer) {
      for (int step = 0; step < 1000; ++step) writer.scalar("train/loss", std::sin(step), step);
    });
  {
    const FileLimit limit(2048);
    EXPECT_THAT(failure(), HasSubstr("all.parquet: cannot be written: "));
    request_.rows_in_memory = 10;
    EXPECT_THAT(failure(), HasSubstr("out: cannot write a temporary file for sorting: "));
  }
  EXPECT_TRUE(fs::is_empty(folder_.path / "out"));
}

}  // namespace
}  // namespace rankfold
