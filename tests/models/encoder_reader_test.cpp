#include "experiments/models/encoder_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "core/base/error.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using testing::ElementsAre;

ModelShape shape() {
  ModelShape result;
  result.hidden = 8;
  result.heads = 2;
  result.intermediate = 12;
  return result;
}

TEST(EncoderReader, TakesWhatTheComputationNeedsOrItsDefaults) {
  const ConfigFile config("c.json", R"({"hidden_act": "relu", "layer_norm_eps": 0.25,
      "hidden_dropout_prob": 0.2, "attention_probs_dropout_prob": 0.3})");
  const EncoderDetails read = read_encoder_details(shape(), config, -1);
  EXPECT_EQ(read.layer.hidden, 8u);
  EXPECT_EQ(read.layer.heads, 2u);
  EXPECT_EQ(read.layer.intermediate, 12u);
  EXPECT_EQ(read.layer.activation, HiddenActivation::relu);
  EXPECT_EQ(read.epsilon, 0.25f);
  EXPECT_EQ(read.hidden_dropout, 0.2);
  EXPECT_EQ(read.layer.attention_output_dropout, 0.2);
  EXPECT_EQ(read.layer.output_dropout, 0.2);
  EXPECT_EQ(read.layer.attention_dropout, 0.3);

  const EncoderDetails replaced = read_encoder_details(shape(), config, 0);
  EXPECT_EQ(replaced.hidden_dropout + replaced.layer.attention_dropout +
                replaced.layer.attention_output_dropout + replaced.layer.output_dropout,
            0.0);

  const EncoderDetails defaults = read_encoder_details(shape(), {}, -1);
  EXPECT_EQ(defaults.layer.activation, HiddenActivation::gelu);
  EXPECT_EQ(defaults.epsilon, 1e-12f);
  EXPECT_EQ(defaults.hidden_dropout, 0.1);

  const EncoderDefaults own = {1e-5f, 0.4, 0.5, HiddenActivation::gelu_tanh};
  const EncoderDetails others = read_encoder_details(shape(), {}, -1, own);
  EXPECT_EQ(others.layer.activation, HiddenActivation::gelu_tanh);
  const ConfigFile empty("c.json", "{}");
  EXPECT_EQ(read_encoder_details(shape(), empty, -1, own).layer.activation,
            HiddenActivation::gelu_tanh);
  EXPECT_EQ(others.epsilon, 1e-5f);
  EXPECT_EQ(others.layer.output_dropout, 0.4);
  EXPECT_EQ(others.layer.attention_dropout, 0.5);
}

TEST(EncoderReader, TakesADropoutOrWhatStandsForIt) {
  const ConfigFile config("c.json", R"({"told": 0.2, "null": null})");
  EXPECT_EQ(read_dropout(config, -1, "told", 0.3), 0.2);
  EXPECT_EQ(read_dropout(config, -1, "null", 0.3), 0.3);
  EXPECT_EQ(read_dropout(config, 0.1, "told", 0.3), 0.1);
  EXPECT_EQ(read_dropout({}, -1, "told", 0.3), 0.3);
}

TEST(EncoderReader, RefusesAnActivationThatIsNotComputed) {
  const ConfigFile config("c.json", R"({"hidden_act": "mish"})");
  EXPECT_EQ(
      message_of<Error>([&] { read_encoder_details(shape(), config, -1); }),
      "c.json: hidden_act is 'mish', expected gelu, gelu_new, gelu_pytorch_tanh, relu or silu");
}

TEST(EncoderReader, NotesTensorsThatNothingReads) {
  const TemporaryFolder folder;
  const std::vector<float> values(4);
  const std::vector<TensorToWrite> tensors = {
      make_tensor("read", {4}, std::span<const float>(values)),
      make_tensor("net.expected", {4}, std::span<const float>(values)),
      make_tensor("first", {4}, std::span<const float>(values)),
      make_tensor("second", {4}, std::span<const float>(values))};
  write_safetensors(folder.path / "model.safetensors", tensors);
  EncoderNetwork network;
  network.catalogue.model = "m";
  network.weights = std::make_unique<FrozenWeights>(folder.path, "net.", make_cpu_device());
  network.weights->tensor("read", {4});
  note_unused(network, "net.", {"exp"});
  network.weights->find("first");
  note_unused(network, "net.", {"expected"});
  network.weights->find("second");
  note_unused(network, "net.", {"expected"});
  EXPECT_THAT(
      network.notes,
      ElementsAre("m: the checkpoint has 2 tensors that no part of the model reads: first, second",
                  "m: the checkpoint has a tensor that no part of the model reads: second"));
}

}  // namespace
}  // namespace rankfold
