#include <algorithm>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/core.h>

#include "experiments/tasks/task.h"
#include "folder.h"
#include "source_paths.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;

constexpr const char* movies = "movieReviewSnippets_GroundTruth.txt";

std::vector<Example> all_examples(const Dataset& dataset) {
  std::vector<Example> all;
  for (Split split : {Split::train, Split::held_out, Split::dev}) {
    const auto& some = examples(dataset, split);
    all.insert(all.end(), some.begin(), some.end());
  }
  return all;
}

std::map<std::string, float> labels_by_text(const Dataset& dataset) {
  std::map<std::string, float> labels;
  for (const Example& example : all_examples(dataset)) labels[example.text] = example.label;
  return labels;
}

/// Positive rows first, then negative ones, as the file of movies has them; CR LF, no last LF.
std::string sorted_rows(int count) {
  std::string rows;
  for (int i = 1; i <= count; ++i) {
    rows += fmt::format("{}\t{}\tSnippet number {}.{}", i, i <= count / 2 ? 1.5 : -2.25, i,
                        i == count ? "" : "\r\n");
  }
  return rows;
}

TEST(Sentiment, NormalisesWhiteSpaceAndAsciiCase) {
  EXPECT_EQ(normalise_text(" \tA  Big\r\n\v\fDog \xC3\x89! "), "a big dog \xC3\x89!");
  EXPECT_EQ(normalise_text(""), "");
  EXPECT_EQ(normalise_text("  "), "");
}

TEST(Sentiment, HashIsFnv1a) {
  // Test vectors of Fowler, Noll and Vo (draft-eastlake-fnv).
  EXPECT_EQ(text_hash(""), 0xcbf29ce484222325U);
  EXPECT_EQ(text_hash("a"), 0xaf63dc4c8601ec8cU);
  EXPECT_EQ(text_hash("foobar"), 0x85944171f73967e8U);
  EXPECT_EQ(text_hash(" FooBar\r"), text_hash("foobar"));
}

TEST(Sentiment, TheHashModuloTenDecidesTheSplit) {
  for (int i = 0; i < 200; ++i) {
    const std::string text = fmt::format("text {}", i);
    const auto slot = text_hash(text) % 10;
    const Split expected = slot <= 6 ? Split::train : slot == 7 ? Split::held_out : Split::dev;
    EXPECT_EQ(sentiment_split(text), expected);
  }
}

TEST(Sentiment, EveryRowLandsInItsSplitWhateverTheOrderOfTheFile) {
  const Folder folder;
  folder.write(movies, "1\t1\tLast in the other file\r\n" + sorted_rows(200));
  const Dataset dataset = load_dataset(find_task("movies"), folder.path());
  folder.write(movies, sorted_rows(200) + "\r\n1\t1\tLast in the other file");
  const Dataset moved = load_dataset(find_task("movies"), folder.path());
  EXPECT_EQ(all_examples(dataset).size(), 201);
  for (Split split : {Split::train, Split::held_out, Split::dev}) {
    ASSERT_EQ(examples(dataset, split).size(), examples(moved, split).size());
    for (std::size_t i = 0; i < examples(dataset, split).size(); ++i) {
      EXPECT_EQ(sentiment_split(examples(dataset, split)[i].text), split);
      EXPECT_EQ(examples(dataset, split)[i].text, examples(moved, split)[i].text);
    }
  }
}

TEST(Sentiment, TheFirstRowsOfTrainMixBothLabelsThoughTheFileIsSorted) {
  const Folder folder;
  folder.write(movies, sorted_rows(400));
  const Dataset dataset = load_dataset(find_task("movies"), folder.path(), 60);
  ASSERT_EQ(dataset.train.size(), 60);
  const auto positive = std::count_if(dataset.train.begin(), dataset.train.end(),
                                      [](const Example& example) { return example.label == 1; });
  EXPECT_GT(positive, 15);
  EXPECT_LT(positive, 45);
}

TEST(Sentiment, LeavesOutRatingsNearerThanAHalfToNeutral) {
  const Folder folder;
  folder.write(movies, sorted_rows(100) +
                           "\r\na\t0.5\tJust positive\r\nb\t-0.5\tJust negative\r\n"
                           "c\t0.4999\tNearly positive\r\nd\t0\tNeutral\r\ne\t-0.45\tMeh");
  const Dataset classes = load_dataset(find_task("movies"), folder.path());
  EXPECT_EQ(classes.neutral_removed, 3);
  auto labels = labels_by_text(classes);
  EXPECT_EQ(labels.size(), 102);
  EXPECT_EQ(labels.at("Just positive"), 1.0F);
  EXPECT_EQ(labels.at("Just negative"), 0.0F);
  EXPECT_EQ(labels.count("Neutral"), 0);

  const Dataset ratings = load_dataset(find_task("movies-regression"), folder.path());
  EXPECT_EQ(ratings.neutral_removed, 0);
  labels = labels_by_text(ratings);
  EXPECT_EQ(labels.size(), 105);
  EXPECT_EQ(labels.at("Meh"), -0.45F);
  EXPECT_EQ(labels.at("Snippet number 100."), -2.25F);
}

TEST(Sentiment, RemovesRowsThatRepeatAText) {
  const Folder folder;
  folder.write(movies, sorted_rows(100) + "\r\nx\t3\tsnippet  NUMBER 100. \r\ny\t1\tNew\r\n");
  const Dataset dataset = load_dataset(find_task("movies"), folder.path());
  EXPECT_EQ(dataset.duplicates_removed, 1);
  EXPECT_EQ(all_examples(dataset).size(), 101);
  EXPECT_EQ(labels_by_text(dataset).at("Snippet number 100."), 0.0F);
}

TEST(Sentiment, FindsEachFileByItsNameHereOrInTheArchivesFolder) {
  const std::map<std::string, std::string> files = {
      {"movies", movies},
      {"products", "amazonReviewSnippets_GroundTruth.txt"},
      {"tweets", "tweets_GroundTruth.txt"},
      {"editorials", "nytEditorialSnippets_GroundTruth.txt"}};
  for (const fs::path& inside : {fs::path(), fs::path("hutto_ICWSM_2014")}) {
    for (const auto& [task, file] : files) {
      const Folder folder;
      EXPECT_THAT(message_of([&] { load_dataset(find_task(task), folder.path()); }),
                  AllOf(StartsWith(folder.path().string()), HasSubstr(file)));
      folder.write(inside / file, sorted_rows(60));
      EXPECT_EQ(all_examples(load_dataset(find_task(task), folder.path())).size(), 60);
      EXPECT_EQ(all_examples(load_dataset(find_task(task + "-regression"), folder.path())).size(),
                60);
    }
  }
}

TEST(Sentiment, NamesFileAndLineOfBrokenRows) {
  struct Case {
    const char* rows;
    const char* line;
    const char* expected;
  };
  const Case cases[] = {
      {"1\t1.5\n", ":1: found 2 TAB", "expected 3"},
      {"1\t1.5\tFine\n2\tgood\tFine too\n", ":2: found 'good' in column 'rating'", "from -4 to 4"},
      {"1\t4.5\tFine\n", ":1: found '4.5' in column 'rating'", "from -4 to 4"},
      {"1\t1.5\t\n", ":1: found no text in column 'text'", "expected a sentence"},
      {"1\t1.5\tFine\n", ": found 1 usable rows", "expected both"},
      {"", ": found an empty file", "expected rows"},
  };
  for (const Case& broken : cases) {
    const Folder folder;
    const auto file = folder.write(movies, broken.rows);
    EXPECT_THAT(message_of([&] { load_dataset(find_task("movies"), folder.path()); }),
                AllOf(StartsWith(file.string() + broken.line), HasSubstr(broken.expected)));
  }
}

TEST(Sentiment, TheRealSetsAreWholeAndNoTextStraddles) {
  const char* given = std::getenv("RANKFOLD_SENTIMENT");
  const fs::path root = given ? fs::path(given) : fs::path(RANKFOLD_SOURCE_DIR "/.cache/sentiment");
  if (!fs::exists(root)) {
    GTEST_SKIP() << "set RANKFOLD_SENTIMENT to the parent of hutto_ICWSM_2014; tried " << root;
  }
  const std::map<std::string, std::size_t> rows = {
      {"movies", 10605}, {"products", 3708}, {"tweets", 4200}, {"editorials", 5190}};
  for (const auto& [set, count] : rows) {
    for (const std::string& task : {set, set + "-regression"}) {
      const Dataset dataset = load_dataset(find_task(task), root);
      std::set<std::string> texts;
      for (const Example& example : all_examples(dataset)) {
        EXPECT_TRUE(texts.insert(normalise_text(example.text)).second) << example.text;
      }
      EXPECT_EQ(texts.size() + dataset.duplicates_removed + dataset.neutral_removed, count) << task;
      fmt::print("{}: {} duplicates, {} neutral removed\n", task, dataset.duplicates_removed,
                 dataset.neutral_removed);
      for (Split split : {Split::train, Split::held_out, Split::dev}) {
        const auto& some = examples(dataset, split);
        double sum = 0;
        for (const Example& example : some) sum += example.label;
        EXPECT_GT(some.size(), count / 30);
        fmt::print("  {} rows, mean label {:.3f}\n", some.size(),
                   sum / static_cast<double>(some.size()));
      }
    }
  }
}

}  // namespace
}  // namespace rankfold
