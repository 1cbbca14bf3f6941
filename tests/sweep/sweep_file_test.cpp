#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "sweep/sweep_fixture.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

TEST(SweepFile, HoldsKeysAndValues) {
  const std::vector<SweepEntry> entries =
      entries_of("# a comment\n\nkind = count\r\n  rank=1, 2 # more\ndata = a#b\n");
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(entries[0].key, "kind");
  EXPECT_EQ(entries[0].value, "count");
  EXPECT_THAT(entries[0].where, HasSubstr("sweep.txt:3"));
  EXPECT_EQ(entries[1].value, "1, 2");
  EXPECT_EQ(entries[2].value, "a#b");
}

TEST(SweepFile, TakesAByteOrderMarkAndNoLastLineEnd) {
  EXPECT_EQ(entries_of("\xEF\xBB\xBFrank = 1").front().key, "rank");
  EXPECT_TRUE(entries_of("").empty());
}

TEST(SweepFile, RefusesBrokenLines) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"rank = 1\nrank 2\n", ":2: found 'rank 2'"},
      {"= 1\n", ":1: found no key"},
      {"rank =\n", ":1: rank has no value"},
      {"rank = # 1\n", ":1: rank has no value"},
      {"rank = 1\nlr = 1\nrank = 2\n", ":3: rank stands twice"},
      {std::string("rank = 1\0\n", 10), ":1: found a control character"},
      {"rank = \x1b[31m1\n", ":1: found a control character"}};
  for (const auto& [text, message] : wrong)
    EXPECT_THAT(message_of<UsageError>([&] { entries_of(text); }), HasSubstr(message));
  const TemporaryFolder folder;
  EXPECT_THAT(message_of<Error>([&] { read_sweep_file(folder.path); }),
              HasSubstr(folder.path.string()));
  EXPECT_THAT(message_of<Error>([&] { read_sweep_file(folder.path / "none"); }), HasSubstr("none"));
}

std::string refusal(const std::string& lines) {
  return message_of<UsageError>([&] { parse_sweep(entries_of(lines), builtin_registry()); });
}

TEST(ParseSweep, NamesLineAndNearestKey) {
  EXPECT_THAT(refusal("kind = count\nrnk = 1\n"),
              HasSubstr(":2: unknown key 'rnk'; did you mean 'rank'"));
  EXPECT_THAT(refusal("lora.rnk = 1\n"),
              HasSubstr("unknown key of lora 'rnk'; did you mean 'rank'"));
  EXPECT_THAT(refusal("lorra.rank = 1\n"), HasSubstr("did you mean 'lora'"));
  EXPECT_THAT(refusal("stack = one\n"), HasSubstr("write lotr.stack"));
  EXPECT_THAT(refusal("lora.method = lotr\n"), HasSubstr("unknown key of lora 'method'"));
  EXPECT_THAT(refusal("lora.stack = one\n"), HasSubstr("unknown key of lora 'stack'"));
}

TEST(ParseSweep, KnowsWhatAKeyIsFor) {
  const Sweep sweep = parse_sweep(
      entries_of("cola.epochs = 2, 4\nlora.cola.lr = 1e-3\nset = lotr.cola.stack=one\n"),
      builtin_registry());
  EXPECT_THAT(sweep.scoped.at({"", "cola"}).at("epochs"), testing::ElementsAre("2", "4"));
  EXPECT_THAT(sweep.scoped.at({"lora", "cola"}).at("lr"), testing::ElementsAre("1e-3"));
  EXPECT_THAT(sweep.scoped.at({"lotr", "cola"}).at("stack"), testing::ElementsAre("one"));
  EXPECT_THAT(refusal("cola.epoch = 2\n"), HasSubstr("key of cola 'epoch'; did you mean 'epochs'"));
  EXPECT_THAT(refusal("lora.kola.lr = 1\n"), HasSubstr("did you mean 'cola'"));
  EXPECT_THAT(refusal("cola.task = sst2\n"), HasSubstr("unknown key of cola 'task'"));
  EXPECT_THAT(refusal("cola.stack = one\n"), HasSubstr("unknown key of cola 'stack'"));
  EXPECT_THAT(refusal("cola.lora.lr = 1\n"), HasSubstr("METHOD.TASK.KEY"));
  EXPECT_THAT(refusal("cola.lr = fast\n"), HasSubstr(":1: --lr is 'fast'"));
  EXPECT_THAT(refusal("kind = count\ncola.rank = 2\n"), HasSubstr("for kind = train"));
  EXPECT_THAT(refusal("lora.lr = 1\ncola.lr = 2\n"), HasSubstr("expected lora.cola.lr too"));
  EXPECT_EQ(refusal("lora.lr = 1\ncola.lr = 2\nlora.cola.lr = 3\n"), "");
}

TEST(ParseSweep, RefusesValuesThatCannotBe) {
  EXPECT_THAT(refusal("kind = counts\n"), HasSubstr("did you mean 'count'"));
  EXPECT_THAT(refusal("kind = fut\n"), HasSubstr("did you mean 'fit'"));
  EXPECT_THAT(refusal("kind = train, count\n"), HasSubstr("one value"));
  EXPECT_THAT(refusal("rank = 1,,2\n"), HasSubstr("empty value"));
  EXPECT_THAT(refusal("rank = ,\n"), HasSubstr("empty value"));
  EXPECT_THAT(refusal("targets = q,v;\n"), HasSubstr("empty value"));
  EXPECT_THAT(refusal("jobs = 0\n"), HasSubstr("jobs"));
  EXPECT_THAT(refusal("jobs = two\n"), HasSubstr("'two'"));
  EXPECT_THAT(refusal("budget = -5\n"), HasSubstr("'-5'"));
  EXPECT_THAT(refusal("budget = 1000\nrank = 8\n"), HasSubstr("exclude each other"));
  EXPECT_THAT(refusal("budget = 1000\nlora.rank = 8\n"), HasSubstr("exclude each other"));
  EXPECT_THAT(refusal("labels = 3\n"), HasSubstr("kind = count"));
  EXPECT_THAT(refusal("kind = fit\nlr = 1e-3\n"), HasSubstr(":2: lr is not for kind = fit"));
  EXPECT_THAT(refusal("kind = fit\nlora.lr = 1e-3\n"), HasSubstr("lora.lr is not for"));
  EXPECT_THAT(refusal("kind = fit\nlabels = 2\n"), HasSubstr("labels is not for"));
  EXPECT_THAT(refusal("kind = fit\njobs = 2\n"), HasSubstr("jobs is not for"));
  EXPECT_THAT(refusal("kind = fit\nthreads = 1,2\n"), HasSubstr("one value"));
  EXPECT_THAT(refusal("kind = fit\nseed = one\n"), HasSubstr("'one'"));
  EXPECT_THAT(refusal("kind = fit\nstarts = 0\n"), HasSubstr("starts"));
  EXPECT_THAT(refusal("kind = fit\ntolerance = -1\n"), HasSubstr("'-1'"));
  EXPECT_THAT(refusal("kind = fit\nheads = x\n"), HasSubstr("'x'"));
  EXPECT_THAT(refusal("kind = count\ninput = a.npy\n"), HasSubstr("input is for kind = fit"));
  EXPECT_THAT(refusal("set = stack\n"), HasSubstr("key=value"));
  EXPECT_THAT(refusal("set = stak=one\n"), HasSubstr("no method has a key 'stak'"));
}

TEST(ParseSweep, ChecksTheKeysOfMethodsThatTheGridDoesNotHave) {
  const std::string grid = "method = lora\nrank = 1\n";
  EXPECT_THAT(refusal(grid + "lotr.stack = per-typ\n"),
              HasSubstr(":3: unknown value of lotr.stack 'per-typ'; did you mean 'per-type'"));
  EXPECT_THAT(refusal(grid + "lotr.stack = one, both\n"), HasSubstr("'both'"));
  EXPECT_THAT(refusal(grid + "lotr.lr = fast\n"), HasSubstr(":3: --lr is 'fast'"));
  EXPECT_THAT(refusal(grid + "lotr.lr = -1\n"), HasSubstr(":3: --lr is -1"));
  EXPECT_THAT(refusal(grid + "loretta_rep.bottleneck = wide\n"), HasSubstr("'wide'"));
  EXPECT_THAT(refusal(grid + "loretta_rep.shape-a = 8,12,eight\n"), HasSubstr("8,12,eight"));
  EXPECT_THAT(refusal(grid + "set = rslora=yes\n"), HasSubstr("'yes'"));
  EXPECT_EQ(refusal(grid + "lotr.stack = per-type\nlotr.lr = 1e-3\nloretta_rep.shape-a = 8,12\n"),
            "");
}

TEST(ParseSweep, SplitsListsAtSemicolons) {
  const Sweep sweep = parse_sweep(
      entries_of("rank = 1, 2\ntargets = q,v ; q,k,v,o\nlayers = 0,2;all\n"
                 "loretta_rep.shape-a = 8,12,8,8; 8,8,12,8\nlotr.stack = one, per-type\n"
                 "lora.targets = q,v;k\n"),
      builtin_registry());
  EXPECT_EQ(sweep.common.at("rank"), (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(sweep.common.at("targets"), (std::vector<std::string>{"q,v", "q,k,v,o"}));
  EXPECT_EQ(sweep.common.at("layers"), (std::vector<std::string>{"0,2", "all"}));
  EXPECT_EQ(sweep.scoped.at({"loretta_rep", ""}).at("shape-a"),
            (std::vector<std::string>{"8,12,8,8", "8,8,12,8"}));
  EXPECT_EQ(sweep.scoped.at({"lotr", ""}).at("stack"),
            (std::vector<std::string>{"one", "per-type"}));
  EXPECT_EQ(sweep.scoped.at({"lora", ""}).at("targets"), (std::vector<std::string>{"q,v", "k"}));
}

TEST(ParseSweep, TakesASettingByItsOtherName) {
  const Sweep sweep = parse_sweep(
      entries_of("targets-like = *.mlp.*,*.q_proj ; *.query\nlora.targets-like = *.key\n"),
      builtin_registry());
  EXPECT_THAT(sweep.common.at("targets"), testing::ElementsAre("*.mlp.*,*.q_proj", "*.query"));
  EXPECT_THAT(sweep.scoped.at({"lora", ""}).at("targets"), testing::ElementsAre("*.key"));
  EXPECT_FALSE(sweep.common.contains("targets-like"));
}

TEST(ParseSweep, ABackslashKeepsASeparatorInItsValue) {
  const Registry registry = builtin_registry();
  const Sweep sweep = parse_sweep(
      entries_of("model = a\\,b, c\\d\ntargets = q,v ; k\nmethod = lora\nlayers = 0\\;1\n"),
      registry);
  EXPECT_THAT(sweep.common.at("model"), testing::ElementsAre("a,b", "c\\d"));
  EXPECT_THAT(sweep.common.at("targets"), testing::ElementsAre("q,v", "k"));
  EXPECT_THAT(sweep.common.at("layers"), testing::ElementsAre("0;1"));
}

TEST(ParseSweep, SaysHowToWriteAFolderThatHasACommaInItsName) {
  const Registry registry = builtin_registry();
  const TemporaryFolder folder;
  const auto parse = [&](const std::string& model) {
    return parse_sweep({{"model", folder.path / model, "--model"}}, registry);
  };
  std::filesystem::create_directories(folder.path / "a,b");
  EXPECT_THAT(message_of<UsageError>([&] { parse("a,b"); }), HasSubstr("a,b is the name of one"));
  EXPECT_THAT(parse("a\\,b").common.at("model"),
              testing::ElementsAre((folder.path / "a,b").string()));
  // Two that are there are two.
  std::filesystem::create_directories(folder.path / "a");
  EXPECT_EQ(parse("a," + (folder.path / "a").string()).common.at("model").size(), 2U);
}

TEST(ParseSweep, SpreadsSetOverTheMethodsThatHaveTheKey) {
  const Sweep sweep =
      parse_sweep(entries_of("set = rslora=true lotr.stack=per-type\n"), builtin_registry());
  EXPECT_EQ(sweep.scoped.at({"lora", ""}).at("rslora").front(), "true");
  EXPECT_EQ(sweep.scoped.at({"lotr", ""}).at("rslora").front(), "true");
  EXPECT_EQ(sweep.scoped.at({"lotr", ""}).at("stack").front(), "per-type");
}

TEST(ParseSweep, NamesAnOptionOfTheCommandLineOnce) {
  const auto refused = [](const char* where) {
    return message_of<UsageError>([&] {
      parse_sweep({{"batch", "0", where}}, builtin_registry());
    });
  };
  EXPECT_THAT(refused("--batch"), testing::StartsWith("--batch is 0;"));
  EXPECT_THAT(refused("a.sweep:3"), testing::StartsWith("a.sweep:3: --batch is 0;"));
}

TEST(ParseSweep, TextsHaveBlanks) {
  const Sweep sweep =
      parse_sweep(entries_of("set = init=text init-text=Is it so\\, or not? rslora=true\n"
                             "prompt = Post \\#{text} # {a comment}\n"),
                  builtin_registry());
  EXPECT_EQ(sweep.scoped.at({"prompt", ""}).at("init-text").front(), "Is it so, or not?");
  EXPECT_EQ(sweep.scoped.at({"lora", ""}).at("rslora").front(), "true");
  EXPECT_EQ(sweep.common.at("prompt").front(), "Post #{text}");
  EXPECT_EQ(entries_of("\\#a = b\\#c\n").front().value, "b\\#c");
  EXPECT_THAT(refusal("set = init-text so\n"), HasSubstr("found 'init-text so'"));
}

}  // namespace
}  // namespace rankfold
