#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/tokenizers/decoders/token_decoder.h"
#include "experiments/tokenizers/normalizers/normalizer.h"
#include "experiments/tokenizers/splitters/splitter.h"
#include "experiments/tokenizers/text_pattern.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_cases.h"
#include "experiments/tokenizers/unicode.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;

const std::filesystem::path golden_parts =
    std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "tokenizers" / "parts";

json read_golden(const char* name) {
  return json::parse(read_text(golden_parts / name));
}

TEST(TokenizerParts, NormalizeAsHuggingFaceDoes) {
  const json golden_file = read_golden("parts.json");
  ASSERT_EQ(golden_file["normalizers"].size(), 24u);
  for (const json& entry : golden_file["normalizers"]) {
    SCOPED_TRACE(entry["part"].dump());
    const auto normalizer = read_normalizer(JsonField(entry["part"], "f"));
    for (const json& expected : entry["cases"]) {
      NormalizedText text{expected[0].get<std::string>()};
      normalizer->normalize(text);
      EXPECT_EQ(text.text, expected[1].get<std::string>()) << expected[0];
    }
  }
}

TEST(TokenizerParts, SplitAsHuggingFaceDoes) {
  const json golden_file = read_golden("parts.json");
  ASSERT_EQ(golden_file["splitters"].size(), 71u);
  for (const json& entry : golden_file["splitters"]) {
    SCOPED_TRACE(entry["part"].dump());
    const auto splitter = read_splitter(JsonField(entry["part"], "f"));
    for (const json& expected : entry["cases"]) {
      SplitText text{expected[0].get<std::string>(), {}};
      if (!text.text.empty()) text.pieces = {{0, text.text.size()}};
      splitter->split(text);
      std::vector<std::string> pieces;
      for (const SplitText::Piece& piece : text.pieces) pieces.emplace_back(text.view(piece));
      EXPECT_EQ(pieces, expected[1].get<std::vector<std::string>>()) << expected[0];
    }
  }
}

TEST(TokenizerParts, DecodeAsHuggingFaceDoes) {
  const json golden_file = read_golden("parts.json");
  ASSERT_EQ(golden_file["decoders"].size(), 14u);
  for (const json& entry : golden_file["decoders"]) {
    SCOPED_TRACE(entry["part"].dump());
    const auto decoder = read_decoder(JsonField(entry["part"], "f"));
    for (const json& expected : entry["cases"]) {
      auto tokens = expected[0].get<std::vector<std::string>>();
      decoder->decode(tokens);
      std::string text;
      for (const std::string& token : tokens) text += token;
      EXPECT_EQ(text, expected[1].get<std::string>()) << expected[0];
    }
  }
}

TEST(TokenizerParts, AreReadAsFirstVersionsWroteThem) {
  const auto split = [](const json& part) {
    SplitText text{"a b", {{0, 3}}};
    read_splitter(JsonField(part, "f"))->split(text);
    std::vector<std::string> pieces;
    for (const SplitText::Piece& piece : text.pieces) pieces.emplace_back(text.view(piece));
    return pieces;
  };
  json part = {{"type", "Metaspace"}, {"replacement", "_"}, {"str_rep", "_"}};
  EXPECT_THAT(split(part), ::testing::ElementsAre("_a", "_b"));
  part["add_prefix_space"] = false;
  EXPECT_THAT(split(part), ::testing::ElementsAre("a", "_b"));
  EXPECT_THAT(split({{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}}),
              ::testing::ElementsAre("a", "\u0120b"));
  const TemporaryFolder folder;
  json whole = json::parse(read_text(golden_parts / ".." / "byte-level-bpe" / "tokenizer.json"));
  whole["model"].erase("type");
  whole["model"].erase("ignore_merges");
  for (json& merge : whole["model"]["merges"])
    merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  write_atomically(folder.path / "tokenizer.json", whole.dump());
  const auto comparison =
      compare(*load_tokenizer(folder.path),
              load_tokenizer_cases(golden_parts / ".." / "byte-level-bpe" / "cases.json"));
  EXPECT_EQ(comparison.mismatches, 0u) << comparison.first_mismatch;
}

TEST(TokenizerParts, AreTogetherAsHuggingFaceHasThem) {
  const TemporaryFolder folder;
  const json golden_file = read_golden("models.json");
  ASSERT_EQ(golden_file.size(), 19u);
  for (const json& entry : golden_file) {
    SCOPED_TRACE(entry["base"].get<std::string>() + " " + entry["changes"].dump().substr(0, 300));
    json whole = json::parse(
        read_text(golden_parts / ".." / entry["base"].get<std::string>() / "tokenizer.json"));
    for (const auto& [key, value] : entry["changes"].items()) {
      if (key == "model")
        whole[key].update(value);
      else if (key == "added")
        for (const json& token : value) whole["added_tokens"].push_back(token);
      else
        whole[key] = value;
    }
    write_atomically(folder.path / "tokenizer.json", whole.dump());
    write_atomically(folder.path / "cases.json", entry["cases"].dump());
    const auto tokenizer = load_tokenizer(folder.path / "tokenizer.json");
    const auto comparison = compare(*tokenizer, load_tokenizer_cases(folder.path / "cases.json"));
    EXPECT_EQ(comparison.mismatches, 0u) << comparison.first_mismatch;
    for (const json& expected : entry["cases"]) {
      const auto ids = expected["ids"].get<std::vector<std::int32_t>>();
      EXPECT_EQ(tokenizer->decode(ids), expected["decoded"].get<std::string>());
      EXPECT_EQ(tokenizer->decode(ids, false), expected["whole"].get<std::string>());
    }
  }
}

TEST(TokenizerParts, KnowTheCharactersThatHuggingFaceKnows) {
  const json classes = read_golden("classes.json");
  const auto members = [&](const char* name) {
    std::vector<bool> holds(0x110000);
    for (const json& range : classes.at(name))
      for (std::uint32_t point = range[0]; point <= range[1].get<std::uint32_t>(); ++point)
        holds[point] = true;
    return holds;
  };
  const std::vector<bool> unassigned = members("unassigned");
  const auto check = [&](const char* name, auto holds) {
    const std::vector<bool> expected = members(name);
    std::size_t wrong = 0;
    for (std::uint32_t point = 0; point < 0x110000; ++point) {
      if ((point >= 0xD800 && point < 0xE000) || unassigned[point]) continue;
      if (holds(static_cast<char32_t>(point)) == expected[point]) continue;
      if (wrong++ < 5) ADD_FAILURE() << name << ": U+" << std::hex << point;
    }
    EXPECT_EQ(wrong, 0u) << name;
  };
  const auto by_pattern = [](const char* expression) {
    return [pattern = std::make_shared<TextPattern>(TextPattern::regex(expression))](char32_t c) {
      std::string text;
      append_utf8(text, c);
      TextPattern::Search search(*pattern);
      search.start(text);
      return search.next().has_value();
    };
  };
  check("mark", is_combining_mark);
  check("numeric", is_numeric);
  check("word", by_pattern("\\w"));
  check("space", by_pattern("\\s"));
  check("letter", by_pattern("\\p{L}"));
  check("number", by_pattern("\\p{N}"));
}

}  // namespace
}  // namespace rankfold
