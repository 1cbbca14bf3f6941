#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/files.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_cases.h"
#include "experiments/tokenizers/unicode.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

const std::filesystem::path golden = std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "tokenizers";

void expect_all_equal(const Tokenizer& tokenizer, const std::filesystem::path& cases,
                      std::size_t count) {
  const TokenizerComparison comparison = compare(tokenizer, load_tokenizer_cases(cases));
  EXPECT_EQ(comparison.cases, count);
  EXPECT_EQ(comparison.mismatches, 0u) << comparison.first_mismatch;
}

TEST(TokenizerGolden, AgreesWithHuggingFaceOnWordPiece) {
  const auto tokenizer = load_tokenizer(golden / "wordpiece" / "tokenizer.json");
  EXPECT_EQ(tokenizer->vocabulary_size(), 1500u);
  expect_all_equal(*tokenizer, golden / "wordpiece" / "cases.json", 134);
}

TEST(TokenizerGolden, AgreesWithHuggingFaceOnOtherModels) {
  for (const char* kind : {"byte-level-bpe", "llama-bpe", "unigram"}) {
    SCOPED_TRACE(kind);
    const auto tokenizer = load_tokenizer(golden / kind / "tokenizer.json");
    EXPECT_EQ(tokenizer->vocabulary_size(), 1500u);
    expect_all_equal(*tokenizer, golden / kind / "cases.json", 134);
  }
}

TEST(TokenizerGolden, AgreesWithHuggingFaceOnMiniLm) {
  const char* named = std::getenv("RANKFOLD_MINILM");
  const std::filesystem::path model =
      named != nullptr ? std::filesystem::path(named)
                       : std::filesystem::path(RANKFOLD_SOURCE_DIR) / ".cache" / "minilm";
  if (!std::filesystem::exists(model / "vocab.txt"))
    GTEST_SKIP() << "no MiniLM in " << model << "; RANKFOLD_MINILM names its folder";
  for (const char* file : {"tokenizer.json", "vocab.txt"}) {
    SCOPED_TRACE(file);
    const auto tokenizer = load_tokenizer(model / file);
    EXPECT_EQ(tokenizer->vocabulary_size(), 30522u);
    expect_all_equal(*tokenizer, golden / "minilm" / "cases.json", 134);
  }
  expect_all_equal(*load_tokenizer(model), golden / "minilm" / "cases.json", 134);
}

TEST(TokenizerGolden, AgreesWithHuggingFaceUnderOtherSettings) {
  const auto base = nlohmann::json::parse(read_text(golden / "wordpiece" / "tokenizer.json"));
  const auto variants = nlohmann::json::parse(read_text(golden / "variants" / "variants.json"));
  const TemporaryFolder folder;
  for (const auto& variant : variants) {
    SCOPED_TRACE(variant.at("name").get<std::string>());
    nlohmann::json changed = base;
    for (const auto& [key, block] : variant.at("changes").items()) {
      if (key == "model") {
        changed[key].update(block);
      } else {
        changed[key] = block;
      }
    }
    write_atomically(folder.path / "tokenizer.json", changed.dump());
    write_atomically(folder.path / "cases.json", variant.at("cases").dump());
    expect_all_equal(*load_tokenizer(folder.path), folder.path / "cases.json", 60);
  }
  EXPECT_EQ(variants.size(), 8u);
}

TEST(TokenizerGolden, ClassifiesEveryCharacterAsHuggingFaceDoes) {
  const auto classes = nlohmann::json::parse(read_text(golden / "variants" / "characters.json"));
  const auto check = [&](const char* name, auto is_in_class) {
    const auto& ranges = classes.at(name);
    std::size_t next = 0, wrong = 0;
    for (std::uint32_t point = 0; point < 0x110000; ++point) {
      if (point >= 0xD800 && point < 0xE000) continue;
      while (next < ranges.size() && point > ranges[next][1].get<std::uint32_t>()) ++next;
      const bool expected = next < ranges.size() && point >= ranges[next][0].get<std::uint32_t>();
      if (is_in_class(static_cast<char32_t>(point)) == expected) continue;
      if (wrong++ < 5) ADD_FAILURE() << name << ": U+" << std::hex << point;
    }
  };
  check("dropped", [](char32_t c) { return c == 0 || c == 0xFFFD || is_bert_control(c); });
  check("ideograph", is_bert_ideograph);
  // Characters whose decomposition consists of accents count as accents here.
  check("accent", [](char32_t c) {
    return is_bert_accent(c) || c == 0x344 || c == 0xF73 || c == 0xF75 || c == 0xF81;
  });
  check("whitespace", is_whitespace);
  check("punctuation", is_bert_punctuation);
}

}  // namespace
}  // namespace rankfold
