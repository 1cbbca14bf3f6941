#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include <nlohmann/json.hpp>

#include "core/adapter/registry.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/random.h"
#include "core/base/safetensors.h"
#include "core/device/test_device.h"
#include "decompositions/registry.h"
#include "experiments/models/config_file.h"
#include "experiments/models/generate.h"
#include "experiments/models/host.h"
#include "experiments/models/shapes.h"
#include "golden_batch.h"
#include "models/golden_models.h"
#include "source_paths.h"
#include "temporary_folder.h"

// Every decoder of the golden data: hidden states, logits, losses, gradients, training, generation.

namespace rankfold {
namespace {

class Decoders : public testing::TestWithParam<std::string> {
 protected:
  const std::filesystem::path folder_ =
      std::filesystem::path(RANKFOLD_GOLDEN_DIR) / "models" / GetParam();
  const SafetensorsFile io_{folder_ / "io.safetensors"};
  const Batch batch_ = read_golden_batch(folder_);

  HostSettings settings() const {
    HostSettings settings;
    settings.output = declared_output(ConfigFile(folder_ / "config.json"));
    settings.labels = 3;
    return settings;
  }
  bool tells_tokens() const { return settings().output == HostOutput::language_model; }
  std::unique_ptr<Host> host(const std::shared_ptr<const Device>& device = make_cpu_device()) {
    return load_host(folder_, settings(), device);
  }
  std::unique_ptr<Adapter<float>> adapter(const Host& host, const std::string& method,
                                          const std::string& rank, const std::string& targets,
                                          std::optional<double> alpha = {},
                                          const std::string& layers = "all") {
    const Registry registry = builtin_registry();
    const Method& found = registry.at(method);
    const Stack stack = select_stack(host.catalogue(), targets, layers);
    MethodRequest request;
    request.rank = rank;
    request.alpha = alpha;
    auto result = make_adapter<float>(found, stack, resolve_settings(found, request, stack),
                                      make_cpu_device());
    result->initialise(7);
    return result;
  }
  static void make_random(Adapter<float>& adapter) {
    for (Parameter<float>& parameter : adapter.parameters())
      RandomStream(1, parameter.name).fill_normal(parameter.value.span(), 0.0, 0.1);
  }

  /// A reference of rows [sequences, length, width]; those of tokens only.
  std::vector<float> real_rows(const std::string& name) const {
    const auto mask = io_.read<std::int64_t>("attention_mask");
    const auto values = io_.read<float>(name);
    const std::size_t width = values.size() / mask.size();
    std::vector<float> result;
    for (std::size_t i = 0; i < mask.size(); ++i)
      if (mask[i] != 0)
        result.insert(result.end(), values.begin() + static_cast<std::ptrdiff_t>(i * width),
                      values.begin() + static_cast<std::ptrdiff_t>((i + 1) * width));
    return result;
  }
};

double distance(std::span<const float> found, std::span<const float> expected) {
  if (found.size() != expected.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    difference += std::pow(double{found[i]} - expected[i], 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

INSTANTIATE_TEST_SUITE_P(Folders, Decoders, testing::ValuesIn(golden_decoders()),
                         [](const auto& folder) { return test_name(folder.param); });

TEST_P(Decoders, HaveTheHiddenStatesAndLogitsOfTransformers) {
  const auto host = this->host();
  EXPECT_THAT(host->notes(), testing::IsEmpty());
  const auto states = host->hidden_states(batch_);
  ASSERT_EQ(states.size(), 3u);
  for (std::size_t k = 0; k < states.size(); ++k)
    EXPECT_LT(distance(states[k], real_rows("hidden." + std::to_string(k))), 1e-5) << k;
  const auto logits = host->predict(batch_);
  if (!tells_tokens()) {
    EXPECT_LT(distance(logits, io_.read<float>("logits")), 1e-5);
    return;
  }
  const std::vector<float> all = host->token_logits(batch_), expected = real_rows("logits");
  EXPECT_LT(distance(all, expected), 1e-5);
  // What follows each sequence.
  const std::size_t words = expected.size() / batch_.tokens();
  std::vector<float> last;
  for (std::size_t s = 1; s < batch_.starts.size(); ++s)
    last.insert(last.end(),
                expected.begin() + static_cast<std::ptrdiff_t>((batch_.starts[s] - 1) * words),
                expected.begin() + static_cast<std::ptrdiff_t>(batch_.starts[s] * words));
  EXPECT_LT(distance(logits, last), 1e-5);
}

TEST_P(Decoders, HaveTheLossAndGradientsOfTransformers) {
  const auto host = this->host();
  const float expected = io_.read<float>("loss").front();
  EXPECT_NEAR(host->mean_loss(batch_), expected, 1e-5 * expected);
  const ModelShape shape = read_shape(folder_);
  // The gradient of each stored weight, put together of its sites'.
  std::map<std::string, std::vector<float>> gradients;
  std::string targets;
  for (const Site& site : host->catalogue().sites) {
    if (site.layer != 0 || site.matrix == MatrixType::in_proj) continue;
    if (!io_.find("grad." + stored_matrix(shape, site).module + ".weight")) continue;
    targets += (targets.empty() ? "" : ",") + std::string(to_string(site.matrix));
  }
  const auto full = adapter(*host, "full", "", targets);
  host->attach(full.get());
  host->zero_gradients();
  EXPECT_NEAR(host->train_pass(batch_, 0, 0), expected, 1e-5 * expected);
  for (std::size_t i = 0; i < full->stack().sites.size(); ++i) {
    const Site& site = full->stack().sites[i];
    const StoredMatrix stored = stored_matrix(shape, site);
    std::vector<float>& whole = gradients[stored.module + ".weight"];
    whole.resize(stored.rows * site.in);
    const auto part = full->parameters()[i].gradient.span();
    for (std::size_t row = 0; row < site.out; ++row)
      for (std::size_t column = 0; column < site.in; ++column)
        whole[stored.place(row, column, site.in)] = part[row * site.in + column];
  }
  for (const TrainedTensor& tensor : host->trained())
    gradients[tensor.name] = {tensor.gradient.begin(), tensor.gradient.end()};
  std::size_t compared = 0;
  for (const TensorEntry& entry : io_.entries()) {
    if (!entry.name.starts_with("grad.") || entry.name.ends_with(".bias")) continue;
    ++compared;
    EXPECT_LT(distance(gradients[entry.name.substr(5)], io_.read<float>(entry.name)), 1e-5)
        << entry.name;
  }
  EXPECT_EQ(compared, gradients.size());
}

TEST_P(Decoders, GenerateAsTransformersDo) {
  if (!io_.find("greedy.ids")) GTEST_SKIP() << "the reference has no text";
  const auto host = this->host();
  const auto as_ids = [&](const char* name) {
    const auto values = io_.read<std::int64_t>(name);
    return std::vector<std::int32_t>(values.begin(), values.end());
  };
  const auto prompt = as_ids("greedy.prompt"), expected = as_ids("greedy.ids");
  EXPECT_EQ(generate_greedily(*host, prompt, expected.size() - prompt.size()), expected);
  // A token that ends it, where it stands first behind the prompt.
  const std::int32_t end = expected[prompt.size() + 2];
  const auto first =
      std::find(expected.begin() + static_cast<std::ptrdiff_t>(prompt.size()), expected.end(), end);
  EXPECT_EQ(generate_greedily(*host, prompt, 12, {{end}}),
            std::vector<std::int32_t>(expected.begin(), first + 1));
  EXPECT_THROW(generate_greedily(*host, std::span<const std::int32_t>(), 1), Error);
  // The last position tells one token more.
  const std::size_t positions = host->max_tokens();
  EXPECT_EQ(generate_greedily(*host, prompt, positions + 1 - prompt.size()).size(), positions + 1);
  EXPECT_THROW(generate_greedily(*host, prompt, positions + 2 - prompt.size()), Error);
}

TEST_P(Decoders, GenerateManyTextsTogetherAsOneByOne) {
  if (!tells_tokens() || GetParam() == "llama-dynamic-rope") GTEST_SKIP() << "see generate.h";
  const auto host = this->host();
  const std::vector<std::vector<std::int32_t>> prompts = {
      {2, 17, 45, 9, 31, 7, 22}, {5}, {2, 60, 33}, {40, 41, 42, 43}};
  std::vector<std::vector<std::int32_t>> expected;
  for (const auto& prompt : prompts) expected.push_back(generate_greedily(*host, prompt, 9));
  EXPECT_EQ(generate_greedily(*host, prompts, 9), expected);
  // Some end early, the others go on.
  const std::vector<std::int32_t> ends = {expected[1][3], expected[2][5]};
  for (std::size_t i = 0; i < prompts.size(); ++i)
    expected[i] = generate_greedily(*host, prompts[i], 9, ends);
  EXPECT_EQ(generate_greedily(*host, prompts, 9, ends), expected);

  KeyValueCache cache = host->make_cache(std::array<std::size_t, 2>{4, 2});
  Batch batch;
  batch.ids = {1, 2, 3};
  batch.starts = {0, 2, 3};
  EXPECT_THROW(host->next_logits(batch, std::array<std::size_t, 1>{0}, cache), Error);
  EXPECT_THROW(host->next_logits(batch, std::array<std::size_t, 2>{1, 0}, cache), Error);
  EXPECT_THROW(host->next_logits(batch, std::array<std::size_t, 2>{1, 2}, cache), Error);
  host->next_logits(batch, std::array<std::size_t, 2>{0, 1}, cache);
  host->next_logits(batch, std::array<std::size_t, 2>{0, 1}, cache);
  EXPECT_THROW(host->next_logits(batch, std::array<std::size_t, 2>{0, 1}, cache), Error);
}

TEST_P(Decoders, UseEveryTensorOfTheirCheckpoint) {
  const auto host = this->host();
  const SafetensorsFile file(folder_ / "model.safetensors");
  std::size_t elements = 0;
  for (const TensorEntry& entry : file.entries()) elements += entry.elements();
  EXPECT_EQ(host->total_parameters(), elements);
}

TEST_P(Decoders, PredictPackedSequencesAsAloneAndFromACache) {
  if (GetParam() == "llama-dynamic-rope") GTEST_SKIP() << "its turns follow the longest text";
  const auto host = this->host();
  const auto lora = adapter(*host, "lora", "2", "all");
  make_random(*lora);
  host->attach(lora.get());
  const std::vector<float> packed = host->predict(batch_);
  const std::size_t width = packed.size() / batch_.sequences();
  for (std::size_t s = 0; s < batch_.sequences(); ++s) {
    const auto ids =
        std::span(batch_.ids).subspan(batch_.starts[s], batch_.starts[s + 1] - batch_.starts[s]);
    const std::span<const float> expected = std::span(packed).subspan(s * width, width);
    Batch alone;
    alone.ids.assign(ids.begin(), ids.end());
    alone.starts = {0, ids.size()};
    EXPECT_LT(distance(host->predict(alone), expected), 1e-5);
    if (!tells_tokens()) continue;
    KeyValueCache cache = host->make_cache(ids.size());
    std::vector<float> logits = host->next_logits(ids.first(1), cache);
    if (ids.size() > 2) host->next_logits(ids.subspan(1, ids.size() - 2), cache);
    if (ids.size() > 1) logits = host->next_logits(ids.last(1), cache);
    EXPECT_LT(distance(logits, expected), 1e-5);
  }
}

TEST_P(Decoders, DoOnTheTestDeviceWhatTheyDoOnTheCpu) {
  HostSettings wanted = settings();
  wanted.parts.norms = true;
  std::vector<std::vector<float>> gradients;
  for (const auto& device : {make_cpu_device(), make_test_device()}) {
    const auto host = load_host(folder_, wanted, device);
    host->zero_gradients();
    const double loss = host->train_pass(batch_, 0, 0);
    std::vector<float>& all = gradients.emplace_back(1, static_cast<float>(loss));
    for (const TrainedTensor& tensor : host->trained()) {
      const HostRead<float> values(*device, tensor.gradient.data(), tensor.gradient.size());
      all.insert(all.end(), values.begin(), values.end());
    }
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

TEST_P(Decoders, TrainFromFeaturesAsFromTokens) {
  const auto host = this->host();
  const auto lora = adapter(*host, "lora", "2", "q,v", {}, "1");
  make_random(*lora);
  host->attach(lora.get());
  EXPECT_EQ(host->frozen_layers(), 1u);
  const double loss = host->train_pass(batch_, 0, 0);
  std::vector<float> rows(batch_.tokens() * host->hidden_size());
  Batch with_features = batch_;
  const MatrixView<float> view(rows.data(), batch_.tokens(), host->hidden_size());
  host->features(batch_, view);
  with_features.features = view;
  EXPECT_EQ(host->train_pass(with_features, 0, 0), loss);
  EXPECT_EQ(host->mean_loss(with_features), host->mean_loss(batch_));
  EXPECT_EQ(host->predict(with_features), host->predict(batch_));
}

}  // namespace
}  // namespace rankfold
