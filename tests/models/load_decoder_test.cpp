#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/safetensors.h"
#include "decompositions/registry.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"
#include "golden_batch.h"
#include "source_paths.h"
#include "temporary_folder.h"

namespace rankfold {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::EndsWith;
using testing::HasSubstr;

/// A golden decoder's folder whose config.json may be changed.
class ChangedDecoder {
 public:
  explicit ChangedDecoder(const std::string& name)
      : config_(json::parse(
            read_text(fs::path(RANKFOLD_GOLDEN_DIR) / "models" / name / "config.json"))) {
    fs::copy(fs::path(RANKFOLD_GOLDEN_DIR) / "models" / name, folder_.path,
             fs::copy_options::recursive);
  }
  ChangedDecoder& with(const std::string& key, const json& value) {
    config_[key] = value;
    fs::remove(folder_.path / "config.json");
    write_atomically(folder_.path / "config.json", config_.dump());
    return *this;
  }
  ChangedDecoder& without(const std::string& key) {
    config_.erase(key);
    return with("transformers_version", nullptr);
  }
  const fs::path& path() const { return folder_.path; }
  std::unique_ptr<Host> load(HostOutput output = HostOutput::language_model) const {
    HostSettings settings;
    settings.output = output;
    settings.labels = 3;
    return load_host(folder_.path, settings, make_cpu_device());
  }
  std::string refusal(HostOutput output = HostOutput::language_model) const {
    return message_of<Error>([&] { load(output); });
  }

 private:
  TemporaryFolder folder_;
  json config_;
};

TEST(LoadDecoder, NamesTheKeyOfWhatIsNotComputed) {
  const auto refusal = [](const std::string& model, const std::string& key, const json& value) {
    return ChangedDecoder(model).with(key, value).refusal();
  };
  EXPECT_THAT(refusal("gpt2", "scale_attn_weights", false),
              EndsWith("config.json: scale_attn_weights is false, expected true"));
  EXPECT_THAT(refusal("gpt2", "scale_attn_by_inverse_layer_idx", true),
              EndsWith("config.json: scale_attn_by_inverse_layer_idx is true, expected false"));
  EXPECT_THAT(refusal("gpt2", "activation_function", "mish"),
              HasSubstr("activation_function is 'mish', expected gelu"));
  EXPECT_THAT(refusal("llama", "tie_word_embeddings", true),
              EndsWith("tie_word_embeddings is on, but lm_head.weight differs from "
                       "model.embed_tokens.weight"));
  EXPECT_THAT(refusal("opt", "do_layer_norm_before", false),
              EndsWith("config.json: do_layer_norm_before is false, expected true"));
  EXPECT_THAT(refusal("opt", "word_embed_proj_dim", 16),
              HasSubstr("word_embed_proj_dim is 16, expected 32"));
  EXPECT_THAT(refusal("llama", "rope_scaling", {{"rope_type", "longrope"}, {"factor", 2}}),
              HasSubstr("rope_type is 'longrope'"));
  EXPECT_THAT(refusal("llama", "rope_interleaved", true), HasSubstr("rope_interleaved"));
  EXPECT_THAT(refusal("qwen3", "layer_types", {"full_attention", "chunked_attention"}),
              HasSubstr("layer_types has 'chunked_attention'"));
}

TEST(LoadDecoder, NamesTheTensorThatContradictsTheConfigOrIsMissing) {
  EXPECT_THAT(
      ChangedDecoder("llama").with("intermediate_size", 80).refusal(),
      HasSubstr(
          "tensor model.layers.0.mlp.gate_proj.weight: shape is [64, 32], expected [80, 32]"));
  EXPECT_THAT(ChangedDecoder("gpt2").with("n_inner", 80).refusal(),
              HasSubstr("tensor transformer.h.0.mlp.c_fc.weight: shape is [32, 64], expected "
                        "[32, 80]"));
  EXPECT_THAT(ChangedDecoder("llama").with("num_hidden_layers", 3).refusal(),
              HasSubstr("tensor model.layers.2.self_attn.q_proj.weight is missing"));
  EXPECT_THAT(ChangedDecoder("llama-classifier").refusal(),
              HasSubstr("tensor lm_head.weight is missing"));
}

TEST(LoadDecoder, NamesTheFamilyWhoseTensorsTheCheckpointHas) {
  const ChangedDecoder gpt2("gpt2");
  const auto refusal_of_config = [&](const char* other) {
    fs::copy_file(fs::path(RANKFOLD_GOLDEN_DIR) / "models" / other / "config.json",
                  gpt2.path() / "config.json", fs::copy_options::overwrite_existing);
    return gpt2.refusal();
  };
  EXPECT_EQ(refusal_of_config("llama"),
            (gpt2.path() / "config.json").string() +
                ": model_type is 'llama', but the checkpoint has the tensors of gpt2");
}

TEST(LoadDecoder, ServesBothHeadsFromOneFolder) {
  const ChangedDecoder llama("llama");
  const Batch batch = read_golden_batch(llama.path());
  EXPECT_EQ(llama.load()->predict(batch).size(), batch.sequences() * 101);
  const auto classifier = llama.load(HostOutput::classifier);
  EXPECT_THAT(classifier->notes(), testing::IsEmpty());
  EXPECT_EQ(classifier->predict(batch).size(), batch.sequences() * 3);
  EXPECT_EQ(classifier->trained().front().name, "score.weight");
  EXPECT_EQ(message_of<Error>([&] { classifier->token_logits(batch); }),
            llama.path().string() + ": is a classifier, expected a language model");
}

TEST(LoadDecoder, TakesNamesWithoutThePrefix) {
  const ChangedDecoder gpt2("gpt2");
  const Batch batch = read_golden_batch(gpt2.path());
  const std::vector<float> expected = gpt2.load()->predict(batch);
  {
    const SafetensorsFile file(fs::path(RANKFOLD_GOLDEN_DIR) / "models/gpt2/model.safetensors");
    std::vector<TensorToWrite> list;
    for (const TensorEntry& entry : file.entries())
      list.push_back({entry.name.substr(entry.name.find('.') + 1), entry.type, entry.shape,
                      file.bytes(entry)});
    fs::remove(gpt2.path() / "model.safetensors");
    write_safetensors(gpt2.path() / "model.safetensors", list);
  }
  EXPECT_EQ(gpt2.load()->predict(batch), expected);
}

TEST(LoadDecoder, RefusesATensorTrainWhereNoDenseLayerIs) {
  const ChangedDecoder llama("llama-classifier");
  HostSettings settings;
  settings.parts.tt_head = true;
  EXPECT_THAT(message_of<Error>([&] { load_host(llama.path(), settings, make_cpu_device()); }),
              HasSubstr("has no dense layer before its output layer"));
}

TEST(LoadDecoder, SeesAWindowWhereTheConfigHasOne) {
  const auto windows = [](const std::string& model,
                          const std::vector<std::pair<std::string, json>>& keys) {
    ChangedDecoder changed(model);
    for (const auto& [key, value] : keys) changed.with(key, value);
    return read_shape(changed.path()).windows;
  };
  using testing::ElementsAre;
  EXPECT_THAT(windows("mistral", {}), ElementsAre(0, 0));
  EXPECT_THAT(windows("mistral", {{"sliding_window", 8}}), ElementsAre(8, 8));
  EXPECT_THAT(windows("qwen2", {{"sliding_window", 8}}), ElementsAre(0, 0));
  const std::pair<std::string, json> used = {"use_sliding_window", true};
  EXPECT_THAT(windows("qwen2", {{"sliding_window", 8},
                                used,
                                {"layer_types", {"full_attention", "sliding_attention"}}}),
              ElementsAre(0, 8));
  EXPECT_THAT(
      windows("qwen2",
              {{"sliding_window", 8}, used, {"layer_types", nullptr}, {"max_window_layers", 1}}),
      ElementsAre(0, 8));

  // What lies outside changes nothing above the first layer that sees it, and something without it.
  ChangedDecoder mistral("mistral");
  mistral.with("num_hidden_layers", 1);
  Batch batch = read_golden_batch(mistral.path());
  batch.ids.resize(batch.starts[1]);
  batch.starts = {0, batch.ids.size()};
  ASSERT_GT(batch.ids.size(), 4u);
  Batch other = batch;
  other.ids[0] = (other.ids[0] + 1) % 101;
  EXPECT_NE(mistral.load()->predict(batch), mistral.load()->predict(other));
  mistral.with("sliding_window", 3);
  EXPECT_EQ(mistral.load()->predict(batch), mistral.load()->predict(other));
}

/// Three texts, of which the first ends with the token `padding` and the second is nothing else.
Batch texts_with_padding(std::int32_t padding) {
  Batch batch;
  batch.ids = {7, padding, 9, padding, padding, padding, padding, 8, 3};
  batch.starts = {0, 5, 7, 9};
  batch.labels = {2, 0, 1};
  return batch;
}
/// The same as far as their classes depend on it.
Batch texts_before_padding(std::int32_t padding) {
  Batch batch;
  batch.ids = {7, padding, 9, padding, 8, 3};
  batch.starts = {0, 3, 4, 6};
  batch.labels = {2, 0, 1};
  return batch;
}

TEST(LoadDecoder, TellsAClassFromTheLastTokenThatIsNoPadding) {
  for (const char* name : {"llama-classifier", "gpt2-classifier", "opt-classifier"}) {
    ChangedDecoder changed(name);
    const std::int32_t padding = std::string(name) == "opt-classifier" ? 1 : 0;
    const Batch texts = texts_with_padding(padding), cut = texts_before_padding(padding);
    const auto host = changed.load(HostOutput::classifier);
    const std::vector<float> logits = host->predict(texts);
    EXPECT_EQ(logits, host->predict(cut)) << name;
    EXPECT_EQ(host->mean_loss(texts), host->mean_loss(cut)) << name;
    host->zero_gradients();
    EXPECT_EQ(host->train_pass(texts, 1, 1), host->mean_loss(cut)) << name;
    EXPECT_EQ(host->hidden_states(texts).front().size(), texts.tokens() * host->hidden_size());
    // A batch that brings what its frozen layers make of it.
    std::vector<float> rows(texts.tokens() * host->hidden_size());
    const MatrixView<float> view(rows.data(), texts.tokens(), host->hidden_size());
    host->features(texts, view);
    Batch with_features = texts;
    with_features.features = view;
    EXPECT_THAT(host->predict(with_features), testing::Pointwise(testing::FloatNear(1e-5f), logits))
        << name;
    // Without a padding token the last token of all counts. OPT has one unless it is null.
    EXPECT_NE(changed.with("pad_token_id", nullptr).load(HostOutput::classifier)->predict(texts),
              logits);
    const auto unnamed = changed.without("pad_token_id").load(HostOutput::classifier);
    EXPECT_EQ(unnamed->predict(texts) == logits, padding == 1) << name;
  }
}

TEST(LoadDecoder, GrowsItsPositionsWhereTheyAreStretchedByTheLength) {
  ChangedDecoder llama("llama");
  EXPECT_EQ(llama.load()->max_tokens(), 64u);
  llama.with("rope_parameters", {{"rope_type", "dynamic"}, {"factor", 2.0}, {"rope_theta", 1e4}});
  const auto host = llama.load();
  EXPECT_EQ(host->max_tokens(), 128u);
  Batch longest;
  for (int i = 0; i < 100; ++i) longest.ids.push_back(i);
  longest.starts = {0, 100};
  longest.targets = longest.ids;
  EXPECT_TRUE(std::isfinite(host->mean_loss(longest)));
}

TEST(LoadDecoder, RefusesACacheOfAnotherModelOrWithoutRoom) {
  const ChangedDecoder llama("llama"), mistral("mistral");
  const auto host = llama.load();
  const std::string model = llama.path().string();
  const std::vector<std::int32_t> ids = {5, 6, 7};
  const auto refusal = [&](KeyValueCache& cache, std::span<const std::int32_t> given) {
    return message_of<Error>([&] { host->next_logits(given, cache); });
  };
  KeyValueCache other = mistral.load()->make_cache(4), small = host->make_cache(2),
                right = host->make_cache(3);
  EXPECT_EQ(refusal(other, ids), model + ": the cache has 2 layers of width 32, expected 2 of 16");
  EXPECT_EQ(refusal(small, ids), model + ": 3 tokens follow 0, expected at most 2 together");
  EXPECT_THAT(refusal(right, {}), HasSubstr("expected 1 to 64 tokens"));
  EXPECT_THAT(refusal(right, {{5, 101}}), HasSubstr("token id 101"));
  EXPECT_EQ(right.tokens(), 0u);
  EXPECT_EQ(host->next_logits(ids, right).size(), 101u);
  EXPECT_EQ(right.tokens(), 3u);
  EXPECT_EQ(message_of<Error>([&] { host->make_cache(65); }),
            model + ": 65 tokens are asked for, expected at most 64");
}

TEST(LoadDecoder, RefusesAnAdapterOfAnotherModelAndStaysAsItWas) {
  const ChangedDecoder gpt2("gpt2");
  const auto host = gpt2.load();
  const Batch batch = read_golden_batch(gpt2.path());
  const std::vector<float> before = host->predict(batch);
  for (const bool renamed : {true, false}) {
    Site site = host->catalogue().sites[0];
    if (renamed)
      site.name = "model.layers.0.self_attn.q_proj";
    else
      site.out = 48;
    const Stack stack{std::vector<Site>{site}};
    const Registry registry = builtin_registry();
    const Method& full = registry.at("full");
    const auto adapter =
        make_adapter<float>(full, stack, resolve_settings(full, {}, stack), make_cpu_device());
    EXPECT_THROW(host->attach(adapter.get()), Error);
  }
  EXPECT_EQ(host->predict(batch), before);
}

}  // namespace
}  // namespace rankfold
