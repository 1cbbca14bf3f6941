#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/tokenizers/tokenizer.h"
#include "experiments/tokenizers/tokenizer_cases.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::filesystem::path golden_folder =
    std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "tokenizers";

json base_tokenizer() {
  return json::parse(read_text(golden_folder / "wordpiece/tokenizer.json"));
}

std::string vocabulary_lines(const json& tokenizer) {
  std::map<int, std::string> by_id;
  for (const auto& [token, id] : tokenizer["model"]["vocab"].items()) by_id[id] = token;
  std::string lines;
  for (const auto& [id, token] : by_id) lines += token + "\n";
  return lines;
}

/// Without waiting for the disk.
void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
}

/// Writes the files of an entry of folders.json.
void write_folder(const std::filesystem::path& folder, const json& files) {
  for (const auto& [name, content] : files.items())
    if (name.ends_with(".json")) write(folder / name, content.dump());
  json tokenizer = base_tokenizer();
  if (files.contains("vocab")) return write(folder / "vocab.txt", vocabulary_lines(tokenizer));
  const json changes = files.value("changes", json::object());
  for (const auto& [key, value] : changes.items())
    if (key == "normalizer" || key == "model")
      tokenizer[key].update(value);
    else
      tokenizer[key] = value;
  write(folder / "tokenizer.json", tokenizer.dump());
}

TEST(TokenizerFolder, GivesTheIdsOfTransformersOrNamesTheFileThatIsNotFollowed) {
  const json folders = json::parse(read_text(golden_folder / "folders/folders.json"));
  std::size_t agreeing = 0;
  for (const json& entry : folders) {
    SCOPED_TRACE(entry["files"].dump());
    const TemporaryFolder folder;
    write_folder(folder.path, entry["files"]);
    std::unique_ptr<Tokenizer> tokenizer;
    try {
      tokenizer = load_tokenizer(folder.path);
    } catch (const Error& error) {
      const std::string message = error.what();
      EXPECT_THAT(message, HasSubstr(folder.path.string() + "/"));
      EXPECT_EQ(message.find('\n'), std::string::npos);
      continue;
    }
    ASSERT_FALSE(entry["cases"].is_null());
    write(folder.path / "cases", entry["cases"].dump());
    const auto comparison = compare(*tokenizer, load_tokenizer_cases(folder.path / "cases"));
    EXPECT_EQ(comparison.mismatches, 0u) << comparison.first_mismatch;
    ++agreeing;
  }
  EXPECT_EQ(folders.size(), 146u);
  EXPECT_EQ(agreeing, 104u);
}

TEST(TokenizerFolder, BuildsFromOlderFilesWhatTheClassBuilds) {
  const std::filesystem::path classes = golden_folder / "classes";
  const json base = json::parse(read_text(golden_folder / "byte-level-bpe/tokenizer.json"));
  for (const json& entry : json::parse(read_text(classes / "folders.json"))) {
    const json& files = entry["files"];
    SCOPED_TRACE(files.dump());
    const TemporaryFolder folder;
    for (const auto& [name, content] : files.items())
      if (name.ends_with(".json")) write(folder.path / name, content.dump());
    if (files.contains("model")) {
      write(folder.path / files["model"][1].get<std::string>(),
            read_text(classes / files["model"][0].get<std::string>()));
    } else {
      write(folder.path / "vocab.json", base["model"]["vocab"].dump());
      std::string merges = "#version: 0.2\n";
      for (const json& merge : base["model"]["merges"])
        merges += merge[0].get<std::string>() + " " + merge[1].get<std::string>() + "\n";
      write(folder.path / "merges.txt", merges);
    }
    write(folder.path / "cases", entry["cases"].dump());
    const auto tokenizer = load_tokenizer(folder.path);
    const auto comparison = compare(*tokenizer, load_tokenizer_cases(folder.path / "cases"));
    EXPECT_EQ(comparison.mismatches, 0u) << comparison.first_mismatch;
  }
}

/// A small tokenizer as vocab.txt with one file beside it.
std::string message_beside(const std::string& name, const json& content) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n");
  write_atomically(folder.path / name, content.dump());
  return message_of<Error>([&] { load_tokenizer(folder.path); });
}

TEST(TokenizerFolder, NamesTheKeyThatIsNotUnderstood) {
  const auto config = [](const json& content) {
    return message_beside("tokenizer_config.json", content);
  };
  EXPECT_EQ(config({{"some_option", nullptr}}), "");
  EXPECT_THAT(config({{"some_option", 3}}),
              AllOf(HasSubstr("tokenizer_config.json"), HasSubstr("'some_option' is 3")));
  EXPECT_THAT(config({{"truncation_side", "both"}}), HasSubstr("truncation_side"));
  EXPECT_THAT(config({{"do_basic_tokenize", false}}), HasSubstr("do_basic_tokenize"));
  EXPECT_THAT(config({{"unk_token", 5}}), HasSubstr("unk_token"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"x", {{"content", "y"}}}}}}),
              HasSubstr("added_tokens_decoder"));
  EXPECT_THAT(config({{"added_tokens_decoder", {{"4", {{"content", "y"}, {"upper", true}}}}}}),
              HasSubstr("added_tokens_decoder.4.upper"));
  EXPECT_THAT(message_beside("added_tokens.json", {{"b", "4"}}),
              AllOf(HasSubstr("added_tokens.json"), HasSubstr("'b'")));
  EXPECT_THAT(message_beside("added_tokens.json", {{"b", 9}}), HasSubstr("found id 9, expected 4"));
  EXPECT_THAT(message_beside("special_tokens_map.json", {{"splits", true}}),
              AllOf(HasSubstr("special_tokens_map.json"), HasSubstr("splits")));
  EXPECT_THAT(message_beside("config.json", {{"model_type", "t5"}}),
              AllOf(HasSubstr("config.json"), HasSubstr("t5")));
  EXPECT_THAT(message_beside("config.json", {{"model_type", "gpt2"}}),
              AllOf(HasSubstr("vocab.txt"), HasSubstr("GPT2Tokenizer")));
}

TEST(TokenizerFolder, EveryBlockOfTokenizerJsonHasNoOtherKeys) {
  const std::vector<std::string> places = {"",       "/normalizer",     "/pre_tokenizer",
                                           "/model", "/post_processor", "/added_tokens/0"};
  for (const std::string& place : places) {
    const TemporaryFolder folder;
    json tokenizer = base_tokenizer();
    tokenizer[json::json_pointer(place)]["dropout"] = 0.1;
    write_atomically(folder.path / "tokenizer.json", tokenizer.dump());
    EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }), HasSubstr("dropout"))
        << place;
  }
}

TEST(TokenizerFolder, KeepsATokenizerThatStandsAlone) {
  const TemporaryFolder folder;
  json tokenizer = base_tokenizer();
  tokenizer["normalizer"]["lowercase"] = false;
  write_atomically(folder.path / "tokenizer.json", tokenizer.dump());
  EXPECT_NO_THROW(load_tokenizer(folder.path));
  write_atomically(folder.path / "config.json", R"({"model_type": "bert"})");
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }),
              AllOf(HasSubstr("normalizer.lowercase"), HasSubstr("do_lower_case")));
  write_atomically(folder.path / "tokenizer_config.json", R"({"do_lower_case": false})");
  EXPECT_NO_THROW(load_tokenizer(folder.path));
}

TEST(TokenizerFolder, RefusesFilesThatContradictEachOtherWhereNoClassDecides) {
  const TemporaryFolder folder;
  write_atomically(folder.path / "tokenizer.json", base_tokenizer().dump());
  const auto message = [&](const char* config) {
    write_atomically(folder.path / "tokenizer_config.json", config);
    return message_of<Error>([&] { load_tokenizer(folder.path); });
  };
  EXPECT_EQ(message(R"({"do_lower_case": true, "strip_accents": true})"), "");
  EXPECT_THAT(message(R"({"do_lower_case": false})"),
              AllOf(HasSubstr("do_lower_case"), HasSubstr("no tokenizer_class")));
  EXPECT_THAT(message(R"({"strip_accents": false})"), HasSubstr("strip_accents"));
  EXPECT_THAT(message(R"({"unk_token": "[PAD]"})"), HasSubstr("unk_token"));
}

TEST(TokenizerSize, TemplatesAreShort) {
  const TemporaryFolder folder;
  const auto message = [&](const auto& change) {
    json tokenizer = base_tokenizer();
    change(tokenizer["post_processor"]);
    write_atomically(folder.path / "tokenizer.json", tokenizer.dump());
    return message_of<Error>([&] { load_tokenizer(folder.path); });
  };
  EXPECT_THAT(message([](json& processor) {
                const json special = processor["single"][0];
                for (int i = 0; i < 300; ++i) processor["single"].push_back(special);
              }),
              HasSubstr("post_processor.single"));
  EXPECT_THAT(message([](json& processor) {
                processor["special_tokens"]["[CLS]"]["ids"] = std::vector<int>(300, 2);
              }),
              HasSubstr("post_processor.special_tokens.[CLS].ids"));
  EXPECT_THAT(message([](json& processor) {
                processor["special_tokens"]["[CLS]"]["ids"] = std::vector<int>(200, 2);
                const json special = processor["single"][0];
                processor["single"].push_back(special);
              }),
              HasSubstr("post_processor.single"));
}

TEST(TokenizerSize, ManyAddedTokensAndMarksAreNoBurden) {
  const TemporaryFolder folder;
  json tokenizer = base_tokenizer();
  for (int i = 0; i < 30'000; ++i)
    tokenizer["added_tokens"].push_back({{"id", 1500 + i}, {"content", "<" + std::to_string(i)}});
  write_atomically(folder.path / "tokenizer.json", tokenizer.dump());
  const auto loaded = load_tokenizer(folder.path);
  EXPECT_THAT(loaded->encode("<29999 <7").ids, ElementsAre(2, 31499, 1507, 3));
  // Two marks in the wrong order, again and again: sorted one by one they would take minutes.
  std::string marks = "a";
  for (int i = 0; i < 100'000; ++i) marks += "\u0301\u0323";
  EXPECT_EQ(loaded->encode(marks).ids, loaded->encode("a").ids);
}

TEST(TokenizerSize, LongWordsAndTokensAreRefused) {
  const TemporaryFolder folder;
  const auto message = [&](const json& tokenizer) {
    write_atomically(folder.path / "tokenizer.json", tokenizer.dump());
    return message_of<Error>([&] { load_tokenizer(folder.path); });
  };
  json tokenizer = base_tokenizer();
  tokenizer["model"]["max_input_chars_per_word"] = 1'000'000;
  EXPECT_THAT(message(tokenizer), HasSubstr("max_input_chars_per_word"));
  tokenizer = base_tokenizer();
  tokenizer["added_tokens"].push_back({{"id", 1500}, {"content", std::string(5000, 'x')}});
  EXPECT_THAT(message(tokenizer), HasSubstr("5000 bytes"));
  write_atomically(folder.path / "tokenizer.json",
                   R"({"model": )" + std::string(100'000, '[') + std::string(100'000, ']') + "}");
  EXPECT_THAT(message_of<Error>([&] { load_tokenizer(folder.path); }), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace rankfold
