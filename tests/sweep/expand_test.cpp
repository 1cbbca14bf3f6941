#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "core/base/error.h"
#include "experiments/runs/run_paths.h"
#include "experiments/sweep/count_sweep.h"
#include "experiments/sweep/shape_store.h"
#include "sweep/sweep_fixture.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

const std::string training = "model = m\ndata = d\ntask = sst2\nlr = 1e-3\n";

TEST(Expand, IsTheProductOfTheGrid) {
  const auto runs = runs_of(training + "method = lora, lotr\nrank = 1,2,4\nseed = 1,2\n");
  ASSERT_EQ(runs.size(), 12U);
  EXPECT_EQ(runs[0].settings.text("method"), "lora");
  EXPECT_EQ(runs[0].settings.text("seed"), "1");
  EXPECT_EQ(runs[1].settings.text("seed"), "2");
  EXPECT_EQ(runs[1].settings.text("rank"), "1");
  EXPECT_EQ(runs[6].settings.text("method"), "lotr");
}

TEST(Expand, TakesAPromptAsItStands) {
  const std::string prompt = "Review, {text}; or \\n {title} was {label}";
  const auto runs = runs_of(
      "model = m\ndata = d\ntask = own.csv\nlr = 1e-3\nmethod = lora\nrank = 1,2\nprompt = " +
      prompt + "\n");
  ASSERT_EQ(runs.size(), 2U);
  EXPECT_EQ(runs[1].settings.text("prompt"), prompt);
}

TEST(Expand, IsDeterministic) {
  const std::string lines =
      training + "method = lotr, lora\nrank = 4,2\nlotr.stack = one,per-type\n";
  EXPECT_EQ(runs_of(lines), runs_of(lines));
}

TEST(Expand, ModelsAndTasksVarySlowest) {
  const auto runs = runs_of(
      "model = a, b\ndata = d\ntask = sst2, cola\nlr = 1e-3\n"
      "method = lora, lotr\nrank = 1\n");
  ASSERT_EQ(runs.size(), 8U);
  EXPECT_EQ(runs[3].settings.text("model"), "a");
  EXPECT_EQ(runs[4].settings.text("model"), "b");
  EXPECT_EQ(runs[1].settings.text("task"), "sst2");
  EXPECT_EQ(runs[1].settings.text("method"), "lotr");
}

TEST(Expand, RemovesRepetitions) {
  EXPECT_EQ(runs_of(training + "method = none\nrank = 1,2,4\ntargets = q,v;k\n").size(), 1U);
  EXPECT_EQ(runs_of(training + "method = lora\nrank = 1, 1, 01\n").size(), 1U);
  EXPECT_EQ(runs_of(training + "method = lora, lora\nrank = 1\n").size(), 1U);
  EXPECT_EQ(runs_of("model = m\ndata = d\ntask = sst2\nlr = 1e-3, 0.001\nmethod = lora\nrank = 1\n")
                .size(),
            1U);
  // The default of targets, and of alpha, written out.
  EXPECT_EQ(runs_of(training + "method = lora\nrank = 1\ntargets = q,v\nalpha = 8\n").size(), 1U);
  EXPECT_EQ(
      runs_of("kind = count\nmodel = roberta-base\nmethod = lora\nrank = 1\nseed = 1,2\n").size(),
      1U);
}

TEST(Expand, TakesAFolderForTheSameHoweverItIsTyped) {
  const std::string here = std::filesystem::current_path().string();
  EXPECT_EQ(runs_of("model = m, ./m/, " + here + "/m, n/../m\ndata = d, " + here +
                    "/d\ntask = sst2\nlr = 1e-3\nmethod = lora\nrank = 1\n")
                .size(),
            1U);
}

TEST(Expand, KeysOfAMethodReplaceTheCommonOnes) {
  const auto runs = runs_of(training +
                            "method = lora, lotr\nrank = 1\nlora.lr = 2e-3, 4e-3\n"
                            "lotr.stack = one, per-type\n");
  ASSERT_EQ(runs.size(), 4U);
  EXPECT_EQ(runs[0].settings.text("lr"), "2e-3");
  EXPECT_EQ(runs[1].settings.text("lr"), "4e-3");
  EXPECT_EQ(runs[2].settings.text("lr"), "1e-3");
  EXPECT_EQ(runs[0].settings.options.count("stack"), 0U);
  EXPECT_EQ(runs[3].settings.options.at("stack"), "per-type");
}

TEST(Expand, KeysOfATaskReplaceTheCommonOnesAndThoseOfBothEither) {
  const auto runs = runs_of(
      "model = m\ndata = d\ntask = sst2, cola\nlr = 1e-3\nmethod = lora, lotr\nrank = 1\n"
      "cola.epochs = 80\ncola.lr = 2e-3, 3e-3\nlotr.cola.lr = 5e-3\nlotr.cola.stack = per-type\n");
  ASSERT_EQ(runs.size(), 5U);
  const auto tell = [&](std::size_t run) {
    const RunSettings& settings = runs[run].settings;
    const auto stack = settings.options.find("stack");
    return fmt::format("{} {} {} {} {}", settings.text("task"), settings.text("method"),
                       settings.text("lr"), settings.text("epochs"),
                       stack == settings.options.end() ? "-" : stack->second);
  };
  EXPECT_EQ(tell(0), "sst2 lora 1e-3 3 -");
  EXPECT_EQ(tell(1), "sst2 lotr 1e-3 3 -");
  EXPECT_EQ(tell(2), "cola lora 2e-3 80 -");
  EXPECT_EQ(tell(3), "cola lora 3e-3 80 -");
  EXPECT_EQ(tell(4), "cola lotr 5e-3 80 per-type");
}

TEST(Expand, ATableIsATaskByItsFileWithoutTheEnding) {
  const std::string lines =
      "model = m\ndata = d\nmethod = none, lora\nrank = 1\nlr = 1\n"
      "task = cola, in/my.moods.csv, cola.tsv, lora.jsonl\nmy.moods.epochs = 7\n"
      "none.my.moods.lr = 2\ncola.tsv.epochs = 8\ncola.epochs = 9\nlora.epochs = 10\n"
      "lora.my.moods.epochs = 11\nlora.cola.epochs = 12\nlora.cola.tsv.epochs = 13\n";
  std::set<std::string> found;
  for (const PlannedRun& run : runs_of(lines)) {
    const auto text = [&](const char* name) { return run.settings.text(name); };
    found.insert(text("method") + " " + text("task") + " " + text("epochs") + " " + text("lr"));
  }
  EXPECT_EQ(found, (std::set<std::string>{"none cola 9 1", "none in/my.moods.csv 7 2",
                                          "none cola.tsv 8 1", "none lora.jsonl 3 1",
                                          "lora cola 12 1", "lora in/my.moods.csv 11 1",
                                          "lora cola.tsv 13 1", "lora lora.jsonl 10 1"}));
  // Those of a sweep alone.
  const Registry registry = builtin_registry();
  EXPECT_THAT(message_of<UsageError>([&] {
                parse_sweep(entries_of("task = moods.csv\nlora.mood.lr = 1\n"), registry);
              }),
              HasSubstr("sweep.txt:2: unknown task 'mood'"));
  EXPECT_THAT(message_of<UsageError>([&] {
                parse_sweep(entries_of("kind = count\ntask = moods.csv\nmoods.lr = 1\n"), registry);
              }),
              HasSubstr("moods.lr is of a task, which is for kind = train"));
}

TEST(WithLastWord, TheCommandLineReplacesNarrowerKeysOfTheFile) {
  const Registry registry = builtin_registry();
  const std::vector<SweepEntry> file = entries_of(
      "task = cola, moods.csv\nlr = 1\nlora.lr = 2\ncola.lr = 3\nlora.cola.lr = 4\n"
      "lotr.lr = 5\nmoods.lr = 6\nlora.targets = q\nlr-head = 7\n");
  const auto left = [&](const std::vector<SweepEntry>& given, std::vector<std::string>& told) {
    std::string keys;
    for (const SweepEntry& entry : with_last_word(file, given, registry, told))
      keys += entry.key + "=" + entry.value + " ";
    return keys;
  };
  std::vector<std::string> told;
  EXPECT_EQ(left({{"lr", "9", "--lr"}, {"cola.lr", "8", "--cola.lr"}}, told),
            "task=cola, moods.csv lora.targets=q lr-head=7 lr=9 cola.lr=8 ");
  EXPECT_THAT(told, testing::ElementsAre("--lr has the last word: without lora.lr, cola.lr, "
                                         "lora.cola.lr, lotr.lr, moods.lr of the file"));
  told.clear();
  EXPECT_EQ(left({{"lora.lr", "9", "--lora.lr"}}, told),
            "task=cola, moods.csv lr=1 cola.lr=3 lotr.lr=5 moods.lr=6 lora.targets=q lr-head=7 "
            "lora.lr=9 ");
  EXPECT_THAT(told, testing::ElementsAre(HasSubstr("without lora.cola.lr of")));
  told.clear();
  left({{"targets-like", "q,v", "--targets-like"}, {"seed", "1", "--seed"}}, told);
  EXPECT_THAT(told, testing::ElementsAre(HasSubstr("without lora.targets of")));
}

TEST(Expand, KeysOfAWrappedMethodAreThoseOfBoth) {
  const std::string grid = "kind = count\nmodel = roberta-base\nrank = 2\n";
  const auto options_of = [&](const std::string& lines) {
    std::vector<std::map<std::string, std::string>> found;
    for (const PlannedRun& run : runs_of(grid + lines)) found.push_back(run.settings.options);
    return found;
  };
  using Options = std::map<std::string, std::string>;
  EXPECT_EQ(options_of("method = dora(lotr)\ndora(lotr).norm = graph, detached\n"
                       "dora(lotr).stack = per-type\n"),
            (std::vector<Options>{{{"norm", "graph"}, {"stack", "per-type"}},
                                  {{"norm", "detached"}, {"stack", "per-type"}}}));
  EXPECT_EQ(options_of("set = norm=graph stack=per-type\nmethod = dora(lotr), lora\n"),
            (std::vector<Options>{{{"norm", "graph"}, {"stack", "per-type"}}, {}}));
}

TEST(Expand, ThreadsAreOneWhereNotGiven) {
  EXPECT_EQ(runs_of(training + "method = lora\nrank = 1\njobs = 4\n")[0].settings.text("threads"),
            "1");
  EXPECT_EQ(
      runs_of(training + "method = lora\nrank = 1\nthreads = 2\n")[0].settings.text("threads"),
      "2");
}

TEST(Expand, MakesFitsOfFilesWithoutAModel) {
  const auto runs = runs_of(
      "kind = fit\ninput = b.npy, a.npy\nmethod = lora, full\nrank = 1, 2\nlora.alpha = 2\n"
      "seed = 3, 3\n");
  ASSERT_EQ(runs.size(), 6U);
  EXPECT_EQ(runs[0].input, "b.npy");
  EXPECT_EQ(runs[3].input, "a.npy");
  EXPECT_EQ(runs[1].settings.text("rank"), "2");
  EXPECT_EQ(runs[1].settings.text("alpha"), "2");
  EXPECT_EQ(runs[2].settings.text("method"), "full");
  EXPECT_EQ(describe(runs[0]), "lora rank 1 on b.npy, alpha 2, seed 3");
}

TEST(Expand, RefusesWhatIsMissingOrTooMuch) {
  const auto refusal = [](const std::string& lines) {
    return message_of<UsageError>([&] { runs_of(lines); });
  };
  EXPECT_THAT(refusal("method = lora\n"), HasSubstr("model is missing"));
  EXPECT_THAT(refusal("model = m\nrank = 1\n"), HasSubstr("method is missing"));
  EXPECT_THAT(refusal("kind = fit\nmethod = lora\n"), HasSubstr("input is missing"));
  EXPECT_THAT(refusal(training + "method = lorra\n"), HasSubstr("did you mean 'lora'"));
  EXPECT_THAT(refusal("model = m\nmethod = lora\nrank = 1\ndata = d\ntask = sst2\n"),
              HasSubstr("--lr is missing"));
  std::string many;
  for (int i = 1; i <= 1001; ++i) many += (i > 1 ? "," : "") + std::to_string(i);
  EXPECT_THAT(refusal(training + "method = lora\nrank = " + many + "\nseed = " + many + "\n"),
              HasSubstr("more than 1000000"));
}

TEST(Expand, GivesABudgetTheLargestRankThatFits) {
  const Registry registry = builtin_registry();
  const Sweep sweep =
      parse_sweep(entries_of("kind = count\nmodel = roberta-base\nmethod = lora, lotr, full, none\n"
                             "budget = 100000, 10000\n"),
                  registry);
  ShapeStore store(SweepKind::count);
  const Expansion expansion =
      expand(sweep, registry, [&](const Method& method, const PlannedRun& run, std::size_t budget) {
        return rank_within_budget(method, run, budget, store);
      });
  std::vector<std::string> found;
  for (const PlannedRun& run : expansion.runs)
    found.push_back(run.settings.text("method") + run.settings.text("rank"));
  // LoRA has 36864 r parameters, LoTR 1536 r + 24 r^2.
  EXPECT_THAT(found, testing::ElementsAre("lora2", "lotr40", "lotr5", "full", "none"));
  EXPECT_EQ(expansion.skipped.size(), 1U);
  EXPECT_THAT(expansion.skipped[0], HasSubstr("lora"));
}

TEST(RankWithinBudget, IsExact) {
  const Registry registry = builtin_registry();
  ShapeStore store(SweepKind::count);
  PlannedRun run;
  run.settings.values = {{"model", "roberta-base"}, {"method", "lora"}};
  const Method& lora = registry.at("lora");
  EXPECT_EQ(rank_within_budget(lora, run, 36863, store), std::nullopt);
  for (const std::size_t rank : {1U, 2U, 3U, 7U, 8U, 9U, 767U}) {
    EXPECT_EQ(rank_within_budget(lora, run, 36864 * rank, store), std::to_string(rank));
    EXPECT_EQ(rank_within_budget(lora, run, 36864 * (rank + 1) - 1, store), std::to_string(rank));
  }
  // The limit of the method, not that of the budget.
  EXPECT_EQ(rank_within_budget(lora, run, std::size_t{1} << 60, store), "768");
}

TEST(CountSweep, WritesOneRowASetting) {
  const Registry registry = builtin_registry();
  ShapeStore store(SweepKind::count);
  const auto runs = runs_of(
      "kind = count\nmodel = roberta-base\nmethod = lora, lotr\nrank = 2, 8\n"
      "targets = q,v\nlotr.stack = one, per-type\ntrain = norms\n");
  const std::string csv = counts_csv(count_runs(runs, registry, store));
  EXPECT_THAT(csv, testing::StartsWith("model,method,rank,targets,layers,train,lotr.stack,matrices,"
                                       "adapted_layers,adapter,trainable\n"));
  EXPECT_THAT(csv, HasSubstr("roberta-base,lora,8,\"q,v\",all,norms,,24,12,294912,333312\n"));
  EXPECT_THAT(csv, HasSubstr("roberta-base,lotr,2,\"q,v\",all,norms,one,24,12,3168,41568\n"));
}

TEST(CountSweep, GivesTheTensorTrainHeadOfMethodsWithoutARankRankFive) {
  const Registry registry = builtin_registry();
  ShapeStore store(SweepKind::count);
  const auto runs = runs_of(
      "kind = count\nmodel = roberta-base\nmethod = none, full, lora\nrank = 5\ntrain = tt-head\n");
  const std::vector<CountRow> rows = count_runs(runs, registry, store);
  ASSERT_EQ(rows.size(), 3U);
  const std::size_t head = rows[2].count.trainable - rows[2].count.adapter;
  EXPECT_EQ(rows[0].count.trainable, head);
  EXPECT_EQ(rows[1].count.trainable - rows[1].count.adapter, head);
}

TEST(CountSweep, NamesTheRunThatDoesNotFit) {
  const Registry registry = builtin_registry();
  ShapeStore store(SweepKind::count);
  const auto runs = runs_of("kind = count\nmodel = roberta-base\nmethod = lora\nrank = 8, 4096\n");
  EXPECT_THAT(message_of<UsageError>([&] { count_runs(runs, registry, store); }),
              HasSubstr("(in lora rank 4096 on roberta-base)"));
}

TEST(CountSweep, CountsTenThousandSettings) {
  const Registry registry = builtin_registry();
  ShapeStore store(SweepKind::count);
  std::string ranks;
  for (int i = 1; i <= 768; ++i) ranks += (i > 1 ? "," : "") + std::to_string(i);
  const auto runs =
      runs_of("kind = count\nmodel = roberta-base\nmethod = lora, lotr, lorta\nrank = " + ranks +
              "\nlayers = all;first:6;last:6;first:1;last:1\n");
  const auto rows = count_runs(runs, registry, store);
  EXPECT_GE(rows.size(), 10000U);
  const std::string text = counts_csv(rows);
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(text, '\n')), rows.size() + 1);
}

TEST(Expand, ColumnsAreForTheTablesOfASweepThatHasSome) {
  const std::string lines = "model = m\ndata = d\nmethod = none\nlr = 1\ntext = first,second\n";
  const auto runs = runs_of(lines + "label = a, b\ntask = cola, moods.csv\n");
  ASSERT_EQ(runs.size(), 3U);
  EXPECT_FALSE(runs[0].settings.values.contains("text"));
  EXPECT_EQ(runs[1].settings.text("text"), "first,second");
  EXPECT_EQ(runs[2].settings.text("label"), "b");
  EXPECT_EQ(runs_of(lines + "task = cola\n")[0].settings.text("text"), "first,second")
      << "so that the run is refused";
}

RunSettings run_of(std::map<std::string, std::string> values,
                   std::map<std::string, std::string> options = {}) {
  RunSettings run;
  run.values = {{"model", "models/tiny"}, {"data", "d"}, {"task", "sst2"}, {"method", "lora"},
                {"lr", "5e-4"},           {"rank", "8"}, {"threads", "1"}};
  for (const auto& [name, value] : values) run.values[name] = value;
  run.options = std::move(options);
  const Registry registry = builtin_registry();
  return canonical(run, &registry.at(run.text("method")));
}

std::vector<std::string> paths_of(const std::vector<RunSettings>& runs) {
  std::vector<std::string> texts;
  const Registry registry = builtin_registry();
  RunPaths paths(registry);
  for (const RunSettings& run : runs) paths.add(run);
  for (const RunSettings& run : runs) texts.push_back(paths.path(run).string());
  return texts;
}

TEST(RunPaths, ShowWhatVariesOrIsNotTheDefault) {
  EXPECT_THAT(paths_of({run_of({})}),
              testing::ElementsAre("sst2/tiny/lora/lr=5e-4/rank=8/seed=42"));
  EXPECT_THAT(paths_of({run_of({{"batch", "16"}, {"alpha", "4"}})}),
              testing::ElementsAre("sst2/tiny/lora/lr=5e-4/rank=8/alpha=4/batch=16/seed=42"));
  EXPECT_THAT(paths_of({run_of({}), run_of({{"batch", "16"}})}),
              testing::ElementsAre("sst2/tiny/lora/lr=5e-4/rank=8/batch=32/seed=42",
                                   "sst2/tiny/lora/lr=5e-4/rank=8/batch=16/seed=42"));
  EXPECT_THAT(paths_of({run_of({{"method", "lotr"}}, {{"stack", "per-type"}})}),
              testing::ElementsAre("sst2/tiny/lotr/lr=5e-4/rank=8/stack=per-type/seed=42"));
}

TEST(RunPaths, DifferencesOfMethodsAreNoVariation) {
  // Their default alphas differ.
  EXPECT_THAT(paths_of({run_of({}), run_of({{"method", "lotr"}})}),
              testing::ElementsAre("sst2/tiny/lora/lr=5e-4/rank=8/seed=42",
                                   "sst2/tiny/lotr/lr=5e-4/rank=8/seed=42"));
}

TEST(RunPaths, APresetHidesWhatItSets) {
  EXPECT_THAT(paths_of({run_of({{"preset", "lotr-repository"}})}),
              testing::ElementsAre("sst2/tiny/lora/lr=5e-4/rank=8/preset=lotr-repository/seed=42"));
}

TEST(RunPaths, AreSafe) {
  EXPECT_EQ(path_safe("q,v"), "q,v");
  EXPECT_EQ(path_safe("first:6"), "first:6");
  EXPECT_EQ(path_safe("a/b=c d\n"), "a%2Fb%3Dc%20d%0A");
  EXPECT_EQ(path_safe(".."), "%2E.");
  const std::string path = paths_of({run_of({{"layers", "0,1"}, {"model", "/tmp/.."}})}).front();
  EXPECT_EQ(path.find(".."), std::string::npos);
}

TEST(RunPaths, OfManyRunsNeverMeet) {
  std::vector<RunSettings> runs;
  for (const char* method : {"lora", "lotr"})
    for (const char* rank : {"1", "8"})
      for (const char* batch : {"16", "32"})
        for (const char* clip : {"0", "1"})
          for (const char* seed : {"42", "43"})
            runs.push_back(run_of({{"method", method},
                                   {"rank", rank},
                                   {"batch", batch},
                                   {"clip", clip},
                                   {"seed", seed}}));
  const std::vector<std::string> paths = paths_of(runs);
  EXPECT_EQ(std::set<std::string>(paths.begin(), paths.end()).size(), runs.size());
}

}  // namespace
}  // namespace rankfold
