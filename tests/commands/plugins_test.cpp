// Libraries given by --plugin: sound ones (docs/examples, tests/commands/plugins) and all that is
// wrong with others.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "commands/process.h"
#include "core/plugin.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class Plugins : public Process {
 protected:
  /// Threads that wait for each other make the contract slow on a busy machine.
  void SetUp() override {
    ::setenv("OMP_NUM_THREADS", "1", 1);
    Process::SetUp();
  }
  void TearDown() override { ::unsetenv("OMP_NUM_THREADS"); }
  std::string file(const std::string& name) const {
    return (program_.parent_path() / (name + "_plugin.so")).string();
  }
  Result run_with(const std::string& plugin, std::vector<std::string> words) {
    words.insert(words.end(), {"--plugin", plugin});
    return run(words);
  }
  /// The faulty plug-in with that fault; with none it is sound.
  Result run_faulty(const std::string& fault, std::vector<std::string> words) {
    ::setenv("FAULT", fault.c_str(), 1);
    Result result = run_with(file("faulty"), std::move(words));
    ::unsetenv("FAULT");
    return result;
  }
  /// One line on standard error, nothing on standard output, status 1 or 2.
  static void expect_refused(const Result& result, const std::string& plugin,
                             const std::string& found, const std::string& expected) {
    SCOPED_TRACE(found);
    EXPECT_TRUE(result.status == 1 || result.status == 2) << result.status;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::ranges::count(result.err, '\n'), 1) << result.err;
    EXPECT_THAT(result.err, AllOf(HasSubstr(plugin), HasSubstr(found), HasSubstr(expected)));
  }

  const std::vector<std::string> count_twice_ = {
      "count", "--model", "roberta-base", "--method", "twice", "--rank", "8"};
};

TEST_F(Plugins, AddMethodsThatCountAndKeepTheContract) {
  const Result counted = run_with(
      file("gated_pair"),
      {"count", "--model", "roberta-base", "--method", "gated_pair", "--rank", "8", "--json"});
  ASSERT_EQ(counted.status, 0) << counted.err;
  EXPECT_EQ(json::parse(counted.out)["adapter"], 24672);
  EXPECT_EQ(run_with(file("gated_pair"), {"check", "method", "gated_pair"}).status, 0);
  EXPECT_EQ(run_with(file("gated_pair"), {"check", "method", "dora(gated_pair)"}).status, 0);
  EXPECT_EQ(
      run({"count", "--model", "roberta-base", "--method", "gated_pair", "--rank", "8"}).status, 2);
}

TEST_F(Plugins, StandOnThePageOfMethods) {
  const TemporaryFolder docs;
  const Result written =
      run_with(file("gated_pair"), {"methods", "--write", docs.path.string(), "--json"});
  ASSERT_EQ(written.status, 0) << written.err;
  EXPECT_THAT(written.out, HasSubstr((docs.path / "methods/gated_pair.svg").string()));
  EXPECT_THAT(read_text(docs.path / "methods.md"), HasSubstr("\n## gated_pair\n"));
}

TEST_F(Plugins, MayNameTheirFunctionsLikeTheProgram) {
  const Result counted = run_faulty("", count_twice_);
  ASSERT_EQ(counted.status, 0) << counted.err;
  EXPECT_THAT(counted.out, HasSubstr("294912"));
}

TEST_F(Plugins, AddWrappersOverEveryMethod) {
  for (const char* name : {"halved", "halved(twice)", "halved(lotr)"})
    EXPECT_EQ(run_faulty("", {"check", "method", name}).status, 0) << name;
}

TEST_F(Plugins, AreAddedOneAfterTheOther) {
  const Result both =
      run({"methods", "--json", "--plugin", file("faulty"), "--plugin=" + file("gated_pair")});
  ASSERT_EQ(both.status, 0) << both.err;
  EXPECT_THAT(both.out, AllOf(HasSubstr("\"twice\""), HasSubstr("\"gated_pair\"")));
  expect_refused(run({"methods", "--plugin", file("faulty"), "--plugin", file("faulty")}),
                 file("faulty"), "two methods are named 'twice'", "a name of its own");
}

TEST_F(Plugins, AreRefusedWhereTheyAreNoWholeLibrary) {
  const auto refuse = [&](const std::string& name, const std::string& found,
                          const std::string& expected) {
    expect_refused(run_with(name, {"methods"}), name, found, expected);
  };
  refuse("/nowhere/plugin.so", "no such file", "expected a shared library");
  refuse(folder_.path.string(), "no such file", "expected a shared library");
  const std::string library = (folder_.path / "library.so").string();
  const std::string whole = read_text(file("gated_pair"));
  write_atomically(library, "no library");
  refuse(library, "found no shared library", "expected one");
  write_atomically(library, "");
  refuse(library, "found no shared library", "expected one");
  for (const std::size_t size : {64, 100, 1000, 5000, 20000}) {
    write_atomically(library, whole.substr(0, size));
    refuse(library, "found " + std::to_string(size) + " bytes", "expected more");
  }
  std::string shifted = whole;
  shifted[32] = shifted[39] = '\x7f';  // where the program headers begin
  write_atomically(library, shifted);
  refuse(library, "found " + std::to_string(whole.size()) + " bytes", "expected more");
  refuse(program_.string(), "cannot be loaded", "position-independent executable");
  EXPECT_EQ(run({"methods", "--plugin"}).status, 2);
}

TEST_F(Plugins, AreRefusedWithoutTheirTwoFunctionsOrWithAnotherVersion) {
  expect_refused(run_with(file("versionless"), {"methods"}), file("versionless"),
                 "found no function rankfold_plugin_version",
                 "expected extern \"C\" int rankfold_plugin_version()");
  expect_refused(run_with(file("silent"), {"methods"}), file("silent"),
                 "found no function rankfold_register",
                 "expected extern \"C\" void rankfold_register(rankfold::Registry&)");
  const std::string expected = fmt::format("expected {} (layout ", plugin_interface);
  expect_refused(run_faulty("version", {"methods"}), file("faulty"),
                 fmt::format("found interface {} (layout ", plugin_interface + 1), expected);
  expect_refused(run_with(file("foreign"), {"methods"}), file("foreign"),
                 fmt::format("found interface {} (layout ", plugin_interface), expected);
}

TEST_F(Plugins, AreRefusedWhereRegisteringFails) {
  const std::vector<std::array<std::string, 3>> faults = {
      {"register throws", "rankfold_register threw 'out of names'", "nothing thrown"},
      {"register throws a number", "threw what is no std::exception", "nothing thrown"},
      {"nothing", "registered nothing", "expected a method"},
      {"name taken", "two methods are named 'lotr'", "a name of its own"},
      {"name of a wrapper", "two methods are named 'dora'", "a name of its own"},
      {"name with a slash", "named '../twice'", "expected a word"},
      {"no declare", "method 'twice' has no declare", "expected a function"},
      {"preset of nothing", "preset paper sets 'size'", "expected one of alpha"}};
  for (const auto& [fault, found, expected] : faults)
    expect_refused(run_faulty(fault, {"methods"}), file("faulty"), found, expected);
}

TEST_F(Plugins, AreNamedWhereTheirMethodsThrow) {
  const std::vector<std::array<std::string, 2>> faults = {
      {"declare throws", "[twice] declare threw 'no such site'"},
      {"declare throws a number", "[twice] declare threw what is no std::exception"},
      {"rank modes throw", "[twice] rank_modes threw what is no std::exception"},
      {"rank limit throws", "[twice] rank_limit threw what is no std::exception"}};
  for (const auto& [fault, found] : faults)
    expect_refused(run_faulty(fault, count_twice_), file("faulty"), found, "rankfold::Error");
  expect_refused(run_faulty("wrap throws", {"count", "--model", "roberta-base", "--method",
                                            "halved(twice)", "--rank", "8"}),
                 file("faulty"), "[halved] wrap threw 'no such wrap'", "rankfold::Error");
  expect_refused(run_faulty("declare refuses", count_twice_), "", "[twice] wants square sites", "");
  const std::vector<std::string> check = {"check", "method", "twice"};
  for (const std::string fault : {"declare throws", "declare returns nonsense", "start throws"}) {
    const Result result = run_faulty(fault, check);
    EXPECT_EQ(result.status, 1) << fault;
    EXPECT_THAT(result.err, HasSubstr("twice")) << fault;
  }
}

TEST_F(Plugins, ASweepKeepsWhatOthersRanWhereAMethodThrows) {
  std::vector<std::string> words = sweep("1", "1");
  *(std::ranges::find(words, "--method") + 1) = "lora,twice";
  const Result result = run_faulty("start throws", words);
  EXPECT_EQ(result.status, 1);
  EXPECT_THAT(result.err, HasSubstr("[twice] start threw 'no such start'"));
  EXPECT_THAT(result.err, HasSubstr("1 done, 1 failed"));
}

}  // namespace
}  // namespace rankfold
