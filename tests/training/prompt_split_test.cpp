#include "experiments/training/prompt_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <numeric>

#include "core/base/error.h"
#include "core/device/device.h"
#include "experiments/models/generate.h"
#include "experiments/training/prompt_score.h"
#include "experiments/training/training_session.h"
#include "models/golden_models.h"
#include "temporary_folder.h"
#include "word_tokenizer.h"

namespace rankfold {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Words w0 ... w59; w1 before each text and w2 behind it where they are wanted.
std::unique_ptr<Tokenizer> word_tokenizer(bool begins, bool ends = false) {
  const TemporaryFolder folder;
  write_word_tokenizer(folder.path, 60);
  const auto file = folder.path / "tokenizer.json";
  nlohmann::json document = nlohmann::json::parse(read_text(file));
  nlohmann::json single = nlohmann::json::array(), special = nlohmann::json::object();
  const auto add = [&](const char* name, int id) {
    single.push_back({{"SpecialToken", {{"id", name}, {"type_id", 0}}}});
    special[name] = {{"id", name}, {"ids", {id}}, {"tokens", {name}}};
  };
  if (begins) add("w1", 1);
  single.push_back({{"Sequence", {{"id", "A"}, {"type_id", 0}}}});
  if (ends) add("w2", 2);
  nlohmann::json pair = single;
  pair.push_back({{"Sequence", {{"id", "B"}, {"type_id", 1}}}});
  document["post_processor"] = {{"type", "TemplateProcessing"},
                                {"single", single},
                                {"pair", pair},
                                {"special_tokens", special}};
  write_atomically(file, document.dump());
  return load_tokenizer(file);
}

PromptExample example(const std::string& prompt, const std::vector<std::string>& options,
                      std::size_t gold = 0) {
  PromptExample example;
  example.place = "rows.jsonl:7";
  example.prompt = prompt;
  for (const std::string& option : options) {
    example.options.push_back(prompt + option);
    example.option_names.push_back(option);
  }
  example.gold = gold;
  example.right = {gold};
  return example;
}

PromptTask task_with(PromptLoss loss, bool generates = false) {
  PromptTask task;
  task.name = "words";
  task.loss = loss;
  task.generates = generates;
  if (!generates) task.options = {{"0", ""}, {"1", ""}};
  return task;
}

PromptSplit encode(const std::vector<PromptExample>& examples, bool begins = true,
                   const PromptLimits& limits = {64, 0}, PromptLoss loss = PromptLoss::options) {
  return encode_prompts(task_with(loss), examples, *word_tokenizer(begins), limits);
}

TEST(PromptSplit, SharesWhatAllOptionsBeginWith) {
  const PromptSplit split = encode({example("w5 w6 w7", {" w8", " w9 w10"}, 1)});
  const EncodedPrompt& encoded = split.examples[0];
  EXPECT_THAT(encoded.shared, ElementsAre(1, 5, 6, 7));
  EXPECT_THAT(encoded.options[0].tokens, ElementsAre(8));
  EXPECT_THAT(encoded.options[1].tokens, ElementsAre(9, 10));
  EXPECT_EQ(encoded.options[1].answer, 2u);
  EXPECT_EQ(encoded.gold, 1u);
  EXPECT_EQ(encoded.longest(), 6u);
  EXPECT_EQ(split.cut, 0u);
  // What an option makes of the prompt's last word is not shared, and not its own either.
  const PromptSplit merged = encode({example("w5 w6", {" w8", "1 w8 w9"})});
  EXPECT_THAT(merged.examples[0].shared, ElementsAre(1, 5));
  EXPECT_THAT(merged.examples[0].options[1].tokens, ElementsAre(0, 8, 9));
  EXPECT_EQ(merged.examples[0].options[1].answer, 2u);
  // A tokenizer's end is no part of an answer.
  const PromptSplit ended =
      encode_prompts(task_with(PromptLoss::options), {example("w5", {" w8", " w9"})},
                     *word_tokenizer(true, true), {64, 0});
  EXPECT_THAT(ended.examples[0].shared, ElementsAre(1, 5));
  EXPECT_THAT(ended.examples[0].options[0].tokens, ElementsAre(8));
}

TEST(PromptSplit, PacksOptionsBehindTheirPromptOrTheRightOneAlone) {
  const std::vector<PromptExample> examples = {example("w5 w6", {" w8", " w9 w10"}, 1),
                                               example("w7", {" w3", " w4"})};
  const PromptSplit split = encode(examples, false);
  const Batch batch = pack(split, std::array<std::size_t, 2>{1, 0});
  EXPECT_THAT(batch.ids, ElementsAre(7, 3, 4, 5, 6, 8, 9, 10));
  EXPECT_THAT(batch.targets, ElementsAre(-100, 3, 4, -100, -100, 8, 9, 10));
  EXPECT_THAT(batch.starts, ElementsAre(0, 1, 2, 3, 5, 6, 8));
  EXPECT_THAT(batch.prefixes, ElementsAre(no_prefix, 0, 0, no_prefix, 3, 3));
  EXPECT_THAT(batch.options, ElementsAre(0, 2, 4));
  EXPECT_THAT(batch.labels, ElementsAre(0, 1));
  EXPECT_EQ(mean_batch_tokens(split, 4), 16u);

  const PromptSplit of_tokens = encode(examples, false, {64, 0}, PromptLoss::tokens);
  const Batch right = pack(of_tokens, std::array<std::size_t, 2>{0, 1});
  EXPECT_THAT(right.ids, ElementsAre(5, 6, 9, 10, 7, 3));
  EXPECT_THAT(right.targets, ElementsAre(-100, -100, 9, 10, -100, 3));
  EXPECT_THAT(right.starts, ElementsAre(0, 4, 6));
  EXPECT_TRUE(right.options.empty());
}

TEST(PromptSplit, CutsPromptsFromTheirBeginningAsMaxLengthAsks) {
  const std::vector<PromptExample> examples = {example("w5 w6 w7 w8", {" w9", " w10 w11"}),
                                               example("w5", {" w9", " w10"})};
  const PromptSplit split = encode(examples, true, {64, 5});
  EXPECT_EQ(split.cut, 1u);
  EXPECT_THAT(split.examples[0].shared, ElementsAre(1, 7, 8));
  EXPECT_THAT(split.examples[0].options[0].tokens, ElementsAre(9));
  EXPECT_THAT(split.examples[1].shared, ElementsAre(1, 5));
  EXPECT_THAT(encode(examples, false, {64, 3}).examples[0].shared, ElementsAre(8));
  EXPECT_EQ(message_of<Error>([&] {
              encode(examples, true, {64, 3});
            }),
            "rows.jsonl:7: the 2 tokens of an answer leave no room for a prompt in "
            "--max-length 3");
  EXPECT_THROW(encode(examples, false, {64, 2}), Error);
  EXPECT_EQ(message_of<Error>([&] {
              encode(examples, true, {6, 0});
            }),
            "rows.jsonl:7: the prompt and its answer have 7 tokens, expected at most the model's 6 "
            "positions (--max-length 6 cuts prompts from their beginning)");
}

TEST(PromptSplit, CountsThePromptsThatLoseWhatIsAsked) {
  PromptExample asked = example("w5 w6 w7 w8", {" w9", " w10 w11"});
  asked.last_field = std::string("w5 w6 ").size();
  EXPECT_EQ(encode({asked}, true, {64, 5}).cut, 1u);
  EXPECT_EQ(encode({asked}, true, {64, 5}).lost, 0u);
  EXPECT_EQ(encode({asked}, true, {64, 4}).lost, 1u);
  EXPECT_EQ(encode({asked}, false, {64, 3}).lost, 1u);
  EXPECT_EQ(encode({example("w5 w6 w7 w8", {" w9", " w10"})}, true, {64, 3}).lost, 0u);
}

TEST(PromptSplit, NamesTheRowWhoseOptionsAreNone) {
  EXPECT_EQ(message_of<Error>([] {
              encode({example("w5", {" w8", " "})});
            }),
            "rows.jsonl:7: the option ' ' has no tokens behind the prompt, expected at least one");
  EXPECT_EQ(message_of<Error>([] {
              encode({example("w5", {" w8", " w9", "  w8"})});
            }),
            "rows.jsonl:7: the options ' w8' and '  w8' have the same tokens, expected different "
            "ones");
  EXPECT_EQ(message_of<Error>([] {
              encode({example("", {"w8", "w9"})}, false);
            }),
            "rows.jsonl:7: the tokenizer makes no tokens of the prompt '', expected at least one");
}

class PromptScoring : public testing::Test {
 protected:
  PromptScoring() {
    HostSettings settings;
    settings.output = HostOutput::language_model;
    host_ = load_host(golden_model("llama"), settings, make_cpu_device());
  }
  static std::vector<std::size_t> all_of(const PromptSplit& split) {
    std::vector<std::size_t> all(split.size());
    std::iota(all.begin(), all.end(), std::size_t{0});
    return all;
  }
  std::unique_ptr<Host> host_;
};

TEST_F(PromptScoring, ChoosesTheOptionOfTheLargestScore) {
  std::vector<PromptExample> examples = {example("w5 w6 w7", {" w8", " w9 w10", " w3"}, 2),
                                         example("w7", {" w3", " w4"}),
                                         example("w9 w33 w12 w8", {" w13 w4 w4", " w14"}, 1)};
  for (const PromptLoss loss : {PromptLoss::options, PromptLoss::tokens}) {
    const PromptSplit split = encode(examples, true, {64, 0}, loss);
    check_prompts(split, examples, *host_);
    const std::vector<double> expected =
        host_->answer_scores(pack_for_scoring(split, all_of(split)));
    std::size_t told = 0;
    const PromptScores found =
        score_prompts(*host_, task_with(loss), split, 2,
                      [&](std::size_t done, std::size_t of) { told = 10 * done + of; });
    EXPECT_EQ(told, 33u);
    std::size_t answer = 0, right = 0;
    for (std::size_t i = 0; i < split.size(); ++i) {
      const auto& own = found.option_scores[i];
      for (const double score : own) EXPECT_NEAR(score, expected[answer++], 1e-5);
      EXPECT_EQ(found.predictions[i],
                static_cast<std::size_t>(std::ranges::max_element(own) - own.begin()));
      right += found.predictions[i] == examples[i].gold ? 1 : 0;
    }
    EXPECT_DOUBLE_EQ(found.scores.at("accuracy"), static_cast<double>(right) / 3);
    EXPECT_NEAR(found.loss, host_->mean_loss(pack(split, all_of(split))), 1e-5);
  }
  // A second option that counts as right too.
  PromptSplit split = encode(examples);
  split.examples[0].right = split.examples[1].right = split.examples[2].right = {0, 1, 2};
  EXPECT_EQ(score_prompts(*host_, task_with(PromptLoss::options), split, 3).scores.at("accuracy"),
            1);
}

TEST_F(PromptScoring, WeighExamplesAlikeInStepsOfSeveralBatches) {
  const PromptSplit split =
      encode({example("w5 w6 w7", {" w8", " w9 w10", " w3"}, 2), example("w7", {" w3", " w4"}),
              example("w9 w33 w12 w8", {" w13 w4 w4", " w14"}, 1)});
  const auto device = make_cpu_device();
  const Method method = builtin_registry().at("lora");
  RunSettings wanted;
  wanted.values = {{"method", "lora"}, {"rank", "2"}, {"targets", "q,v"}, {"dropout", "0"}};
  HostSettings of_host = host_settings(wanted, 3);
  of_host.output = HostOutput::language_model;
  std::vector<double> losses, norms;
  for (const std::vector<std::vector<std::size_t>>& batches :
       {std::vector<std::vector<std::size_t>>{{0, 1, 2}}, {{0, 1}, {2}}}) {
    TrainingSession session(load_host(golden_model("llama"), of_host, device), method, wanted, 3,
                            device, [](const std::vector<std::string>&) {});
    session.begin(optimizer_settings(wanted));
    double loss = session.form_gradients(pack(split, batches[0]));
    for (std::size_t i = 1; i < batches.size(); ++i)
      loss = session.add_gradients(pack(split, batches[i]));
    losses.push_back(loss);
    norms.push_back(session.norm());
  }
  EXPECT_NEAR(losses[1], losses[0], 1e-6);
  EXPECT_NEAR(norms[1], norms[0], 1e-5 * norms[0]);
}

TEST_F(PromptScoring, NamesTheExampleOfAnotherTokenizer) {
  PromptSplit split = encode({example("w5", {" w8", " w9"})});
  split.examples[0].options[1].tokens = {4000};
  EXPECT_THAT(message_of<Error>([&] {
                check_prompts(split, {example("w5", {" w8", " w9"})}, *host_);
              }),
              HasSubstr("rows.jsonl:7: "));
}

TEST_F(PromptScoring, GeneratesAnswersUntilTheyEnd) {
  const auto tokenizer = word_tokenizer(true);
  std::vector<PromptExample> examples = {example("w5 w6 w7", {" w8"}),
                                         example("w9 w33", {" w4 w5"})};
  const PromptTask task = task_with(PromptLoss::tokens, true);
  PromptSplit split = encode_prompts(task, examples, *tokenizer, {host_->max_tokens(), 0});
  EXPECT_THAT(split.examples[0].question, ElementsAre(1, 5, 6, 7));
  const std::vector<std::int32_t> whole = generate_greedily(*host_, split.examples[0].question, 5);
  const AnswerGeneration generation{tokenizer.get(), {whole[8]}};
  const std::vector<std::int32_t> ended =
      generate_greedily(*host_, split.examples[0].question, 5, generation.ends);
  const std::string text = tokenizer->decode(std::span(ended).subspan(4));
  split.examples[0].answers = {"nothing", text};
  split.examples[1].answers = {"nothing"};
  const PromptScores found = score_prompts(*host_, task, split, 2, {}, generation);
  EXPECT_EQ(found.texts[0], text);
  EXPECT_EQ(found.scores.at("exact_match"), 0.5);
  EXPECT_EQ(found.scores.at("f1"), 0.5);
  EXPECT_NEAR(found.loss, host_->mean_loss(pack(split, all_of(split))), 1e-5);
  EXPECT_THROW(score_prompts(*host_, task, split, 2), Error);

  const TemporaryFolder folder;
  examples[0].answers = split.examples[0].answers;
  examples[1].answers = split.examples[1].answers;
  write_prompt_predictions(folder.path / "p.tsv", task, examples, found);
  EXPECT_THAT(read_text(folder.path / "p.tsv"),
              testing::StartsWith("index\tprediction\tlabel\tf1\texact_match\tprompt\n0\t" + text +
                                  "\t w8\t1\t1\tw5 w6 w7\n1\t"));
}

}  // namespace
}  // namespace rankfold
