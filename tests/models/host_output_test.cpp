#include <gtest/gtest.h>

#include <array>
#include <span>

#include "core/base/error.h"
#include "experiments/models/config_file.h"
#include "models/bert_example.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

TEST(HostOutput, IsWhatTheArchitecturesName) {
  const auto output = [](const char* text) {
    return declared_output(ConfigFile("config.json", text));
  };
  EXPECT_EQ(output(R"({"architectures": ["LlamaForCausalLM"]})"), HostOutput::language_model);
  EXPECT_EQ(output(R"({"architectures": ["GPT2LMHeadModel"]})"), HostOutput::language_model);
  EXPECT_EQ(output(R"({"architectures": ["LlamaForSequenceClassification"]})"),
            HostOutput::classifier);
  EXPECT_EQ(output(R"({"architectures": null})"), HostOutput::classifier);
  EXPECT_EQ(output("{}"), HostOutput::classifier);
}

TEST(HostOutput, OfAnEncoderIsNoLanguageModel) {
  HostSettings settings;
  settings.output = HostOutput::language_model;
  EXPECT_EQ(
      message_of<Error>([&] { load_host(golden, settings, make_cpu_device()); }),
      golden.string() + ": the family bert has no language model here, expected a classifier");
  const auto host = load_host(golden, {}, make_cpu_device());
  const std::string expected = golden.string() + ": is a classifier, expected a language model";
  EXPECT_EQ(message_of<Error>([&] { host->token_logits(example()); }), expected);
  EXPECT_EQ(message_of<Error>([&] { host->make_cache(8); }), expected);
  KeyValueCache cache(1, 1, std::array<std::size_t, 1>{1}, make_cpu_device());
  EXPECT_EQ(message_of<Error>([&] { host->next_logits(std::span<const std::int32_t>(), cache); }),
            expected);
  EXPECT_EQ(message_of<Error>([&] { host->answer_scores(example()); }), expected);
}

}  // namespace
}  // namespace rankfold
