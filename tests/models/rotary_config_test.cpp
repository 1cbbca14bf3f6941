#include "experiments/models/rotary_config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using Scaling = RotarySettings::Scaling;

RotarySettings rope(const std::string& text) {
  return read_rotary(ConfigFile("c.json", text), 8, 64);
}
std::string rope_refusal(const std::string& text) {
  return message_of<Error>([&] { rope(text); });
}

TEST(RotaryConfig, IsReadAsEitherVersionOfTransformersWritesIt) {
  EXPECT_EQ(rope("{}").theta, 10000);
  EXPECT_EQ(read_rotary({}, 8, 64).scaling, Scaling::none);
  EXPECT_EQ(rope(R"({"rope_theta": 5e5, "rope_scaling": null})").theta, 5e5);
  const RotarySettings plain =
      rope(R"({"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}})");
  EXPECT_EQ(plain.theta, 1e6);
  EXPECT_EQ(plain.scaling, Scaling::none);
  EXPECT_EQ(rope(R"({"rope_scaling": {}, "rope_parameters": {"rope_theta": 100}})").theta, 100);
  const RotarySettings old =
      rope(R"({"rope_theta": 1e5, "rope_scaling": {"type": "linear", "factor": 2.5}})");
  EXPECT_EQ(old.scaling, Scaling::linear);
  EXPECT_EQ(old.theta, 1e5);
  EXPECT_EQ(old.factor, 2.5);
  const RotarySettings dynamic =
      rope(R"({"rope_parameters": {"rope_type": "dynamic", "factor": 4}})");
  EXPECT_EQ(dynamic.scaling, Scaling::dynamic);
  EXPECT_EQ(dynamic.trained_positions, 64u);
  const RotarySettings llama3 = rope(R"({"rope_parameters": {"rope_type": "llama3", "factor": 8,
      "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 16}})");
  EXPECT_EQ(llama3.scaling, Scaling::llama3);
  EXPECT_EQ(llama3.trained_positions, 16u);
  EXPECT_EQ(llama3.high_frequency, 4);
}

TEST(RotaryConfig, OfYarnHasItsMagnitude) {
  const auto yarn = [](const std::string& more) {
    return rope(
        R"({"rope_parameters": {"rope_type": "yarn", "original_max_position_embeddings": 16)" +
        more + "}}");
  };
  EXPECT_EQ(yarn("").factor, 4);
  EXPECT_NEAR(yarn("").magnitude, 0.1 * std::log(4) + 1, 1e-12);
  EXPECT_EQ(yarn(R"(, "attention_factor": 0.5)").magnitude, 0.5);
  EXPECT_NEAR(yarn(R"(, "factor": 2, "mscale": 3, "mscale_all_dim": 2)").magnitude,
              (0.3 * std::log(2) + 1) / (0.2 * std::log(2) + 1), 1e-12);
  EXPECT_FALSE(yarn(R"(, "truncate": false)").whole_pairs);
  EXPECT_EQ(yarn(R"(, "beta_fast": 16, "beta_slow": 2)").fast_turns, 16);
}

TEST(RotaryConfig, RefusesByNameWhatIsNotComputed) {
  EXPECT_EQ(rope_refusal(R"({"rope_scaling": {"rope_type": "longrope", "factor": 2}})"),
            "c.json: rope_scaling: rope_type is 'longrope', expected default, linear, dynamic, "
            "llama3 or yarn");
  EXPECT_EQ(rope_refusal(R"({"rope_parameters": {"rope_type": "linear"}})"),
            "c.json: rope_parameters: factor is missing; expected a number");
  EXPECT_EQ(rope_refusal(R"({"partial_rotary_factor": 0.5})"),
            "c.json: partial_rotary_factor is 0.5, expected 1: whole heads are turned");
  EXPECT_NE(rope_refusal(R"({"rope_parameters": {"rope_type": "default", "short_factor": [1]}})")
                .find("short_factor"),
            std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_parameters": {"full_attention": {"rope_type": "default"}}})")
                .find("full_attention"),
            std::string::npos);
  EXPECT_NE(rope_refusal(R"({"rope_parameters": {"rope_type": "llama3", "factor": 8,
      "low_freq_factor": 4, "high_freq_factor": 4}})")
                .find("low_freq_factor is 4"),
            std::string::npos);
}

}  // namespace
}  // namespace rankfold
