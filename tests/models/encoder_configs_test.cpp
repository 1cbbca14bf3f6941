#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "models/golden_models.h"
#include "temporary_folder.h"

// What keys of config.json do to encoders that can be loaded, and what checkpoints may leave out.

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

/// A copy of a golden model whose config.json and tensors a test changes.
class ChangedModel {
 public:
  explicit ChangedModel(const std::string& family) : original_(golden_model(family)) {
    config = json::parse(read_text(original_ / "config.json"));
    fs::copy_file(original_ / "model.safetensors", folder_.path / "model.safetensors");
  }
  std::unique_ptr<Host> load(double dropout = -1) const {
    write_atomically(folder_.path / "config.json", config.dump());
    HostSettings settings;
    settings.dropout = dropout;
    return load_host(folder_.path, settings, make_cpu_device());
  }
  std::vector<float> predict() const { return load()->predict(short_batch()); }
  /// Writes those tensors that `keep` takes, and others of these names, of zeros.
  void write(const std::function<bool(const std::string&)>& keep,
             const std::vector<std::string>& added = {}) const {
    const SafetensorsFile file(original_ / "model.safetensors");
    const std::vector<float> zeros(4);
    std::vector<TensorToWrite> tensors;
    for (const TensorEntry& entry : file.entries())
      if (keep(entry.name))
        tensors.push_back({entry.name, entry.type, entry.shape, file.bytes(entry)});
    for (const std::string& name : added)
      tensors.push_back(make_tensor(name, {4}, std::span<const float>(zeros)));
    write_safetensors(folder_.path / "model.safetensors", tensors);
  }

  json config;

 private:
  fs::path original_;
  TemporaryFolder folder_;
};

TEST(EncoderConfigs, ChangeWhatIsComputed) {
  const std::map<std::string, std::vector<std::pair<std::string, json>>> changes = {
      {"roberta", {{"layer_norm_eps", 0.1}, {"hidden_act", "relu"}, {"pad_token_id", 0}}},
      {"albert", {{"layer_norm_eps", 0.1}, {"hidden_act", "gelu"}, {"num_hidden_layers", 3}}},
      {"deberta",
       {{"layer_norm_eps", 0.1},
        {"hidden_act", "relu"},
        {"pooler_hidden_act", "tanh"},
        {"pos_att_type", {"c2p"}},
        {"pos_att_type", json::array()},
        {"relative_attention", false}}},
      {"deberta-v2",
       {{"layer_norm_eps", 0.1},
        {"hidden_act", "relu"},
        {"pooler_hidden_act", "gelu_new"},
        {"pos_att_type", "p2c"},
        {"norm_rel_ebd", "none"},
        {"relative_attention", false}}}};
  for (const auto& [family, keys] : changes) {
    const std::vector<float> before = ChangedModel(family).predict();
    for (const auto& [key, value] : keys) {
      ChangedModel model(family);
      model.config[key] = value;
      EXPECT_NE(model.predict(), before) << family << " " << key << " " << value;
    }
  }
}

TEST(EncoderConfigs, TellTheirDropouts) {
  const std::map<std::string, std::map<std::string, std::string>> places = {
      {"roberta", {{"classifier_dropout", "classifier"}, {"hidden_dropout_prob", "hidden"}}},
      {"albert", {{"classifier_dropout_prob", "classifier"}, {"hidden_dropout_prob", "hidden"}}},
      {"deberta", {{"pooler_dropout", "pooler"}, {"cls_dropout", "classifier"}}},
      {"deberta-v2",
       {{"pooler_dropout", "pooler"}, {"attention_probs_dropout_prob", "attention"}}}};
  for (const auto& [family, keys] : places)
    for (const auto& [key, place] : keys) {
      ChangedModel model(family);
      model.config[key] = 0.25;
      EXPECT_EQ(model.load()->dropouts().at(place), 0.25) << family << " " << key;
      EXPECT_EQ(model.load(0.5)->dropouts().at(place), 0.5) << family << " " << key;
      // Something is dropped.
      const auto host = model.load();
      EXPECT_NE(host->train_pass(short_batch(), 1, 1), host->train_pass(short_batch(), 1, 2))
          << family << " " << key;
    }
  // Where the classifier has none of its own it is that of the hidden states; ALBERT's stays 0.1.
  for (const char* family : {"roberta", "deberta", "deberta-v2", "albert"}) {
    ChangedModel model(family);
    model.config["hidden_dropout_prob"] = 0.25;
    model.config.erase("classifier_dropout_prob");
    EXPECT_EQ(model.load()->dropouts().at("classifier"),
              family == std::string("albert") ? 0.1 : 0.25)
        << family;
  }
}

TEST(EncoderConfigs, NameWhatIsNotComputed) {
  struct Refusal {
    std::string family, key;
    json value;
    std::string message;
  };
  for (const Refusal& refusal : {
           Refusal{"roberta", "max_position_embeddings", 65, "[65, 32]"},
           Refusal{"roberta", "pad_token_id", 70, "pad_token_id + 1"},
           Refusal{"roberta", "type_vocab_size", 2, "[2, 32]"},
           Refusal{"albert", "num_hidden_groups", 2, "num_hidden_groups is 2, expected 1"},
           Refusal{"albert", "inner_group_num", 2, "inner_group_num"},
           Refusal{"albert", "embedding_size", 32, "expected [32, 32]"},
           Refusal{"deberta", "talking_head", true, "talking_head is 1, expected 0"},
           Refusal{"deberta", "embedding_size", 16, "embedding_size is 16, expected 32"},
           Refusal{"deberta", "position_biased_input", true, "position_embeddings.weight"},
           Refusal{"deberta", "max_relative_positions", 20, "[40, 32]"},
           Refusal{"deberta", "pooler_hidden_act", "mish", "pooler_hidden_act is 'mish'"},
           Refusal{"deberta-v2", "conv_kernel_size", 3, "conv_kernel_size is 3, expected 0"},
           Refusal{"deberta-v2", "share_att_key", false, "pos_key_proj.weight"},
           Refusal{"deberta-v2", "position_buckets", 20, "[40, 32]"},
           Refusal{"deberta-v2", "unknown", 1, "unknown"},
       }) {
    ChangedModel model(refusal.family);
    model.config[refusal.key] = refusal.value;
    const std::string message = message_of<Error>([&] { model.load(); });
    EXPECT_THAT(message, HasSubstr(refusal.message)) << refusal.family << " " << refusal.key;
    EXPECT_EQ(message.find('\n'), std::string::npos);
  }
}

TEST(EncoderCheckpoints, OfLanguageModelsGetNewHeads) {
  const auto is_body = [](const std::string& name) {
    return !name.starts_with("classifier.") && !name.starts_with("pooler.") &&
           !name.starts_with("albert.pooler.");
  };
  struct Case {
    std::string family;
    std::vector<std::string> of_other_heads;
    std::string frozen_dense;  ///< that is new, as a note says
  };
  for (const Case& c :
       {Case{"roberta", {"lm_head.bias", "lm_head.dense.weight", "roberta.pooler.dense.bias"}, ""},
        Case{"albert", {"predictions.bias", "sop_classifier.weight"}, "albert.pooler"},
        Case{"deberta", {"lm_predictions.lm_head.bias"}, "pooler.dense"},
        Case{"deberta-v2", {"mask_predictions.dense.bias", "lm_predictions.x"}, "pooler.dense"}}) {
    ChangedModel model(c.family);
    model.write(is_body, c.of_other_heads);
    const auto host = model.load();
    if (c.frozen_dense.empty())
      EXPECT_THAT(host->notes(), testing::IsEmpty()) << c.family;
    else
      EXPECT_THAT(host->notes(), testing::ElementsAre(HasSubstr("no " + c.frozen_dense + " in")));
    EXPECT_EQ(host->drawn().size(), c.frozen_dense.empty() ? 0u : 2u);
    EXPECT_EQ(host->predict(short_batch()), model.predict());
    EXPECT_EQ(host->total_parameters(),
              load_host(golden_model(c.family), {}, make_cpu_device())->total_parameters());
  }
}

TEST(Roberta, TrainsItsDenseLayerWithTheOutputLayer) {
  const auto host = ChangedModel("roberta").load();
  std::vector<std::string> names;
  for (const TrainedTensor& tensor : host->trained()) names.push_back(tensor.name);
  EXPECT_THAT(names, testing::ElementsAre("classifier.out_proj.weight", "classifier.out_proj.bias",
                                          "classifier.dense.weight", "classifier.dense.bias"));
  EXPECT_EQ(host->max_tokens(), 62u);
}

TEST(Roberta, GivesPaddingInATextNoPositionOfItsOwn) {
  const auto host = ChangedModel("roberta").load();
  Batch with, without;
  with.ids = {5, 1, 9};
  without.ids = {5, 9};
  for (Batch* batch : {&with, &without}) {
    batch->type_ids.assign(batch->ids.size(), 0);
    batch->starts = {0, batch->ids.size()};
  }
  const std::vector<float> longer = host->hidden_states(with)[0],
                           shorter = host->hidden_states(without)[0];
  EXPECT_TRUE(std::equal(shorter.begin(), shorter.begin() + 32, longer.begin()));
  EXPECT_TRUE(std::equal(shorter.begin() + 32, shorter.end(), longer.begin() + 64));
}

}  // namespace
}  // namespace rankfold
