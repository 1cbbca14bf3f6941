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
  for (const json& entry : read_golden("parts.json")["normalizers"]) {
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
  for (const json& entry : read_golden("parts.json")["splitters"]) {
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
  for (const json& entry : read_golden("parts.json")["decoders"]) {
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

TEST(TokenizerParts, AreTogetherAsHuggingFaceHasThem) {
  const TemporaryFolder folder;
  for (const json& entry : read_golden("models.json")) {
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
