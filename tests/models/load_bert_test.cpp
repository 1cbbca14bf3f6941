#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "experiments/models/check_model.h"
#include "experiments/models/host.h"
#include "models/bert_example.h"

namespace rankfold {
namespace {

using testing::HasSubstr;

/// A copy of the golden folder that a test damages.
class DamagedFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              ("rankfold-bert-" + std::to_string(::getpid()) + "-" +
               testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    for (const char* name : {"config.json", "model.safetensors"})
      std::filesystem::copy_file(golden / name, folder_ / name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void set(const std::string& key, const nlohmann::json& value) {
    auto config = nlohmann::json::parse(read_text(folder_ / "config.json"));
    config[key] = value;
    write_atomically(folder_ / "config.json", config.dump());
  }
  void expect_error(const std::string& message) {
    try {
      load_host(folder_, {}, make_cpu_device());
      ADD_FAILURE() << "loaded; expected: " << message;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(message));
      EXPECT_THAT(error.what(), HasSubstr(folder_.string()));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    }
  }
  std::filesystem::path folder_;
};

TEST_F(DamagedFolder, WithoutConfigIsRefused) {
  std::filesystem::remove(folder_ / "config.json");
  expect_error("config.json");
}

TEST_F(DamagedFolder, WithAWrongConfigIsRefused) {
  set("model_type", "gpt5");
  expect_error("model_type is 'gpt5', expected albert, bert");
  set("model_type", "bert");
  set("hidden_act", "mish");
  expect_error("hidden_act is 'mish', expected gelu");
  set("hidden_act", "gelu");
  set("num_attention_heads", 5);
  expect_error("num_attention_heads is 5, expected a divisor of hidden_size 32");
  set("num_attention_heads", -4);
  expect_error("num_attention_heads is -4");
  set("num_attention_heads", 4);
  set("intermediate_size", 65);
  expect_error("shape is [64, 32], expected [65, 32]");
  set("intermediate_size", 64);
  set("num_hidden_layers", 3);
  expect_error("bert.encoder.layer.2.attention.self.query.weight is missing");
  set("num_hidden_layers", 2);
  set("hidden_dropout_prob", 1.5);
  expect_error("hidden_dropout_prob is 1.5");
  write_atomically(folder_ / "config.json", "[1, 2");
  expect_error("not valid JSON");
}

TEST_F(DamagedFolder, WithATruncatedCheckpointIsRefused) {
  const std::string bytes = read_text(folder_ / "model.safetensors");
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{7}, std::size_t{100}, bytes.size() - 1}) {
    write_atomically(folder_ / "model.safetensors", bytes.substr(0, size));
    expect_error("model.safetensors");
  }
}

TEST_F(DamagedFolder, WithWeightsThatAreNotFiniteIsRefused) {
  std::string bytes = read_text(folder_ / "model.safetensors");
  const SafetensorsFile file(folder_ / "model.safetensors");
  const std::string name = "bert.encoder.layer.1.output.dense.weight";
  std::size_t data = 0;
  for (const TensorEntry& entry : file.entries()) data = std::max(data, entry.end);
  const std::size_t offset = bytes.size() - data + file.at(name).begin + 4 * 37;
  for (const float value : {std::nanf(""), INFINITY}) {
    std::memcpy(bytes.data() + offset, &value, 4);
    write_atomically(folder_ / "model.safetensors", bytes);
    expect_error(name + ": element 37 is");
  }
}

TEST_F(DamagedFolder, WithNamesWithoutPrefixIsTheSameModel) {
  const SafetensorsFile file(golden / "model.safetensors");
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries()) {
    std::string name = entry.name;
    if (name.starts_with("bert.")) name = name.substr(5);
    if (name.ends_with("LayerNorm.weight")) name.replace(name.size() - 6, 6, "gamma");
    if (name.ends_with("LayerNorm.bias")) name.replace(name.size() - 4, 4, "beta");
    tensors.push_back({name, entry.type, entry.shape, file.bytes(entry)});
  }
  write_safetensors(folder_ / "model.safetensors", tensors);
  const auto device = make_cpu_device();
  EXPECT_EQ(load_host(folder_, {}, device)->predict(example()),
            load_host(golden, {}, device)->predict(example()));
}

TEST_F(DamagedFolder, InAnotherPrecisionIsTheSameModel) {
  const SafetensorsFile file(golden / "model.safetensors");
  std::vector<std::vector<double>> values;
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries()) {
    values.push_back(file.read<double>(entry.name));
    tensors.push_back(make_tensor(entry.name, entry.shape, std::span<const double>(values.back())));
  }
  write_safetensors(folder_ / "model.safetensors", tensors);
  const auto device = make_cpu_device();
  EXPECT_EQ(load_host(folder_, {}, device)->predict(example()),
            load_host(golden, {}, device)->predict(example()));
}

TEST_F(DamagedFolder, WithoutPoolerAndClassifierGetsNewOnesAndSaysSo) {
  const SafetensorsFile file(golden / "model.safetensors");
  std::vector<TensorToWrite> tensors;
  for (const TensorEntry& entry : file.entries())
    if (!entry.name.starts_with("bert.pooler") && !entry.name.starts_with("classifier"))
      tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
  write_safetensors(folder_ / "model.safetensors", tensors);
  const auto device = make_cpu_device();
  HostSettings settings;
  settings.seed = 3;
  const auto host = load_host(folder_, settings, device);
  EXPECT_THAT(host->notes(), testing::ElementsAre(HasSubstr("no bert.pooler.dense")));
  EXPECT_EQ(host->predict(example()), load_host(folder_, settings, device)->predict(example()));
  settings.seed = 4;
  EXPECT_NE(host->predict(example()), load_host(folder_, settings, device)->predict(example()));
  EXPECT_LT(check_model(folder_, {}, device).worst(), 1e-5);
}

TEST_F(DamagedFolder, WithAnyKeySetOtherwiseComputesWhatItSaysOrIsRefused) {
  const auto device = make_cpu_device();
  const std::vector<float> expected = load_host(golden, {}, device)->predict(example());
  const auto config = nlohmann::json::parse(read_text(golden / "config.json"));
  const std::map<std::string, nlohmann::json> honoured = {{"hidden_act", "relu"},
                                                          {"layer_norm_eps", 0.1}};
  for (const auto& [key, value] : honoured) {
    set(key, value);
    EXPECT_NE(load_host(folder_, {}, device)->predict(example()), expected) << key;
    set(key, config[key]);
  }
  for (const char* dropout :
       {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"}) {
    set(dropout, 0.25);
    double largest = 0;
    for (const auto& [place, probability] : load_host(folder_, {}, device)->dropouts())
      largest = std::max(largest, probability);
    EXPECT_EQ(largest, 0.25) << dropout;
    set(dropout, config[dropout]);
  }
  const std::map<std::string, nlohmann::json> refused = {
      {"is_decoder", true},
      {"add_cross_attention", true},
      {"position_embedding_type", "relative_key_query"},
      {"pruned_heads", {{"0", {1}}}},
      {"quantization_config", {{"bits", 4}}},
      {"num_attention_heads", 5},
      {"vocab_size", 102},
      {"type_vocab_size", 3},
      {"max_position_embeddings", 65},
      {"problem_type", "other"},
      {"rope_scaling", {{"factor", 2}}}};
  for (const auto& [key, value] : refused) {
    set(key, value);
    expect_error(key == "vocab_size"                ? "[102, 32]"
                 : key == "type_vocab_size"         ? "[3, 32]"
                 : key == "max_position_embeddings" ? "[65, 32]"
                                                    : key);
    set(key, config.value(key, nlohmann::json()));
  }
  const std::map<std::string, nlohmann::json> changes_nothing = {{"architectures", {"BertModel"}},
                                                                 {"bos_token_id", 7},
                                                                 {"dtype", "float16"},
                                                                 {"eos_token_id", {1, 2}},
                                                                 {"pad_token_id", 3},
                                                                 {"initializer_range", 0.5},
                                                                 {"tie_word_embeddings", false},
                                                                 {"use_cache", false},
                                                                 {"transformers_version", "4.1"},
                                                                 {"chunk_size_feed_forward", 8},
                                                                 {"hidden_dropout_prob", 0.3}};
  for (const auto& [key, value] : changes_nothing) {
    set(key, value);
    EXPECT_EQ(load_host(folder_, {}, device)->predict(example()), expected) << key;
  }
}

}  // namespace
}  // namespace rankfold
