#include <sys/mman.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/splitters/splitter.h"
#include "experiments/tokenizers/text_pattern.h"
#include "experiments/tokenizers/tokenizer.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

const std::filesystem::path golden_kinds =
    std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "tokenizers";

json golden_json(const char* kind) {
  return json::parse(read_text(golden_kinds / kind / "tokenizer.json"));
}

void put(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

/// The message that loading a changed tokenizer ends with; "" where it is read.
std::string message_of_changed(const char* kind, const std::function<void(json&)>& change) {
  const TemporaryFolder folder;
  json changed = golden_json(kind);
  change(changed);
  put(folder.path / "tokenizer.json", changed.dump());
  return message_of<Error>([&] { load_tokenizer(folder.path); });
}

std::unique_ptr<Tokenizer> load_changed(const char* kind,
                                        const std::function<void(json&)>& change) {
  const TemporaryFolder folder;
  json changed = golden_json(kind);
  change(changed);
  put(folder.path / "tokenizer.json", changed.dump());
  return load_tokenizer(folder.path);
}

TEST(HostileTokenizer, ReadsBrokenBytesAsReplacementCharacters) {
  std::string bytes;
  std::uint32_t state = 7;
  for (int i = 0; i < 3000; ++i) {
    state = state * 1664525u + 1013904223u;
    bytes += static_cast<char>(state >> 24);
  }
  for (const char* kind : {"byte-level-bpe", "llama-bpe", "unigram"}) {
    const auto tokenizer = load_tokenizer(golden_kinds / kind / "tokenizer.json");
    EXPECT_EQ(tokenizer->encode("a\xFF\xC3 b").ids, tokenizer->encode("a\uFFFD\uFFFD b").ids);
    for (std::size_t length = 0; length < 200; ++length)
      for (const std::int32_t id :
           tokenizer->encode(std::string_view(bytes).substr(9 * length, length)).ids)
        EXPECT_TRUE(id >= 0 && id < 1500);
  }
}

TEST(HostileTokenizer, TakesLongTextsInTimeThatGrowsWithThem) {
  const std::string letters(1'000'000, 'a'), spaces(1'000'000, ' '), marks(1'000'000, '\'');
  std::string accents = "a";
  for (int i = 0; i < 200'000; ++i) accents += "\u0301\u0323";
  const std::vector<const std::string*> texts = {&letters, &spaces, &marks, &accents};
  for (const char* kind : {"byte-level-bpe", "llama-bpe", "unigram"}) {
    const auto tokenizer = load_tokenizer(golden_kinds / kind / "tokenizer.json");
    for (const std::string* text : texts) {
      const auto ids = tokenizer->encode(*text).ids;
      EXPECT_GT(ids.size(), 0u);
      EXPECT_EQ(tokenizer->encode(*text).ids, ids);
    }
  }
  const auto bytes = load_tokenizer(golden_kinds / "byte-level-bpe/tokenizer.json");
  EXPECT_EQ(bytes->decode(bytes->encode(letters).ids), letters);
  for (const char* form : {"NFC", "NFD", "NFKC", "NFKD"}) {
    const json part = {{"type", form}};
    NormalizedText text{accents};
    read_normalizer(JsonField(part, "f"))->normalize(text);
    EXPECT_GT(text.text.size(), 200'000u);
  }
}

TEST(HostileTokenizer, GoesThroughWhiteSpaceOnce) {
  const std::string spaces(400'000, ' ');
  for (const char* side : {"lstrip", "rstrip"}) {
    const auto tokenizer = load_changed("byte-level-bpe", [&](json& t) {
      t["added_tokens"].push_back(
          {{"id", 1500}, {"content", "  "}, {"normalized", false}, {side, true}});
    });
    EXPECT_EQ(tokenizer->encode("a" + spaces + "b").ids.size(), 200'004u) << side;
  }
}

TEST(HostileTokenizer, RefusesATextOfGigabytesBeforeReadingIt) {
  constexpr std::size_t size = std::size_t{4} << 30;
  void* const pages =
      mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  for (const char* kind : {"wordpiece", "byte-level-bpe"}) {
    const auto tokenizer = load_tokenizer(golden_kinds / kind / "tokenizer.json");
    const std::string_view text(static_cast<const char*>(pages), size);
    EXPECT_THAT(message_of<Error>([&] { tokenizer->encode(text); }), HasSubstr("4294967296 bytes"));
    EXPECT_THAT(message_of<Error>([&] { tokenizer->encode("a", text); }), HasSubstr("bytes"));
  }
  munmap(pages, size);
}

TEST(HostileTokenizer, NamesWhatIsWrongWithBytePairs) {
  const auto message = [](const std::function<void(json&)>& change) {
    return message_of_changed("byte-level-bpe", change);
  };
  EXPECT_THAT(message([](json& t) {
                t["model"]["merges"][3] = {"zzz", "q"};
              }),
              AllOf(HasSubstr("model.merges"), HasSubstr("merge 3"), HasSubstr("'zzz'")));
  EXPECT_THAT(message([](json& t) {
                t["model"]["merges"][3] = {"a", "b", "c"};
              }),
              AllOf(HasSubstr("model.merges[3]"), HasSubstr("3 elements")));
  EXPECT_THAT(message([](json& t) { t["model"]["merges"][3] = "a b c"; }),
              AllOf(HasSubstr("model.merges[3]"), HasSubstr("'a b c'")));
  EXPECT_THAT(message([](json& t) { t["model"]["vocab"]["a"] = 7; }), HasSubstr("id 7 twice"));
  for (const json& id : {json(-1), json(4294967296), json(2147483647), json("1")})
    EXPECT_THAT(message([&](json& t) { t["model"]["vocab"]["a"] = id; }),
                HasSubstr("model.vocab.a"));
  EXPECT_THAT(message([](json& t) { t["model"]["dropout"] = 0.1; }), HasSubstr("model.dropout"));
  EXPECT_EQ(message([](json& t) { t["model"]["dropout"] = 0.0; }), "");
  EXPECT_THAT(message([](json& t) { t["model"]["unk_token"] = "nowhere"; }),
              AllOf(HasSubstr("model.unk_token"), HasSubstr("nowhere")));
  EXPECT_THAT(message([](json& t) { t["model"]["sampling"] = 1; }),
              AllOf(HasSubstr("model"), HasSubstr("sampling")));
  EXPECT_THAT(message([](json& t) { t["pre_tokenizer"]["upper"] = true; }), HasSubstr("upper"));
  EXPECT_THAT(message([](json& t) { t["post_processor"]["upper"] = true; }), HasSubstr("upper"));
  EXPECT_THAT(message([](json& t) { t["decoder"]["upper"] = true; }), HasSubstr("upper"));
  const std::string file = golden_json("byte-level-bpe").dump();
  for (std::size_t length = 1; length < file.size(); length += 7001) {
    const TemporaryFolder folder;
    put(folder.path / "tokenizer.json", file.substr(0, length));
    EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }), HasSubstr("valid JSON"));
  }
}

TEST(HostileTokenizer, RefusesAnAddedTokenOfWhichNormalisingLeavesNothing) {
  EXPECT_THAT(message_of_changed("unigram",
                                 [](json& t) {
                                   t["added_tokens"].push_back(
                                       {{"id", 1500}, {"content", "\u0301"}, {"normalized", true}});
                                 }),
              AllOf(HasSubstr("tokenizer.json"), HasSubstr("normalised")));
}

TEST(HostileTokenizer, NamesWhatIsWrongWithUnigrams) {
  const auto message = [](const std::function<void(json&)>& change) {
    return message_of_changed("unigram", change);
  };
  EXPECT_THAT(message([](json& t) { t["model"]["unk_id"] = 1500; }), HasSubstr("model.unk_id"));
  EXPECT_THAT(message([](json& t) {
                t["model"]["vocab"][7][0] = "a";
                t["model"]["vocab"][8][0] = "a";
              }),
              AllOf(HasSubstr("model.vocab["), HasSubstr("'a' again")));
  EXPECT_THAT(message([](json& t) { t["model"]["vocab"][7][0] = std::string(5000, 'x'); }),
              AllOf(HasSubstr("model.vocab[7]"), HasSubstr("5000 bytes")));
  EXPECT_THAT(message([](json& t) { t["model"]["vocab"][7][1] = "x"; }),
              HasSubstr("model.vocab[7][1]"));
  EXPECT_THAT(message([](json& t) { t["model"]["vocab"][7] = {"x"}; }),
              HasSubstr("model.vocab[7]"));
  const auto without = load_changed("unigram", [](json& t) { t["model"]["unk_id"] = nullptr; });
  EXPECT_THAT(message_of<Error>([&] { without->encode("a\u65E5"); }), HasSubstr("\u65E5"));
}

TEST(HostileTokenizer, KeepsExpressionsAndReplacementsInBounds) {
  for (const char* expression :
       {"(a)\\1", "[a&&[b]]", "[[a]]",    "\\R",  "\\X",   "(?<n>a)",  "a(?i)b", "(?x: a)",
        "a{2}+",  "a{2}?",    "[\\S\\W]", "(*F)", "\\p{}", "(",        "[",      "\\",
        "(?",     "\\p",      "a{3",      "\\x",  "(?i",   "\\p{Nope}"})
    EXPECT_TRUE(std::string(expression) == "a{3" ||
                message_of<Error>([&] { TextPattern::regex(expression); }) != "")
        << expression;
  EXPECT_NE(message_of<Error>([] { TextPattern::regex(std::string(30'000, 'a')); }), "");
  const json hard = {
      {"type", "Split"}, {"pattern", {{"Regex", "(?:a|a|b?a)*c"}}}, {"behavior", "Isolated"}};
  const auto splitter = read_splitter(JsonField(hard, "f"));
  SplitText text{std::string(200, 'a') + "!c", {{0, 202}}};
  EXPECT_THAT(message_of<Error>([&] { splitter->split(text); }), HasSubstr("(?:a|a|b?a)*c"));
  json growing = {{"type", "Sequence"}, {"normalizers", json::array()}};
  for (int i = 0; i < 20; ++i)
    growing["normalizers"].push_back(
        {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", std::string(1000, 'a')}});
  NormalizedText normalized{"aa"};
  EXPECT_THAT(
      message_of<Error>([&] { read_normalizer(JsonField(growing, "f"))->normalize(normalized); }),
      HasSubstr("bytes"));
}

TEST(HostileTokenizer, SurvivesAnyMapOfCharacters) {
  const json good = json::parse(read_text(golden_kinds / "parts/charsmap.json"));
  std::uint32_t state = 3;
  const auto draw = [&] { return state = state * 1664525u + 1013904223u, state >> 8; };
  constexpr std::string_view letters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int round = 0; round < 300; ++round) {
    std::string map = good.get<std::string>();
    for (int i = 0; i < 1 + round % 60; ++i) map[draw() % map.size()] = letters[draw() % 64];
    if (round % 3 == 0) map.resize(draw() % map.size());
    const json part = {{"type", "Precompiled"}, {"precompiled_charsmap", map}};
    try {
      NormalizedText text{"a\u0301 \uFF26x\u0323\u0301 \u00BD\t\r\n\u0958\uAC01\u2126 Q"};
      read_normalizer(JsonField(part, "f"))->normalize(text);
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
}

TEST(HostileTokenizer, SurvivesAnySentencePieceModel) {
  const std::string model = read_text(golden_kinds / "classes/albert.model");
  std::uint32_t state = 5;
  const auto draw = [&] { return state = state * 1664525u + 1013904223u, state >> 8; };
  const TemporaryFolder folder;
  put(folder.path / "config.json", R"({"model_type": "albert"})");
  for (int round = 0; round < 200; ++round) {
    std::string changed = model;
    for (int i = 0; i < 1 + round % 20; ++i)
      changed[draw() % (round % 2 == 0 ? 200 : changed.size())] = static_cast<char>(draw());
    if (round % 3 == 0) changed.resize(draw() % changed.size());
    put(folder.path / "spiece.model", changed);
    try {
      load_tokenizer(folder.path)->encode("A text (with things), 12,3 \u65E5");
    } catch (const Error& error) {
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  put(folder.path / "spiece.model", "");
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }),
              AllOf(HasSubstr("spiece.model"), HasSubstr("SentencePiece")));
  put(folder.path / "spiece.model", read_text(golden_kinds / "classes/llama.model"));
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }),
              AllOf(HasSubstr("spiece.model"), HasSubstr("AlbertTokenizer")));
  put(folder.path / "config.json", R"({"model_type": "bert"})");
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }),
              AllOf(HasSubstr("spiece.model"), HasSubstr("BertTokenizer")));
}

TEST(HostileTokenizer, NamesWhatIsWrongWithMergesText) {
  const TemporaryFolder folder;
  put(folder.path / "config.json", R"({"model_type": "gpt2"})");
  put(folder.path / "vocab.json", R"({"a": 0, "b": 1, "ab": 2})");
  const auto message = [&](const std::string& merges) {
    put(folder.path / "merges.txt", merges);
    return message_of<Error>([&] { load_tokenizer(folder.path); });
  };
  EXPECT_EQ(message("#version: 0.2\r\na b\r\n"), "");
  EXPECT_EQ(load_tokenizer(folder.path)->encode("ab").ids, std::vector<std::int32_t>{2});
  EXPECT_THAT(message("a b\nb a\n"), AllOf(HasSubstr("merges.txt"), HasSubstr("'ba'")));
  EXPECT_THAT(message("a b c\n"), AllOf(HasSubstr("merges.txt"), HasSubstr("line 1")));
  std::filesystem::remove(folder.path / "merges.txt");
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }), HasSubstr("merges.txt"));
}

TEST(HostileTokenizer, RefusesAConfigThatContradictsTheFile) {
  const auto message = [](const char* kind, const json& config) {
    const TemporaryFolder folder;
    put(folder.path / "tokenizer.json", golden_json(kind).dump());
    put(folder.path / "tokenizer_config.json", config.dump());
    return message_of<Error>([&] { load_tokenizer(folder.path); });
  };
  EXPECT_EQ(message("unigram", {{"tokenizer_class", "AlbertTokenizer"}, {"do_lower_case", true}}),
            "");
  EXPECT_THAT(message("unigram", {{"do_lower_case", false}}),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("do_lower_case")));
  EXPECT_THAT(message("unigram", {{"keep_accents", true}}), HasSubstr("keep_accents"));
  EXPECT_THAT(message("byte-level-bpe",
                      {{"tokenizer_class", "RobertaTokenizer"}, {"add_prefix_space", true}}),
              HasSubstr("add_prefix_space"));
  EXPECT_EQ(message("llama-bpe", {{"tokenizer_class", "LlamaTokenizer"}, {"add_bos_token", true}}),
            "");
  EXPECT_THAT(
      message("llama-bpe", {{"tokenizer_class", "LlamaTokenizer"}, {"add_bos_token", false}}),
      HasSubstr("add_bos_token"));
  EXPECT_EQ(message("byte-level-bpe",
                    {{"tokenizer_class", "RobertaTokenizer"}, {"add_bos_token", false}}),
            "");
  EXPECT_THAT(
      message("llama-bpe", {{"tokenizer_class", "LlamaTokenizer"}, {"add_eos_token", true}}),
      HasSubstr("add_eos_token"));
  EXPECT_THAT(message("llama-bpe", {{"tokenizer_class", "BertTokenizer"}}),
              HasSubstr("BertTokenizer"));
  EXPECT_THAT(message("llama-bpe", {{"tokenizer_class", "T5Tokenizer"}}),
              AllOf(HasSubstr("T5Tokenizer"), HasSubstr("LlamaTokenizer")));
}

TEST(HostileTokenizer, GivesThreadsTheSameIds) {
  for (const char* kind : {"byte-level-bpe", "unigram"}) {
    const auto tokenizer = load_tokenizer(golden_kinds / kind / "tokenizer.json");
    std::vector<std::string> texts;
    for (int i = 0; i < 300; ++i)
      texts.push_back("the film number " + std::to_string(7 * i) + " is watched");
    std::vector<std::vector<std::int32_t>> expected;
    for (const std::string& text : texts) expected.push_back(tokenizer->encode(text).ids);
    std::vector<int> equal(4);
    std::vector<std::thread> threads;
    for (int& result : equal)
      threads.emplace_back([&] {
        for (std::size_t i = 0; i < texts.size(); ++i)
          result += tokenizer->encode(texts[i]).ids == expected[i];
      });
    for (std::thread& thread : threads) thread.join();
    EXPECT_THAT(equal, ::testing::Each(300));
  }
}

}  // namespace
}  // namespace rankfold
