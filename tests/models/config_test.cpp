#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "experiments/models/shapes.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json families() {
  return json::parse(read_text(RANKFOLD_GOLDEN_DIR "/models/configs/counts.json"));
}

ModelShape shape_of(const json& config) {
  const TemporaryFolder folder;
  std::ofstream(folder.path / "config.json") << config.dump();  // thousands: no fsync
  return read_shape(folder.path);
}

TEST(ModelConfig, CountsAsTransformersDoesOrRefusesWhateverKeyIsSet) {
  const json all = families();
  for (const auto& [family, entry] : all.items()) {
    SCOPED_TRACE(family);
    EXPECT_EQ(shape_of(entry["config"]).parameters, entry["parameters"]);
    for (const json& changed : entry["cases"]) {
      SCOPED_TRACE(changed.dump());
      json config = entry["config"];
      config[changed[0].get<std::string>()] = changed[1];
      if (changed[2] == "refused") {
        const std::string message = message_of<Error>([&] { shape_of(config); });
        EXPECT_THAT(message, HasSubstr("config.json: "));
        EXPECT_EQ(message.find('\n'), std::string::npos);
      } else {
        EXPECT_EQ(shape_of(config).parameters, changed[2]);
      }
    }
  }
}

TEST(ModelConfig, RefusesAKeyThatNobodyKnowsUnlessItIsOff) {
  const json all = families();
  for (const auto& [family, entry] : all.items()) {
    json config = entry["config"];
    config["some_new_switch"] = true;
    EXPECT_THAT(message_of<Error>([&] { shape_of(config); }), HasSubstr("'some_new_switch'"))
        << family;
    for (const json& off : {json(), json(false), json(""), json::array(), json::object()}) {
      config["some_new_switch"] = off;
      EXPECT_EQ(shape_of(config).parameters, entry["parameters"]) << family;
    }
  }
}

TEST(ModelConfig, TakesWhatOlderVersionsAndOtherProgramsLeaveInIt) {
  const json all = families();
  const auto with = [&](const std::string& family, const json& keys) {
    json config = all[family]["config"];
    config.update(keys);
    EXPECT_EQ(shape_of(config).parameters, all[family]["parameters"]) << keys.dump();
  };
  with("bert", {{"_name_or_path", "a/b"},
                {"architectures", {"BertForMaskedLM"}},
                {"torch_dtype", "float32"},
                {"id2label", {{"0", "no"}, {"1", "yes"}}},
                {"label2id", {{"no", 0}, {"yes", 1}}},
                {"gradient_checkpointing", false},
                {"position_embedding_type", "absolute"},
                {"output_past", true},
                {"directionality", "bidi"},
                {"pooler_type", "first_token_transform"},
                {"pooler_fc_size", 768},
                {"num_beams", 1},
                {"temperature", 1.0},
                {"pruned_heads", json::object()},
                {"chunk_size_feed_forward", 0},
                {"sentence_transformers", {{"version", "4.1.0"}}}});
  with("albert", {{"net_structure_type", 0}, {"down_scale_factor", 1}, {"inner_group_num", 1}});
  with("deberta", {{"padding_idx", 0}, {"pos_att_type", "C2P|p2c"}});
  with("gpt2", {{"n_ctx", 64}, {"task_specific_params", {{"text-generation", json::object()}}}});
  with("llama", {{"rope_theta", 500000.0}, {"rope_scaling", nullptr}, {"pretraining_tp", 1}});
}

TEST(ModelConfig, NamesTheKeyOfAValueThatCannotBe) {
  const json bert = families()["bert"]["config"];
  const auto message = [&](const char* key, const json& value) {
    json config = bert;
    config[key] = value;
    return message_of<Error>([&] { shape_of(config); });
  };
  EXPECT_THAT(message("layer_norm_eps", nullptr), HasSubstr("layer_norm_eps is null"));
  EXPECT_THAT(message("layer_norm_eps", -1e-12), HasSubstr("layer_norm_eps is -1e-12"));
  EXPECT_THAT(
      message("hidden_act", "gelux"),
      HasSubstr("hidden_act is 'gelux', expected gelu, gelu_new, gelu_pytorch_tanh, relu or "
                "silu"));
  EXPECT_THAT(message("is_decoder", true), HasSubstr("is_decoder is true"));
  EXPECT_THAT(message("pad_token_id", 101), HasSubstr("pad_token_id is 101"));
  EXPECT_THAT(message("auto_map", {{"AutoModel", "other.Model"}}), HasSubstr("auto_map"));
  EXPECT_THAT(message("hidden_sise", 32), HasSubstr("'hidden_sise'"));
}

TEST(ModelConfig, HeadsOfTheirOwnSizeNeedNotDivideTheHiddenSize) {
  for (const char* family : {"mistral", "qwen3"}) {
    json config = families()[family]["config"];
    config["head_dim"] = 8;
    config["num_attention_heads"] = config["num_key_value_heads"] = 5;
    const ModelShape shape = shape_of(config);
    EXPECT_EQ(shape.heads * shape.head_size, 40u) << family;
    EXPECT_NE(shape.hidden % shape.heads, 0u) << family;
  }
  json config = families()["mistral"]["config"];
  config["num_attention_heads"] = config["num_key_value_heads"] = 5;
  config.erase("head_dim");
  EXPECT_THAT(message_of<Error>([&] { shape_of(config); }), HasSubstr("expected a divisor"));
}

TEST(ModelConfig, CountsTheNormsThatDebertaHas) {
  json config = families()["deberta-v2"]["config"];
  const std::size_t with_norm = norm_parameters(shape_of(config));
  config["norm_rel_ebd"] = "none";
  EXPECT_EQ(norm_parameters(shape_of(config)), with_norm - 2 * 32);
  config["conv_kernel_size"] = 3;
  EXPECT_EQ(norm_parameters(shape_of(config)), with_norm);
}

TEST(ModelConfig, NestedBeyondMeasureIsRefused) {
  const TemporaryFolder folder;
  const std::string deep = std::string(200'000, '[') + std::string(200'000, ']');
  write_atomically(folder.path / "config.json", R"({"model_type": "bert", "x": )" + deep + "}");
  EXPECT_THAT(message_of<Error>([&] { read_shape(folder.path); }), HasSubstr("nested deeper"));
}

}  // namespace
}  // namespace rankfold
