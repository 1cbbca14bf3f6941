#include <algorithm>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "experiments/tokenizers/bert_normalizer.h"
#include "experiments/tokenizers/prefix_tree.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/wordpiece.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using ::testing::ElementsAre;

Tokenizer make_letters() {
  Vocabulary vocabulary;
  const std::vector<std::string> tokens = {"[UNK]", "[CLS]", "[SEP]", "a", "b", "##a", "##ab", "é"};
  for (std::int32_t id = 0; id < static_cast<std::int32_t>(tokens.size()); ++id) {
    vocabulary.insert(tokens[static_cast<std::size_t>(id)], id);
  }
  vocabulary.seal();
  WordPieceOptions options;
  options.max_characters_per_word = 6;
  options.normalizer.strip_accents = false;
  return Tokenizer(std::make_unique<WordPiece>(std::move(vocabulary), options), {},
                   bert_templates(1, 2));
}

TEST(WordPiece, TakesTheLongestTokenFirstAndNeverGoesBack) {
  const Tokenizer letters = make_letters();
  EXPECT_THAT(letters.encode("aab").ids, ElementsAre(1, 3, 6, 2));
  EXPECT_THAT(letters.encode("aabb").ids, ElementsAre(1, 0, 2));
  EXPECT_THAT(letters.encode("aaaaaa").ids, ElementsAre(1, 3, 5, 5, 5, 5, 5, 2));
  EXPECT_THAT(letters.encode("aaaaaaa b").ids, ElementsAre(1, 0, 4, 2));
  EXPECT_THAT(letters.encode("").ids, ElementsAre(1, 2));
}

TEST(WordPiece, CountsCharactersNotBytes) {
  const Tokenizer letters = make_letters();
  EXPECT_THAT(letters.encode("éaaaaa").ids, ElementsAre(1, 7, 5, 5, 5, 5, 5, 2));
  EXPECT_THAT(letters.encode("éaaaaaa").ids, ElementsAre(1, 0, 2));
}

TEST(Tokenizer, TruncatesTheLongerTextFirst) {
  const Tokenizer letters = make_letters();
  const auto lengths = [&](std::size_t first, std::size_t second, std::size_t max_length) {
    std::string one, two;
    for (std::size_t i = 0; i < first; ++i) one += "a ";
    for (std::size_t i = 0; i < second; ++i) two += "b ";
    const Encoding encoding = letters.encode(one, two, max_length);
    EXPECT_EQ(encoding.ids.size(), encoding.type_ids.size());
    return std::pair(std::count(encoding.ids.begin(), encoding.ids.end(), 3),
                     std::count(encoding.ids.begin(), encoding.ids.end(), 4));
  };
  using Lengths = std::pair<std::ptrdiff_t, std::ptrdiff_t>;
  EXPECT_EQ(lengths(4, 5, 12), Lengths(4, 5));
  EXPECT_EQ(lengths(4, 5, 0), Lengths(4, 5));
  EXPECT_EQ(lengths(2, 9, 9), Lengths(2, 4));
  EXPECT_EQ(lengths(9, 2, 9), Lengths(4, 2));
  EXPECT_EQ(lengths(9, 9, 10), Lengths(3, 4));
  EXPECT_EQ(lengths(9, 8, 10), Lengths(4, 3));
  EXPECT_EQ(lengths(9, 8, 3), Lengths(0, 0));
  EXPECT_THAT(letters.encode("a a a", {}, 4).ids, ElementsAre(1, 3, 3, 2));
  EXPECT_THAT(letters.encode("a a a", {}, 2).ids, ElementsAre(1, 2));
}

TEST(Tokenizer, RefusesALengthWithoutRoomForSpecialTokens) {
  const Tokenizer letters = make_letters();
  EXPECT_EQ(message_of<UsageError>([&] { letters.encode("a", {}, 1); }),
            "max-length 1: expected at least 2, the number of special tokens");
  EXPECT_NE(message_of<UsageError>([&] { letters.encode("a", "b", 2); }), "");
}

TEST(Tokenizer, KeepsAnEmptyPairApartFromNoPair) {
  const Tokenizer letters = make_letters();
  EXPECT_THAT(letters.encode("a").ids, ElementsAre(1, 3, 2));
  EXPECT_THAT(letters.encode("a", "").ids, ElementsAre(1, 3, 2, 2));
  EXPECT_THAT(letters.encode("a", "").type_ids, ElementsAre(0, 0, 0, 1));
}

TEST(Tokenizer, SurvivesAnyBytes) {
  const Tokenizer letters = make_letters();
  std::string text;
  std::uint32_t state = 1;
  for (int i = 0; i < 20000; ++i) {
    state = state * 1664525u + 1013904223u;
    text += static_cast<char>(state >> 24);
  }
  for (std::size_t length = 0; length < 300; ++length) {
    const Encoding encoding = letters.encode(std::string_view(text).substr(7 * length, length));
    for (const std::int32_t id : encoding.ids) EXPECT_TRUE(id >= 0 && id < 8);
  }
  EXPECT_THAT(letters.encode("a\xC3").ids, ElementsAre(1, 3, 2));
  EXPECT_THAT(letters.encode("a\xF0\x9F\x98 b").ids, ElementsAre(1, 3, 4, 2));
}

TEST(Tokenizer, MayBeSharedByThreads) {
  const Tokenizer letters = make_letters();
  const Encoding expected = letters.encode("aab é b", "aaa");
  std::vector<int> equal(4);
  std::vector<std::thread> threads;
  for (int& result : equal)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) result += letters.encode("aab é b", "aaa").ids == expected.ids;
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(equal, ::testing::Each(500));
}

TEST(BertNormalizer, ReplacesInvalidBytesWhereItDoesNotClean) {
  const BertNormalizer keep({false, false, false, false});
  EXPECT_EQ(keep.normalize("a\xFF"
                           "b\xE2\x82"),
            "a\uFFFDb\uFFFD");
  EXPECT_EQ(BertNormalizer({}).normalize("a\xFF"
                                         "b"),
            "ab");
}

TEST(BertNormalizer, LowersEachCharacterByItself) {
  const BertNormalizer lower({true, true, false, true});
  EXPECT_EQ(lower.normalize("ΟΔΟΣ İ ẞ"), "οδοσ i\u0307 ß");
  EXPECT_EQ(BertNormalizer({}).normalize("İ É\u0000"), "i e");
}

TEST(PrefixTree, FindsTheLongestOfManyKeys) {
  PrefixTree tree;
  for (std::int32_t i = 0; i < 5000; ++i) EXPECT_TRUE(tree.insert(std::to_string(i), i));
  EXPECT_FALSE(tree.insert("42", 7));
  EXPECT_EQ(tree.find("42"), 42);
  EXPECT_EQ(tree.find("4x"), std::nullopt);
  EXPECT_EQ(tree.longest_match("49999")->value, 4999);
  EXPECT_EQ(tree.longest_match("50000")->value, 500);
  EXPECT_EQ(tree.longest_match("50000")->length, 3u);
  EXPECT_FALSE(tree.longest_match("x"));
  EXPECT_FALSE(tree.longest_match(""));
}

}  // namespace
}  // namespace rankfold
