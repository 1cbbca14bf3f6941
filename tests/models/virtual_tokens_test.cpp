#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "core/base/error.h"
#include "core/base/safetensors.h"
#include "core/device/test_device.h"
#include "experiments/models/generate.h"
#include "models/golden_models.h"

// Methods prompt and prefix on every family that can be loaded.

namespace rankfold {
namespace {

using testing::HasSubstr;

constexpr std::size_t tokens = 3;

class VirtualTokensOfHosts : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    threads_ = kernel_report().threads;
    set_threads(1);
  }
  void TearDown() override { set_threads(threads_); }

  bool tells_tokens() const { return settings().output == HostOutput::language_model; }
  HostSettings settings(double dropout = 0) const {
    HostSettings settings;
    settings.output = declared_output(ConfigFile(golden_model(GetParam()) / "config.json"));
    settings.labels = std::ranges::count(golden_encoders(), GetParam()) > 0 ? 2 : 3;
    settings.dropout = dropout;
    return settings;
  }
  std::unique_ptr<Host> host(const std::shared_ptr<const Device>& device = make_cpu_device(),
                             double dropout = 0, bool norms = false) const {
    HostSettings wanted = settings(dropout);
    wanted.parts.norms = norms;
    return load_host(golden_model(GetParam()), wanted, device);
  }
  /// With random rows, attached; null where the model takes no such tokens.
  std::unique_ptr<Adapter<float>> attach(
      Host& host, const std::string& method, const std::string& layers = "all",
      const std::shared_ptr<const Device>& device = make_cpu_device()) const {
    const Registry registry = builtin_registry();
    const Method& found = registry.at(method);
    if (method == "prefix" && !host.catalogue().prefix_obstacle.empty()) return nullptr;
    MethodRequest request;
    request.options["tokens"] = std::to_string(tokens);
    const Stack stack =
        select_sites(found, host.catalogue(), found.default_targets, layers, request);
    auto adapter =
        make_adapter<float>(found, stack, resolve_settings(found, request, stack), device);
    for (Parameter<float>& parameter : adapter->parameters())
      RandomStream(1, parameter.name)
          .fill_normal(HostWrite<float>(parameter.value).span(), 0.0, 0.5);
    host.attach(adapter.get());
    return adapter;
  }
  Batch batch() const {
    Batch batch = short_batch();
    for (std::int32_t& id : batch.ids) id %= 60;  // the smallest vocabulary has 64
    if (!tells_tokens()) return batch;
    batch.type_ids.clear();
    batch.labels.clear();
    batch.targets = batch.ids;
    return batch;
  }
  /// The embeddings of words, from the checkpoint.
  std::vector<float> words(std::span<const std::int32_t> ids, std::size_t width) const {
    const SafetensorsFile file(golden_model(GetParam()) / "model.safetensors");
    for (const TensorEntry& entry : file.entries()) {
      if (!entry.name.ends_with("word_embeddings.weight") &&
          !entry.name.ends_with("embed_tokens.weight") && !entry.name.ends_with("wte.weight"))
        continue;
      const std::vector<float> table = file.read<float>(entry.name);
      std::vector<float> rows;
      for (const std::int32_t id : ids)
        rows.insert(rows.end(),
                    table.begin() + static_cast<std::ptrdiff_t>(id) * std::ssize(table) /
                                        static_cast<std::ptrdiff_t>(entry.shape[0]),
                    table.begin() + (static_cast<std::ptrdiff_t>(id) + 1) * std::ssize(table) /
                                        static_cast<std::ptrdiff_t>(entry.shape[0]));
      EXPECT_EQ(rows.size(), ids.size() * width);
      return rows;
    }
    ADD_FAILURE() << "no embeddings of words";
    return {};
  }
  int threads_ = 1;
};

INSTANTIATE_TEST_SUITE_P(Folders, VirtualTokensOfHosts, testing::ValuesIn(golden_folders()),
                         [](const auto& folder) { return test_name(folder.param); });

constexpr const char* both_methods[] = {"prompt", "prefix"};

Batch packed(const std::vector<std::vector<std::int32_t>>& texts) {
  Batch batch;
  batch.starts = {0};
  for (const std::vector<std::int32_t>& text : texts) {
    batch.ids.insert(batch.ids.end(), text.begin(), text.end());
    batch.starts.push_back(batch.ids.size());
  }
  batch.type_ids.assign(batch.ids.size(), 0);
  return batch;
}

const std::vector<std::int32_t> prompt_ids = {7, 40, 23};
const std::vector<std::vector<std::int32_t>> texts = {{2, 17, 45, 9}, {33, 60}};

std::vector<std::vector<std::int32_t>> with_prompt() {
  std::vector<std::vector<std::int32_t>> result = texts;
  for (auto& text : result) text.insert(text.begin(), prompt_ids.begin(), prompt_ids.end());
  return result;
}

void expect_near(std::span<const float> found, std::span<const float> expected,
                 float tolerance = 2e-5F) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], tolerance) << i;
}

TEST_P(VirtualTokensOfHosts, AreWordsWhereTheirEmbeddingsAreThoseOfWords) {
  const auto model = host();
  const std::vector<float> expected = model->predict(packed(with_prompt()));
  const auto states = model->hidden_states(packed(with_prompt()));
  const auto adapter = attach(*model, "prompt");
  EXPECT_EQ(model->frozen_layers(), 0U);
  Parameter<float>& rows = adapter->parameters().front();
  std::ranges::copy(words(prompt_ids, rows.shape[1]), rows.value.span().begin());
  expect_near(model->predict(packed(texts)), expected);
  const auto found = model->hidden_states(packed(texts));
  ASSERT_EQ(found.size(), states.size());
  const std::size_t hidden = model->hidden_size();
  for (std::size_t layer = 0; layer < states.size(); ++layer) {
    std::vector<float> own;
    const Batch whole = packed(with_prompt());
    for (std::size_t s = 0; s < whole.sequences(); ++s)
      own.insert(own.end(), states[layer].data() + (whole.starts[s] + tokens) * hidden,
                 states[layer].data() + whole.starts[s + 1] * hidden);
    expect_near(found[layer], own, 1e-4F);
  }
}

TEST_P(VirtualTokensOfHosts, AreWordsWhereTheirKeysAndValuesAreThoseOfWords) {
  const auto model = host();
  if (!tells_tokens()) return;  // only a cache tells the keys of tokens
  const std::vector<float> whole = model->token_logits(packed(with_prompt()));
  KeyValueCache cache = model->make_cache(tokens);
  model->next_logits(prompt_ids, cache);
  const auto adapter = attach(*model, "prefix");
  for (Parameter<float>& parameter : adapter->parameters()) {
    const auto site = std::ranges::find_if(adapter->stack().sites, [&](const Site& each) {
      return parameter.name == parameter.factor + "." + each.name;
    });
    const MatrixView<float> rows =
        site->matrix == MatrixType::prefix_k ? cache.keys(site->layer) : cache.values(site->layer);
    for (std::size_t t = 0; t < tokens; ++t)
      std::copy_n(rows.row(t), site->out, parameter.value.data() + t * site->out);
  }
  const std::size_t vocabulary = whole.size() / packed(with_prompt()).tokens();
  std::vector<float> own(whole.begin() + static_cast<std::ptrdiff_t>(tokens * vocabulary),
                         whole.begin() + static_cast<std::ptrdiff_t>(7 * vocabulary));
  own.insert(own.end(), whole.begin() + static_cast<std::ptrdiff_t>(10 * vocabulary), whole.end());
  expect_near(model->token_logits(packed(texts)), own, 1e-4F);
}

TEST_P(VirtualTokensOfHosts, PredictPackedSequencesAsAlone) {
  for (const char* method : both_methods) {
    const auto model = host();
    const std::vector<float> without = model->predict(packed(texts));
    const auto adapter = attach(*model, method);
    if (!adapter) continue;
    const std::vector<float> together = model->predict(packed(texts));
    EXPECT_NE(together, without);
    std::vector<float> alone;
    for (const auto& text : texts) {
      const std::vector<float> one = model->predict(packed({text}));
      alone.insert(alone.end(), one.begin(), one.end());
    }
    expect_near(together, alone);
    model->attach(nullptr);
    EXPECT_EQ(model->predict(packed(texts)), without);
  }
}

TEST_P(VirtualTokensOfHosts, HaveTheSlopesThatTheirGradientsTell) {
  for (const char* method : both_methods)
    for (const bool norms : {false, true}) {
      const auto model = host(make_cpu_device(), 0.1, norms);
      const auto adapter = attach(*model, method);
      if (!adapter) continue;
      model->zero_gradients();
      adapter->zero_gradients();
      model->train_pass(batch(), 5, 3);
      struct Trained {
        std::string name;
        std::span<float> values;
        std::vector<float> gradient;
      };
      std::vector<Trained> all;
      const auto add = [&](const std::string& name, std::span<float> values,
                           std::span<const float> gradient) {
        all.push_back({name, values, {gradient.begin(), gradient.end()}});
      };
      for (Parameter<float>& parameter : adapter->parameters())
        add(parameter.name, parameter.value.span(), parameter.gradient.span());
      if (norms)
        for (const TrainedTensor& tensor : model->trained())
          add(tensor.name, tensor.value, tensor.gradient);
      for (const Trained& tensor : all) {
        const std::vector<float> at(tensor.values.begin(), tensor.values.end());
        double norm = 0;
        for (const float g : tensor.gradient) norm += double{g} * g;
        norm = std::sqrt(norm);
        // A prefix may lie before all that the window of a token sees.
        if (norm == 0 && tensor.name.find(".prefix.") != std::string::npos) continue;
        ASSERT_GT(norm, 0.0) << method << " " << tensor.name;
        const double h = 5e-4 / std::max(norm, 0.1);
        const auto loss = [&](double length) {
          for (std::size_t i = 0; i < at.size(); ++i)
            tensor.values[i] = static_cast<float>(at[i] + length * tensor.gradient[i]);
          const double value = model->train_pass(batch(), 5, 3);
          std::ranges::copy(at, tensor.values.begin());
          return value;
        };
        EXPECT_NEAR((loss(h) - loss(-h)) / (2 * h) / norm, norm, 1e-2 * norm + 1e-3)
            << method << " " << tensor.name;
      }
    }
}

TEST_P(VirtualTokensOfHosts, TrainOnTheTestDeviceWithTheBitsOfTheCpu) {
  for (const char* method : both_methods) {
    std::vector<std::vector<float>> found;
    for (const auto& device : {make_cpu_device(), make_test_device()}) {
      const auto model = host(device, 0.2);
      const auto adapter = attach(*model, method, "all", device);
      if (!adapter) continue;
      adapter->zero_gradients();
      std::vector<float>& all = found.emplace_back(model->predict(batch()));
      all.push_back(static_cast<float>(model->train_pass(batch(), 5, 3)));
      all.push_back(static_cast<float>(model->mean_loss(batch())));
      for (const Parameter<float>& parameter : adapter->parameters()) {
        const HostRead<float> gradient(parameter.gradient);
        all.insert(all.end(), gradient.begin(), gradient.end());
      }
    }
    if (found.size() == 2) {
      EXPECT_EQ(found[0], found[1]);
    }
  }
}

TEST_P(VirtualTokensOfHosts, LetTheLayersBelowTheirKeysBeSharedByAllSteps) {
  const auto model = host();
  const auto adapter = attach(*model, "prefix", "last:1");
  if (!adapter) return;
  EXPECT_EQ(model->frozen_layers(), 1U);
  Batch batch = this->batch();
  const double loss = model->mean_loss(batch);
  std::vector<float> rows(batch.tokens() * model->hidden_size());
  batch.features = {rows.data(), batch.tokens(), model->hidden_size()};
  model->features(this->batch(), {rows.data(), batch.tokens(), model->hidden_size()});
  EXPECT_NEAR(model->mean_loss(batch), loss, 1e-6);
}

TEST_P(VirtualTokensOfHosts, AreReadOnceByACache) {
  if (!tells_tokens()) return;
  for (const char* method : both_methods) {
    const auto model = host();
    const auto adapter = attach(*model, method);
    std::vector<std::vector<std::int32_t>> expected = texts;
    for (auto& text : expected)
      for (int step = 0; step < 4; ++step) {
        const std::vector<float> logits = model->predict(packed({text}));
        text.push_back(
            static_cast<std::int32_t>(std::ranges::max_element(logits) - logits.begin()));
      }
    EXPECT_EQ(generate_greedily(*model, texts, 4, {}), expected) << method;
  }
}

TEST_P(VirtualTokensOfHosts, AreSharedByTheSequencesOfAPrefix) {
  if (!tells_tokens()) return;
  for (const char* method : both_methods) {
    const auto model = host();
    const auto adapter = attach(*model, method);
    Batch spelled = packed({{5, 6, 7, 8}, {5, 6, 9}}), shared = packed({{5, 6}, {7, 8}, {9}});
    shared.prefixes = {no_prefix, 0, 0};
    constexpr std::int32_t none = Batch::left_out;
    spelled.targets = {none, none, 7, 8, none, none, 9};
    shared.targets = {none, none, 7, 8, 9};
    const std::vector<double> found = model->answer_scores(shared),
                              expected = model->answer_scores(spelled);
    ASSERT_EQ(found.size(), 2U);
    for (std::size_t i = 0; i < 2; ++i) EXPECT_NEAR(found[i], expected[i], 1e-5) << method;
    std::vector<std::vector<float>> gradients;
    for (const Batch& each : {spelled, shared}) {
      adapter->zero_gradients();
      model->train_pass(each, 0, 0);
      std::vector<float>& all = gradients.emplace_back();
      for (const Parameter<float>& parameter : adapter->parameters())
        all.insert(all.end(), parameter.gradient.data(),
                   parameter.gradient.data() + parameter.gradient.size());
    }
    expect_near(gradients[1], gradients[0]);
  }
}

TEST_P(VirtualTokensOfHosts, TakePositions) {
  const auto model = host();
  const std::size_t before = model->max_tokens();
  const auto adapter = attach(*model, "prompt");
  EXPECT_EQ(model->max_tokens(), before - tokens);
  Batch longest = packed({std::vector<std::int32_t>(before - tokens, 5)});
  EXPECT_NO_THROW(model->predict(longest));
  longest = packed({std::vector<std::int32_t>(before - tokens + 1, 5)});
  EXPECT_THROW(model->predict(longest), Error);
}

TEST(VirtualTokensOfDeberta, AreNoKeysBesideRelativePositions) {
  const auto model = load_host(golden_model("deberta"), {}, make_cpu_device());
  const Method prefix = builtin_registry().at("prefix");
  try {
    select_sites(prefix, model->catalogue(), prefix.default_targets, "all", {});
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("relative positions"));
  }
}

TEST(VirtualTokensOfLlama, LeaveRoomForOthersAndFillEveryLayerOfACache) {
  HostSettings settings;
  settings.output = HostOutput::language_model;
  const auto model = load_host(golden_model("llama"), settings, make_cpu_device());
  const Registry registry = builtin_registry();
  const auto adapter_of = [&](const char* count, const char* layers) {
    const Method& prefix = registry.at("prefix");
    MethodRequest request;
    request.options["tokens"] = count;
    const Stack stack =
        select_sites(prefix, model->catalogue(), prefix.default_targets, layers, request);
    return make_adapter<float>(prefix, stack, resolve_settings(prefix, request, stack),
                               make_cpu_device());
  };
  const auto too_many = adapter_of("64", "all"), partial = adapter_of("4", "0");
  EXPECT_THROW(model->attach(too_many.get()), Error);
  model->attach(partial.get());
  KeyValueCache cache = model->make_cache(3);
  EXPECT_EQ(cache.room(), 7U);
  EXPECT_THROW(model->next_logits(prompt_ids, cache), Error);
  model->attach(nullptr);
}

}  // namespace
}  // namespace rankfold
