#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_cases.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

json small_tokenizer() {
  return json::parse(R"({
    "added_tokens": [{"id": 1, "content": "[CLS]", "special": true, "normalized": false}],
    "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
                   "strip_accents": null, "lowercase": true},
    "pre_tokenizer": {"type": "BertPreTokenizer"},
    "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 2], "cls": ["[CLS]", 1]},
    "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
              "max_input_chars_per_word": 100,
              "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4}}})");
}

/// The message that loading the small tokenizer ends with after a change to it.
std::string message_after(const std::function<void(json&)>& change) {
  const TemporaryFolder folder;
  json changed = small_tokenizer();
  change(changed);
  const auto file = folder.path / "tokenizer.json";
  write_atomically(file, changed.dump());
  const std::string message = message_of<Error>([&] { load_tokenizer(file); });
  EXPECT_THAT(message, HasSubstr(file.string()));
  return message;
}

std::string message_for_file(const std::string& name, const std::string& bytes) {
  const TemporaryFolder folder;
  write_atomically(folder.path / name, bytes);
  const std::string message = message_of<Error>([&] { load_tokenizer(folder.path / name); });
  EXPECT_THAT(message, HasSubstr(name));
  return message;
}

TEST(LoadTokenizer, NamesAMissingFileAndAFolderWithoutTokenizer) {
  const TemporaryFolder folder;
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path / "tokenizer.json"); }),
              AllOf(HasSubstr("tokenizer.json"), HasSubstr("no such file")));
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }),
              AllOf(HasSubstr(folder.path.string()), HasSubstr("vocab.txt")));
  EXPECT_THAT(message_for_file("tokenizer.bin", "x"), HasSubstr(".json, .txt or .model"));
  EXPECT_THAT(message_for_file("tokenizer.model", "x"), HasSubstr("tokenizer_class"));
}

TEST(LoadTokenizer, RefusesWhatIsNotJson) {
  const std::string text = small_tokenizer().dump();
  EXPECT_THAT(message_for_file("tokenizer.json", ""), HasSubstr("not valid JSON"));
  EXPECT_THAT(message_for_file("tokenizer.json", "{\"model\": \"\xFF\"}"), HasSubstr("not valid"));
  for (std::size_t length = 1; length < text.size(); length += 37)
    EXPECT_THAT(message_for_file("tokenizer.json", text.substr(0, length)),
                HasSubstr("not valid JSON"));
}

TEST(LoadTokenizer, NamesAnUnsupportedKindOfTokenizer) {
  EXPECT_THAT(message_after([](json& t) { t["model"]["type"] = "WordLevel"; }),
              AllOf(HasSubstr("model.type"), HasSubstr("'WordLevel'"), HasSubstr("Unigram")));
  EXPECT_THAT(message_after([](json& t) { t["normalizer"]["type"] = "Nmt"; }),
              AllOf(HasSubstr("normalizer.type"), HasSubstr("'Nmt'"), HasSubstr("NFKD")));
  EXPECT_THAT(message_after([](json& t) { t["pre_tokenizer"]["type"] = "UnicodeScripts"; }),
              AllOf(HasSubstr("pre_tokenizer.type"), HasSubstr("UnicodeScripts")));
  EXPECT_THAT(message_after([](json& t) {
                t["decoder"] = {{"type", "CTC"}};
              }),
              AllOf(HasSubstr("decoder.type"), HasSubstr("CTC")));
  EXPECT_THAT(message_after([](json& t) { t["post_processor"]["type"] = "Other"; }),
              AllOf(HasSubstr("post_processor.type"), HasSubstr("RobertaProcessing")));
}

TEST(LoadTokenizer, NamesTheKeyOfAWrongType) {
  EXPECT_THAT(message_after([](json& t) { t = json::array(); }), HasSubstr("expected an object"));
  EXPECT_THAT(message_after([](json& t) { t.erase("model"); }), HasSubstr("'model' is missing"));
  EXPECT_THAT(message_after([](json& t) { t["model"]["vocab"] = json::array(); }),
              AllOf(HasSubstr("model.vocab"), HasSubstr("an array"), HasSubstr("an object")));
  EXPECT_THAT(message_after([](json& t) { t["model"]["vocab"] = json::object(); }),
              HasSubstr("no tokens"));
  EXPECT_THAT(message_after([](json& t) { t["normalizer"]["lowercase"] = "yes"; }),
              AllOf(HasSubstr("normalizer.lowercase"), HasSubstr("true or false")));
  EXPECT_THAT(message_after([](json& t) { t["model"]["max_input_chars_per_word"] = 0; }),
              AllOf(HasSubstr("max_input_chars_per_word"), HasSubstr("found 0")));
  EXPECT_THAT(message_after([](json& t) { t["added_tokens"] = 5; }),
              AllOf(HasSubstr("added_tokens"), HasSubstr("an array")));
  EXPECT_THAT(message_after([](json& t) { t["post_processor"]["sep"] = {"[SEP]"}; }),
              HasSubstr("post_processor.sep"));
  EXPECT_THAT(message_after([](json& t) { t["post_processor"]["cls"][1] = "x"; }),
              HasSubstr("post_processor.cls[1]"));
}

TEST(LoadTokenizer, RefusesIdsThatAreNotUniqueOrOutOfRange) {
  EXPECT_THAT(message_after([](json& t) { t["model"]["vocab"]["##b"] = 3; }),
              AllOf(HasSubstr("model.vocab"), HasSubstr("id 3 twice")));
  for (const json& id : {json(-1), json(4000000000), json(UINT64_MAX), json(2147483647)})
    EXPECT_THAT(message_after([&](json& t) { t["model"]["vocab"]["a"] = id; }),
                AllOf(HasSubstr("model.vocab.a"), HasSubstr(id.dump())));
  EXPECT_THAT(message_after([](json& t) { t["model"]["vocab"]["a"] = 1.5; }),
              AllOf(HasSubstr("model.vocab.a"), HasSubstr("a number")));
  EXPECT_THAT(message_after([](json& t) { t["added_tokens"][0]["id"] = 2; }),
              AllOf(HasSubstr("[CLS]"), HasSubstr("found id 2, expected 1")));
  EXPECT_THAT(message_after([](json& t) { t["added_tokens"][0]["content"] = "new"; }),
              AllOf(HasSubstr("'new'"), HasSubstr("found id 1, expected 5")));
  EXPECT_THAT(message_after([](json& t) {
                t["added_tokens"] = {{{"id", 5}, {"content", "x"}}, {{"id", 5}, {"content", "y"}}};
              }),
              AllOf(HasSubstr("'y'"), HasSubstr("found id 5, expected 6")));
  EXPECT_THAT(message_after([](json& t) { t["post_processor"]["sep"][1] = 77; }),
              AllOf(HasSubstr("77"), HasSubstr("size of the vocabulary")));
}

TEST(LoadTokenizer, RefusesAMissingUnknownToken) {
  EXPECT_THAT(message_after([](json& t) { t["model"]["vocab"].erase("[UNK]"); }),
              AllOf(HasSubstr("model.unk_token"), HasSubstr("[UNK]")));
}

TEST(LoadTokenizer, RefusesTemplatesThatLoseAText) {
  const auto with_pair = [](const json& pair) {
    return [pair](json& t) {
      t["post_processor"] = {{"type", "TemplateProcessing"},
                             {"single", {{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
                             {"pair", pair},
                             {"special_tokens", json::object()}};
    };
  };
  const json a = {{"Sequence", {{"id", "A"}, {"type_id", 0}}}};
  const json c = {{"Sequence", {{"id", "C"}, {"type_id", 0}}}};
  const json special = {{"SpecialToken", {{"id", "[EOS]"}, {"type_id", 0}}}};
  EXPECT_THAT(message_after(with_pair(json::array({a}))),
              AllOf(HasSubstr("'pair'"), HasSubstr("B 0 times")));
  EXPECT_THAT(message_after(with_pair(json::array({a, c}))),
              HasSubstr("post_processor.pair[1].Sequence.id"));
  EXPECT_THAT(message_after(with_pair(json::array({a, special}))),
              HasSubstr("special_tokens.[EOS]"));
  EXPECT_THAT(message_after(with_pair(json::array({json::object()}))), HasSubstr("'SpecialToken'"));
}

TEST(LoadVocabularyText, RefusesAnEmptyFileAndMissingSpecialTokens) {
  EXPECT_THAT(message_for_file("vocab.txt", ""), HasSubstr("no tokens"));
  EXPECT_THAT(message_for_file("vocab.txt", "\n\n"), HasSubstr("no tokens"));
  EXPECT_THAT(message_for_file("vocab.txt", "[CLS]\n[SEP]\n"), HasSubstr("'[UNK]'"));
  EXPECT_THAT(message_for_file("vocab.txt", "[UNK]\n[SEP]\n"), HasSubstr("'[CLS]'"));
  EXPECT_THAT(message_for_file("vocab.txt", "[UNK]\n[CLS]\n"), HasSubstr("'[SEP]'"));
}

TEST(LoadVocabularyText, RefusesRepeatedTokensAndBrokenText) {
  EXPECT_THAT(message_for_file("vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\nb\na\n"),
              AllOf(HasSubstr("line 6"), HasSubstr("'a'"), HasSubstr("line 4")));
  EXPECT_THAT(message_for_file("vocab.txt", "[UNK]\n\xC3(\n"),
              AllOf(HasSubstr("line 2"), HasSubstr("UTF-8")));
}

TEST(LoadVocabularyText, ReadsLinesOfBothKindsAndNoLastLineEnd) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "vocab.txt", "[PAD]\r\n[UNK]\r\n\r\n[CLS]\r\n[SEP]\r\na\r\n##b");
  const auto tokenizer = load_tokenizer(folder.path);
  EXPECT_EQ(tokenizer->vocabulary_size(), 8u);
  EXPECT_EQ(tokenizer->find_token("[MASK]"), 7);  // which the file lacks
  EXPECT_EQ(tokenizer->find_token("##b"), 6);
  EXPECT_EQ(tokenizer->find_token("[PAD]"), 0);
  EXPECT_EQ(tokenizer->find_token("none"), std::nullopt);
  EXPECT_THAT(tokenizer->encode("ABb [PAD] c").ids, ElementsAre(3, 5, 6, 6, 0, 1, 4));
}

TEST(LoadVocabularyText, LeavesOutWhiteSpaceAtTheEndOfALine) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "vocab.txt", "[UNK]\n[CLS]\n[SEP]\na \nb\u3000\t\n\n");
  EXPECT_THAT(load_tokenizer(folder.path)->encode("a b").ids, ElementsAre(1, 3, 4, 2));
}

TEST(LoadVocabularyText, FollowsTokenizerConfig) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "vocab.txt", "<u>\n<c>\n<s>\na\nA\né\ne\n中中");
  const auto configure = [&](json config) {
    config.update(
        {{"unk_token", "<u>"}, {"cls_token", "<c>"}, {"sep_token", {{"content", "<s>"}}}});
    write_atomically(folder.path / "tokenizer_config.json", config.dump());
    return load_tokenizer(folder.path)->encode("A é 中中").ids;
  };
  EXPECT_THAT(configure(json::object()), ElementsAre(1, 3, 6, 0, 0, 2));
  EXPECT_THAT(configure({{"do_lower_case", false}}), ElementsAre(1, 4, 5, 0, 0, 2));
  EXPECT_THAT(configure({{"strip_accents", false}}), ElementsAre(1, 3, 5, 0, 0, 2));
  EXPECT_THAT(configure({{"tokenize_chinese_chars", false}}), ElementsAre(1, 3, 6, 7, 2));
  EXPECT_THAT(message_of<Error>([&] {
                configure({{"tokenizer_class", "MPNetTokenizer"}});
              }),
              AllOf(HasSubstr("tokenizer_class"), HasSubstr("MPNetTokenizer")));
  EXPECT_THAT(message_of<Error>([&] {
                configure({{"do_lower_case", "no"}});
              }),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("do_lower_case")));
}

TEST(LoadTokenizer, PrefersTokenizerJsonOfAFolder) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "vocab.txt", "[UNK]\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n");
  EXPECT_EQ(load_tokenizer(folder.path)->find_token("[MASK]"), 4);
  write_atomically(folder.path / "tokenizer.json", small_tokenizer().dump());
  EXPECT_EQ(load_tokenizer(folder.path)->find_token("[MASK]"), std::nullopt);
}

TEST(LoadTokenizer, IgnoresPaddingAndTruncationBlocks) {
  const TemporaryFolder folder;
  json changed = small_tokenizer();
  changed["truncation"] = {{"max_length", 3}, {"strategy", "LongestFirst"}, {"stride", 0}};
  changed["padding"] = {{"strategy", {{"Fixed", 9}}}, {"pad_id", 0}};
  write_atomically(folder.path / "tokenizer.json", changed.dump());
  EXPECT_THAT(load_tokenizer(folder.path)->encode("ab ab").ids, ElementsAre(1, 3, 4, 3, 4, 2));
}

TEST(LoadTokenizer, CutsAtTheSideThatTheFilesSay) {
  const TemporaryFolder folder;
  json changed = small_tokenizer();
  changed["truncation"] = {{"direction", "Left"}, {"max_length", 3}};
  write_atomically(folder.path / "tokenizer.json", changed.dump());
  EXPECT_THAT(load_tokenizer(folder.path)->encode("a ab b", {}, 5).ids, ElementsAre(1, 3, 4, 0, 2));
  EXPECT_THAT(load_tokenizer(folder.path)->encode("a ab", "ab a", 7).ids,
              ElementsAre(1, 3, 4, 2, 4, 3, 2));
  write_atomically(folder.path / "tokenizer_config.json", R"({"truncation_side": "right"})");
  EXPECT_THAT(load_tokenizer(folder.path)->encode("a ab b", {}, 5).ids, ElementsAre(1, 3, 3, 4, 2));
}

TEST(TokenizerCases, ReportsTheFirstMismatch) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "tokenizer.json", small_tokenizer().dump());
  const auto cases = folder.path / "cases.json";
  write_atomically(cases, R"([{"text": "a", "ids": [1, 3, 2]},
                              {"text": "ab\n", "ids": [1, 3, 5, 2]},
                              {"text": "a", "pair": "a", "ids": [1, 3, 2, 3, 2],
                               "type_ids": [0, 0, 0, 0, 1]},
                              {"text": "a", "max_length": 1, "ids": [1]}])");
  const auto comparison = compare(*load_tokenizer(folder.path), load_tokenizer_cases(cases));
  EXPECT_EQ(comparison.cases, 4u);
  EXPECT_EQ(comparison.mismatches, 3u);
  EXPECT_EQ(comparison.first_mismatch,
            "case 1 ('ab\\n'): ids part at position 2: found [4, 2] (4 in all), expected [5, 2] "
            "(4 in all)");
}

TEST(TokenizerCases, NamesTheKeyOfABrokenCase) {
  const TemporaryFolder folder;
  const auto cases = folder.path / "cases.json";
  const auto message = [&](const char* text) {
    write_atomically(cases, text);
    return message_of<Error>([&] { load_tokenizer_cases(cases); });
  };
  EXPECT_THAT(message("{}"), AllOf(HasSubstr("cases.json"), HasSubstr("an array")));
  EXPECT_THAT(message(R"([{"ids": []}])"), HasSubstr("[0].text"));
  EXPECT_THAT(message(R"([{"text": "a", "ids": [1, -2]}])"), HasSubstr("[0].ids[1]"));
  EXPECT_THAT(message(R"([{"text": "a", "ids": [], "max_length": 0}])"), HasSubstr("max_length"));
}

}  // namespace
}  // namespace rankfold
