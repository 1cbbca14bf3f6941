#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

#include "commands/command_line.h"
#include "core/base/files.h"
#include "source_paths.h"
#include "temporary_folder.h"
#include "word_tokenizer.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

/// A tiny Llama of 64 positions that reads w0 to w100, and its command.
class GenerateCommand : public testing::Test {
 protected:
  GenerateCommand() {
    for (const char* name : {"config.json", "model.safetensors"})
      fs::copy_file(fs::path(RANKFOLD_GOLDEN_DIR) / "models/llama" / name, folder_.path / name);
    write_word_tokenizer(folder_.path, 101);
    set("config.json", "eos_token_id", nullptr);
  }
  void set(const char* file, const char* key, const json& value) {
    const fs::path path = folder_.path / file;
    json config = fs::exists(path) ? json::parse(read_text(path)) : json::object();
    config[key] = value;
    write_atomically(path, config.dump());
  }
  Outcome generate(const std::string& prompt, const std::string& more = "") const {
    std::vector<std::string> words = {"generate", "--model", folder_.path.string(),
                                      "--prompt", prompt,    "--threads",
                                      "1",        "--json"};
    std::istringstream stream(more);
    for (std::string word; stream >> word;) words.push_back(word);
    return call(words);
  }
  static std::string text_of(int words) {
    std::string text;
    for (int i = 0; i < words; ++i) text += " w" + std::to_string(5 + i % 90);
    return text;
  }

  TemporaryFolder folder_;
};

TEST_F(GenerateCommand, TellsTheTokensOfThePromptAndWhatFollows) {
  const Outcome outcome = generate("w10 w88 w43", "--max-new 4");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const auto ids = outcome.json()["ids"].get<std::vector<int>>();
  ASSERT_EQ(ids.size(), 7u);
  EXPECT_EQ((std::vector<int>(ids.begin(), ids.begin() + 3)), (std::vector<int>{10, 88, 43}));
  EXPECT_THAT(outcome.json()["text"].get<std::string>(), StartsWith("w10 w88 w43 w"));
}

TEST_F(GenerateCommand, EndsWithATokenThatEndsTexts) {
  const auto ids = generate("w10 w88 w43", "--max-new 4").json()["ids"].get<std::vector<int>>();
  set("generation_config.json", "eos_token_id", json::array({100, ids[3]}));
  EXPECT_EQ(generate("w10 w88 w43", "--max-new 4").json()["ids"].size(), 4u);
}

TEST_F(GenerateCommand, ReadsAFileOfItsOwnInPlaceOfTheModels) {
  const auto ids = generate("w10 w88 w43", "--max-new 4").json()["ids"].get<std::vector<int>>();
  set("config.json", "eos_token_id", ids[3]);
  EXPECT_EQ(generate("w10 w88 w43", "--max-new 4").json()["ids"].size(), 4u);
  set("generation_config.json", "eos_token_id", json::array({-1}));
  EXPECT_EQ(generate("w10 w88 w43", "--max-new 4").json()["ids"].size(), 7u);
}

TEST_F(GenerateCommand, NamesWhatWouldMakeAnotherText) {
  set("config.json", "suppress_tokens", json::array({3}));
  EXPECT_THAT(generate("w10", "--max-new 1").err,
              HasSubstr("/config.json: suppress_tokens is [3]; each token is the likeliest"));
  const json harmless = {{"repetition_penalty", 1.0},
                         {"num_beams", 1},
                         {"min_length", 0},
                         {"temperature", 0.6},
                         {"do_sample", true}};
  write_atomically(folder_.path / "generation_config.json", harmless.dump());
  EXPECT_EQ(generate("w10", "--max-new 1").err, "");
  set("generation_config.json", "repetition_penalty", 1.1);
  set("generation_config.json", "new_key", 2);
  const Outcome outcome = generate("w10", "--max-new 1");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr("/generation_config.json: repetition_penalty is 1.1; each"));
  EXPECT_THAT(outcome.err, HasSubstr("new_key is 2"));
}

TEST_F(GenerateCommand, RefusesAnEndTokenBeyondTheVocabularyByItsFile) {
  set("config.json", "eos_token_id", 101);
  Outcome outcome = generate("w10");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("/config.json: "));
  EXPECT_THAT(outcome.err, HasSubstr("eos_token_id"));
  EXPECT_THAT(outcome.err, HasSubstr("101"));
  EXPECT_EQ(outcome.error_lines(), 1u);
  set("generation_config.json", "eos_token_id", json::array({2, 500}));
  outcome = generate("w10");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("/generation_config.json: "));
  EXPECT_THAT(outcome.err, HasSubstr("500"));
}

TEST_F(GenerateCommand, FillsAllPositionsAndTellsOneTokenMore) {
  const Outcome outcome = generate(text_of(60), "--max-new 5");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_EQ(outcome.json()["ids"].size(), 65u);
  const Outcome refused = generate(text_of(60), "--max-new 6");
  EXPECT_EQ(refused.status, 2);
  EXPECT_THAT(
      refused.err,
      HasSubstr("--max-new is 6; expected at most 5: the prompt has 60 tokens and the model "
                "in " +
                folder_.path.string() + " has 64 positions"));
}

TEST_F(GenerateCommand, SaysOfAPromptWhatIsWrongWithIt) {
  const Outcome longer = generate(text_of(65), "--max-new 1");
  EXPECT_EQ(longer.status, 2);
  EXPECT_THAT(longer.err, HasSubstr("--prompt: the text has 65 tokens; the model in " +
                                    folder_.path.string() + " has 64 positions"));
  const Outcome empty = generate(" ");
  EXPECT_EQ(empty.status, 2);
  EXPECT_THAT(empty.err, HasSubstr("--prompt: the text has no tokens"));
  write_word_tokenizer(folder_.path, 120);
  const Outcome foreign = generate("w10 w110");
  EXPECT_EQ(foreign.status, 1);
  EXPECT_THAT(foreign.err,
              HasSubstr("token id 110, expected 0 to 100 (does the tokenizer belong to "
                        "this model?)"));
  EXPECT_EQ(foreign.error_lines(), 1u);
}

}  // namespace
}  // namespace rankfold
